"""Calls that need a yes: the run waits without a worker, and goes on with what was decided."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from flynn.domain import events as ev
from flynn.domain.errors import Conflict, InvalidInput, NotFound
from flynn.domain.orders import ApprovalOrder, ConversationOrder, InterruptOrder, ModeOrder
from flynn.domain.permission import PermissionMode, PermissionRules, Rule
from flynn.domain.run import RunState
from flynn.domain.tool_result import Outcome
from flynn.domain.views import ApprovalView
from flynn.worker.clock import Clock
from tests.house import ADMISSION, House, open_house

pytestmark = pytest.mark.needs("bubblewrap")

ONE = """
name: one
turns:
  - blocks:
      - {tool: Bash, call: a, input: {command: "echo ran >> ran.txt"}}
  - blocks: [{text: "It said: {{ result('a').text }}"}]
"""
THREE = """
name: three
turns:
  - blocks:
      - {tool: Read, call: r, input: {file_path: notes.txt}}
      - {tool: Bash, call: a, input: {command: "echo first >> ran.txt"}}
      - {tool: Write, call: w, input: {file_path: new.txt, content: "new"}}
  - blocks: [{text: Done.}]
"""
TWICE = """
name: twice
turns:
  - blocks: [{tool: Bash, call: a, input: {command: "echo x >> ran.txt"}}]
  - blocks: [{tool: Bash, call: b, input: {command: "echo x >> ran.txt"}}]
  - blocks: [{tool: Bash, call: c, input: {command: "echo y >> ran.txt"}}]
  - blocks: [{text: Done.}]
"""
PLAN = """
name: plan
turns:
  - blocks:
      - {tool: Write, call: w, input: {file_path: new.txt, content: "new"}}
      - {tool: Bash, call: b, input: {command: "cat notes.txt; echo x > made.txt"}}
  - blocks: [{text: "A plan."}]
  - blocks: [{tool: Write, call: v, input: {file_path: new.txt, content: "new"}}]
  - blocks: [{text: "Carried out."}]
"""


async def asked(house: House, mode: str = "ask") -> tuple[UUID, list[ApprovalView]]:
    """Open a conversation in `mode`, say something, work, and give what is pending."""
    order = ConversationOrder(workspace="house", permission_mode=PermissionMode(mode))
    conversation = await house.intake.create_conversation(house.owner, order)
    await house.say(conversation.id, "Go.")
    await house.work()
    found = await house.views.approvals(house.owner, conversation.id)
    return conversation.id, [view for view in found if view.state == "pending"]


async def decide(house: House, view: ApprovalView, decision: str, **more: object) -> ApprovalView:
    order = ApprovalOrder.model_validate({"decision": decision, "call_digest": view.call_digest, **more})
    return await house.intake.decide_approval(house.owner, view.conversation_id, view.id, order)


def sent(house: House) -> list[Any]:
    """The bodies of the model calls, in order."""
    bodies = [
        json.loads(r.body or b"null") for r in house.simulator.stage.records if r.path == "/v1/messages"
    ]
    return sorted(bodies, key=lambda body: len(body["messages"]))


async def state(house: House, conversation_id: UUID) -> tuple[RunState, str | None]:
    view = await house.views.conversation(house.owner, conversation_id)
    assert view.run is not None
    return view.run.state, view.run.reason


async def results(house: House, conversation_id: UUID) -> dict[str, ev.ToolFinished]:
    log = await house.log(conversation_id)
    return {r.event.call_id: r.event for r in log if isinstance(r.event, ev.ToolFinished)}


async def test_a_yes_lets_the_very_call_act_once(tmp_path: Path) -> None:
    async with open_house(tmp_path, ONE) as house:
        conversation_id, (view,) = await asked(house)
        assert await state(house, conversation_id) == (RunState.WAITING, "approval")
        assert (view.tool, view.input) == ("Bash", {"command": "echo ran >> ran.txt"})
        assert not (house.workspace / "ran.txt").exists()
        assert await house.work() == 0
        decided = await decide(house, view, "allow")
        assert (decided.state, decided.decided_by) == ("allowed", "owner")
        assert await house.work() == 1
        assert (house.workspace / "ran.txt").read_text() == "ran\n"
        assert await state(house, conversation_id) == (RunState.COMPLETED, "end_turn")
        types = await house.types(conversation_id)
        assert types.index("approval.decided") < types.index("tool.started")
        again = await decide(house, view, "allow")
        assert again.state == "allowed"
        assert await house.types(conversation_id) == types
        with pytest.raises(Conflict, match="it is allowed"):
            await decide(house, view, "deny")


async def test_a_no_carries_the_persons_words(tmp_path: Path) -> None:
    async with open_house(tmp_path, ONE) as house:
        conversation_id, (view,) = await asked(house)
        await decide(house, view, "deny", message="Use make instead.")
        await house.work()
        (result,) = (await results(house, conversation_id)).values()
        assert result.outcome is Outcome.DENIED
        assert "owner said no" in result.content[0]["content"]
        assert "Use make instead." in result.content[0]["content"]
        assert result.content[0]["is_error"] is True
        assert "tool.started" not in await house.types(conversation_id)
        assert not (house.workspace / "ran.txt").exists()
        assert await state(house, conversation_id) == (RunState.COMPLETED, "end_turn")


async def test_words_instead_of_a_yes_are_a_no_that_carries_them(tmp_path: Path) -> None:
    async with open_house(tmp_path, ONE) as house:
        conversation_id, (view,) = await asked(house)
        await house.say(conversation_id, "No, stop that and tell me why.")
        await house.work()
        log = await house.log(conversation_id)
        (expired,) = [r.event for r in log if isinstance(r.event, ev.ApprovalExpired)]
        assert (expired.approval_id, expired.reason) == (view.id, "words")
        (result,) = (await results(house, conversation_id)).values()
        assert result.outcome is Outcome.DENIED
        assert not (house.workspace / "ran.txt").exists()
        request = sent(house)[-1]["messages"][-1]["content"]
        assert [block["type"] for block in request] == ["tool_result", "text"]
        assert request[1]["text"] == "No, stop that and tell me why."
        with pytest.raises(Conflict, match="it is expired"):
            await decide(house, view, "allow")


async def test_all_calls_of_a_step_are_asked_for_at_once_and_decided_one_by_one(tmp_path: Path) -> None:
    async with open_house(tmp_path, THREE) as house:
        (house.workspace / "notes.txt").write_text("notes")
        conversation_id, (command, write) = await asked(house)
        assert set(await results(house, conversation_id)) == {
            r.event.call_id for r in await house.log(conversation_id) if isinstance(r.event, ev.ToolStarted)
        }
        assert (command.tool, write.tool) == ("Bash", "Write")
        await decide(house, write, "allow")
        assert await state(house, conversation_id) == (RunState.WAITING, "approval")
        assert await house.work() == 0
        await decide(house, command, "deny")
        assert await house.work() == 1
        outcomes = [result.outcome for result in (await results(house, conversation_id)).values()]
        assert outcomes == [Outcome.OK, Outcome.DENIED, Outcome.OK]
        assert (house.workspace / "new.txt").read_text() == "new"
        assert not (house.workspace / "ran.txt").exists()


async def test_a_decision_is_bound_to_the_exact_call(tmp_path: Path) -> None:
    async with open_house(tmp_path, ONE) as house:
        conversation_id, (view,) = await asked(house)
        with pytest.raises(InvalidInput, match="another call"):
            await decide(house, view.model_copy(update={"call_digest": "0" * 64}), "allow")
        with pytest.raises(NotFound, match="no approval"):
            await decide(house, view.model_copy(update={"id": uuid4()}), "allow")
        assert await state(house, conversation_id) == (RunState.WAITING, "approval")


async def test_a_yes_for_good_is_for_the_same_call_only(tmp_path: Path) -> None:
    async with open_house(tmp_path, TWICE) as house:
        conversation_id, (view,) = await asked(house)
        await decide(house, view, "allow", remember=True)
        await house.work()
        (pending,) = [
            v for v in await house.views.approvals(house.owner, conversation_id) if v.state == "pending"
        ]
        assert pending.input == {"command": "echo y >> ran.txt"}
        assert (house.workspace / "ran.txt").read_text() == "x\nx\n"
        await decide(house, pending, "allow")
        await house.work()
        assert (house.workspace / "ran.txt").read_text() == "x\nx\ny\n"


async def test_a_rule_can_be_granted_with_a_yes(tmp_path: Path) -> None:
    async with open_house(tmp_path, TWICE) as house:
        conversation_id, (view,) = await asked(house)
        for rule, words in (
            ("Bash(timeout:5)", "not allowed"),
            ("Edit(x)", "speaks of Edit"),
            ("Bash(x", "is no permission rule"),
            ("Fetch", "there is no tool Fetch"),
        ):
            with pytest.raises(InvalidInput, match=words):
                await decide(house, view, "allow", rule=rule)
        with pytest.raises(InvalidInput, match="only goes with the decision allow"):
            await decide(house, view, "deny", rule="Bash(echo *)")
        await decide(house, view, "allow", rule="Bash(echo *)")
        await house.work()
        # The rule speaks of the command; the file it redirects to is an edit, which is still asked for.
        assert await state(house, conversation_id) == (RunState.WAITING, "approval")
        await house.intake.change_mode(
            house.owner, conversation_id, ModeOrder(permission_mode=PermissionMode.ACCEPT_EDITS)
        )
        await house.work()
        assert (house.workspace / "ran.txt").read_text() == "x\nx\ny\n"
        assert await state(house, conversation_id) == (RunState.COMPLETED, "end_turn")


async def test_a_request_that_nobody_decides_runs_out(tmp_path: Path) -> None:
    async with open_house(tmp_path, ONE, patience=timedelta(seconds=1)) as house:
        conversation_id, (view,) = await asked(house)
        clock = Clock(house.database, admission=ADMISSION, publish=house.published.extend)
        while not await clock.wake():  # noqa: ASYNC110  # the database's clock tells nobody
            await asyncio.sleep(0.02)
        with pytest.raises(Conflict, match="The time to decide was up"):
            await decide(house, view, "allow")
        await house.work()
        (result,) = (await results(house, conversation_id)).values()
        assert "nobody decided in time" in result.content[0]["content"]
        assert not (house.workspace / "ran.txt").exists()
        (expired,) = await house.views.approvals(house.owner, conversation_id)
        assert expired.state == "expired"


async def test_a_waiting_run_can_be_stopped_and_leaves_nothing_to_decide(tmp_path: Path) -> None:
    async with open_house(tmp_path, ONE) as house:
        conversation_id, (view,) = await asked(house)
        await house.intake.interrupt(house.owner, conversation_id, InterruptOrder())
        assert (await state(house, conversation_id))[0] is RunState.CANCELLED
        (closed,) = await house.views.approvals(house.owner, conversation_id)
        assert closed.state == "expired"
        with pytest.raises(Conflict):
            await decide(house, view, "allow")
        await house.say(conversation_id, "Go on.")
        await house.work()
        assert not (house.workspace / "ran.txt").exists()
        (result,) = (await results(house, conversation_id)).values()
        assert result.outcome is Outcome.CANCELLED


async def test_a_rule_denies_without_asking_and_the_run_goes_on(tmp_path: Path) -> None:
    rules = PermissionRules(deny=(Rule.parse("Bash(echo *)"),))
    async with open_house(tmp_path, ONE, permissions=rules) as house:
        conversation_id, pending = await asked(house, "auto")
        assert pending == []
        (result,) = (await results(house, conversation_id)).values()
        assert result.outcome is Outcome.DENIED
        assert "the rule Bash(echo *) forbids it" in result.content[0]["content"]
        assert not (house.workspace / "ran.txt").exists()
        assert await state(house, conversation_id) == (RunState.COMPLETED, "end_turn")


async def test_plan_changes_nothing_until_the_mode_is_changed(tmp_path: Path) -> None:
    async with open_house(tmp_path, PLAN) as house:
        (house.workspace / "notes.txt").write_text("notes\n")
        conversation_id, pending = await asked(house, "plan")
        assert pending == []
        write, command = (await results(house, conversation_id)).values()
        assert write.outcome is Outcome.DENIED
        assert command.outcome is Outcome.ERROR
        assert "notes" in command.content[0]["content"]
        assert sorted(path.name for path in house.workspace.iterdir()) == ["notes.txt"]
        opening = sent(house)[0]["messages"][0]["content"]
        assert any("The permission mode is plan" in block["text"] for block in opening)
        view = await house.intake.change_mode(
            house.owner, conversation_id, ModeOrder(permission_mode=PermissionMode.AUTO)
        )
        assert view.permission_mode is PermissionMode.AUTO
        await house.say(conversation_id, "Carry it out.")
        await house.work()
        assert (house.workspace / "new.txt").read_text() == "new"
        said = [b["text"] for b in sent(house)[-2]["messages"][-1]["content"]]
        assert "The permission mode is auto" in said[0]
        assert said[1] == "Carry it out."


async def test_nobody_gets_a_laxer_mode_than_the_operator_leaves(tmp_path: Path) -> None:
    rules = PermissionRules(mode=PermissionMode.ASK)
    async with open_house(tmp_path, ONE, permissions=rules) as house:
        _conversation_id, pending = await asked(house, "auto")
        assert len(pending) == 1


async def test_a_worker_that_is_lost_after_a_yes_does_not_ask_again(tmp_path: Path) -> None:
    async with open_house(tmp_path, ONE) as house:
        conversation_id, (view,) = await asked(house)
        await decide(house, view, "allow")
        requests = (await house.types(conversation_id)).count("approval.requested")
        await house.work()
        assert (await house.types(conversation_id)).count("approval.requested") == requests == 1
        assert (house.workspace / "ran.txt").read_text() == "ran\n"
