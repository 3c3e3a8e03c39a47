"""The end of a task: its agent's account in a call of its own, the last look, and the report of both."""

import subprocess
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest

from flynn.agent.account import account_format
from flynn.domain import events as ev
from flynn.domain.claim import Judgement
from flynn.domain.orders import InterruptOrder, MessageOrder, TaskOrder
from flynn.domain.report import Report
from flynn.domain.run import Limits, RunState
from flynn.domain.views import TaskView
from flynn.model.claude import Claude
from flynn.model.switches import Switches
from flynn.simulator import Options
from tests.eventually import abandon, eventually
from tests.house import House, open_house
from tests.invariants.test_checkouts import begin

STRICT = Options(binding="strict", unproven="refuse")

SCRIPT = """
name: later
match: And now?
match_in: latest_message
turns: [{blocks: [{thinking: Later.}, {text: Here I am.}]}]
---
name: task
turns:
  - blocks:
      - {thinking: I write.}
      - {tool: Write, input: {file_path: run.sh, content: "#!/bin/sh\\necho $1\\n"}}
  - blocks: [{tool: Bash, input: {command: "sh run.sh a", description: Try the script}}]
  - blocks: [{thinking: So.}, {text: It is written.}]
ACCOUNT
"""

HONEST = """
account:
  summary: The script is written.
  files_changed: [run.sh]
  verification: [{what: it runs, command: sh run.sh a, result: passed}]
  criteria: [{criterion: it runs, verdict: met, how: it printed a, command: sh run.sh a}]
  findings: some
  next_steps: [{who: Tron-QA, what: call it with two words}]
"""

LYING = """
account:
  summary: All of it is done and tested.
  files_changed: [run.sh, never.sh, notes.txt]
  verification: [{what: the tests, command: pytest -q, result: passed}]
  findings: none
"""


def script(account: str = "") -> str:
    return SCRIPT.replace("ACCOUNT", account)


def answer(blocks: str, faults: str = "") -> str:
    return script(f"account_turn:\n  blocks: {blocks}\n" + (f"  faults: [{faults}]\n" if faults else ""))


async def delegated(house: House, **more: Any) -> TaskView:
    (house.workspace / "notes.txt").write_text("The sky is blue.\n")
    order = TaskOrder.model_validate({"instructions": "Write it.", "workspace": "house", **more})
    task, _ = await house.intake.delegate_task(house.owner, order, idempotency_key=None)
    return task


def commit(tree: Path) -> None:
    """Make `tree` a repository with a commit that has notes.txt."""
    (tree / "notes.txt").write_text("The sky is blue.\n")
    for words in ("init -q", "add -A", "-c user.name=p -c user.email=p@q commit -qm one"):
        subprocess.run(["git", *words.split()], cwd=tree, check=True)


async def reported(house: House, task: TaskView, state: RunState = RunState.COMPLETED) -> Report:
    view = await house.views.task(house.owner, task.id)
    assert view.state is state, view.detail
    assert view.report is not None
    return view.report


E = TypeVar("E")


async def of_type(house: House, task: TaskView, kind: type[E]) -> list[E]:
    return [r.event for r in await house.log(task.conversation_id) if isinstance(r.event, kind)]


def requests(house: House) -> list[dict[str, Any]]:
    return [orjson.loads(record.body) for record in house.simulator.stage.records if record.body]


async def test_an_honest_account_is_asked_for_once_and_borne_out(tmp_path: Path) -> None:
    async with open_house(tmp_path, script(HONEST), options=STRICT) as house:
        task = await delegated(house, acceptance_criteria=["it runs"])
        await house.work()
        report = await reported(house, task)
        assert report.account is not None
        assert report.account.next_steps[0].who == "Tron-QA"
        assert {claim.judgement for claim in report.claims} == {Judgement.SUPPORTED}
        assert [(c.said, c.judgement) for c in report.criteria] == [("met", Judgement.SUPPORTED)]
        assert report.unmentioned == []
        assert report.prose == "It is written."
        assert report.evidence.commands[0].description == "Try the script"
        checks = report.evidence.checks
        assert checks is not None
        assert [(f.rule, f.line, f.new) for f in checks.findings] == [("SC2086", 2, True)]
        assert {item.id for item in checks.checklist} >= {"secrets", "health-checks"}
        # It is a call like the others: in the log, paid for, over the same frozen prefix.
        assert report.evidence.steps == 4
        run = (await of_type(house, task, ev.RunCompleted))[0]
        assert run.steps == 4
        last = (await of_type(house, task, ev.StepStarted))[-1]
        assert last.params["account"] is True
        assert last.params["format"] == account_format()
        # People read words, not the form.
        said = await house.views.messages(house.owner, task.conversation_id)
        assert [item.text for item in said.items][-1] == "It is written."
        assert not any("files_changed" in delta.text for delta in house.deltas)
        # The conversation goes on, the account in it.
        await house.intake.send_message(house.owner, task.conversation_id, MessageOrder(text="And now?"))
        await house.work()
        again = await reported(house, task)
        assert again.prose == "Here I am."
        assert len(await of_type(house, task, ev.AccountRequested)) == 2
        assert len(await of_type(house, task, ev.TaskAccounted)) == 2


@pytest.mark.parametrize(
    "repository",
    [False, pytest.param(True, marks=[pytest.mark.slow, pytest.mark.needs("git", "bubblewrap")])],
)
async def test_a_lying_account_is_contradicted(tmp_path: Path, repository: bool) -> None:
    async with open_house(tmp_path, script(LYING), options=STRICT, volume=True) as house:
        if repository:
            commit(house.workspace)
        task = await delegated(house)
        await house.work()
        assert len(await of_type(house, task, ev.CheckoutMade)) == repository
        report = await reported(house, task)
        contradicted = {claim.said: claim.why for claim in report.contradicted}
        assert contradicted == {
            "the tests: pytest -q passed": "No such command ran.",
            "It was changed: never.sh": "There is no such file.",
            "It was changed: notes.txt": "It holds what it held when the task began.",
            "The linters find nothing new in the changed files": (
                "They find 1, first shellcheck SC2086 in run.sh:2."
            ),
        }
        assert [c.judgement for c in report.claims][:4] == [Judgement.CONTRADICTED] * 4


async def test_in_a_checkout_a_file_that_was_left_alone_is_known_by_its_content(tmp_path: Path) -> None:
    named = LYING.replace("notes.txt]", "notes.txt, again.txt, deep]")
    again = "rm deep/gone.txt; cp again.txt x; rm again.txt; mv x again.txt; sh run.sh a"
    turns = script(named).replace("sh run.sh a", again)
    async with open_house(tmp_path, turns, options=STRICT, volume=True) as house:
        for name in ("notes.txt", "again.txt", "deep/gone.txt"):
            (house.workspace / name).parent.mkdir(exist_ok=True)
            (house.workspace / name).write_text("The sky is blue.\n")
        begin(house.workspace)
        task = await delegated(house)
        await house.work()
        report = await reported(house, task)
        assert report.evidence.handed_over == "updated"
        files = {claim.said: (claim.judgement, claim.why) for claim in report.claims if claim.kind == "file"}
        same = (Judgement.CONTRADICTED, "It holds what it held when the task began.")
        assert files == {
            "It was changed: run.sh": (Judgement.SUPPORTED, "Its content differs."),
            "It was changed: never.sh": (Judgement.CONTRADICTED, "There is no such file."),
            "It was changed: notes.txt": same,
            "It was changed: again.txt": same,
            "It was changed: deep": (Judgement.SUPPORTED, "Files in it differ."),
        }


async def test_at_the_end_old_findings_are_told_from_new_ones(tmp_path: Path) -> None:
    turns = """
name: task
turns:
  - blocks: [{tool: Read, input: {file_path: old.sh}}]
  - blocks: [{tool: Edit, input: {file_path: old.sh, old_string: "# end", new_string: "cd $2"}}]
  - blocks: [{text: Done.}]
account: {summary: Done., findings: none}
"""
    async with open_house(tmp_path, turns, options=STRICT) as house:
        (house.workspace / "old.sh").write_text("#!/bin/sh\necho $1\n# end\n")
        task = await delegated(house)
        await house.work()
        checks = (await reported(house, task)).evidence.checks
        assert checks is not None
        assert {(f.rule, f.line, f.new) for f in checks.findings} == {
            ("SC2086", 2, False),
            ("SC2086", 3, True),
            ("SC2164", 3, True),
        }
        assert [f.new for f in checks.findings] == [True, True, False]


async def test_words_during_the_call_are_answered_and_the_account_is_asked_for_anew(tmp_path: Path) -> None:
    slow = answer("[{object: {summary: Late or not.}}]", "{kind: hang, seconds: 3, on_attempt: 1}")
    async with open_house(tmp_path, slow, options=STRICT) as house:
        task = await delegated(house)
        worker = await house.start_work()

        async def asked() -> bool:
            return any(s.params.get("account") for s in await of_type(house, task, ev.StepStarted))

        await eventually(asked, what="the call for the account")
        await house.intake.send_message(house.owner, task.conversation_id, MessageOrder(text="And now?"))
        await worker
        await house.work()
        report = await reported(house, task)
        assert report.prose == "Here I am."
        assert len(await of_type(house, task, ev.TaskReported)) == 1
        assert len(await of_type(house, task, ev.AccountRequested)) == 2
        assert report.account is not None


async def test_without_words_of_a_scenario_the_least_account_comes(tmp_path: Path) -> None:
    async with open_house(tmp_path, script(), options=STRICT) as house:
        task = await delegated(house)
        await house.work()
        report = await reported(house, task)
        assert report.account is not None
        assert (report.account.summary, report.account.findings) == ("", "unknown")
        assert report.unmentioned == ["run.sh"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("blocks", "faults", "calls", "missing"),
    [
        ("[{text: All is well.}]", "", 2, "no JSON"),
        ('[{text: "{}"}]', "", 2, "does not have the form"),
        ("[{tool: Bash, input: {command: touch x}}]", "", 2, "was not called"),
        ("[{object: {}}]", "{kind: max_tokens}", 1, "cut off"),
        ("[{object: {}}]", "{kind: refusal}", 1, "declined"),
        ("[{object: {}}]", "{kind: bad_request}", 1, ""),
        ("[{object: {}}]", "{kind: overloaded}", 2, ""),
        ("[{object: {}}]", "{kind: rate_limited, retry_after: 60}", 1, ""),
        ("[{object: {}}]", "{kind: stream_cut}", 2, "broke off"),
    ],
)
async def test_what_is_no_account_never_blocks_the_end(
    tmp_path: Path, blocks: str, faults: str, calls: int, missing: str
) -> None:
    async with open_house(tmp_path, answer(blocks, faults), options=STRICT) as house:
        task = await delegated(house)
        await house.work()
        report = await reported(house, task)
        assert report.account is None
        assert report.account_missing
        assert missing in report.account_missing
        asked = [s for s in await of_type(house, task, ev.StepStarted) if s.params.get("account")]
        assert len(asked) == calls
        assert not (house.workspace / "x").exists()
        # And the conversation is not bricked, nor is it asked for an account again on the way.
        await house.intake.send_message(house.owner, task.conversation_id, MessageOrder(text="And now?"))
        await house.work()
        said = await house.views.messages(house.owner, task.conversation_id)
        assert said.items[-1].text == "Here I am."


async def test_a_failure_that_passes_is_asked_past_once(tmp_path: Path) -> None:
    turn = answer("[{object: {summary: At last.}}]", "{kind: overloaded, on_attempt: 1}")
    async with open_house(tmp_path, turn, options=STRICT) as house:
        task = await delegated(house)
        await house.work()
        report = await reported(house, task)
        assert report.account is not None
        assert report.account.summary == "At last."


async def test_what_the_dollars_do_not_allow_is_not_asked(tmp_path: Path) -> None:
    # Half a cent is reserved for each call; the last words cost a quarter of one.
    last = "{text: It is written.}]\n"
    wordy = script(HONEST).replace(last, f"{last}    output_tokens: 5000\n")
    limits = Limits(turns=50, nanodollars=7_000_000, prompt_tokens=95_000)
    async with open_house(tmp_path, wordy, options=STRICT, limits=limits, output=(8_192, 8_192)) as house:
        task = await delegated(house)
        await house.work()
        report = await reported(house, task)
        assert report.account is None
        assert report.account_missing == "What is left of the budget is not enough for one more call."
        assert not any(s.params.get("account") for s in await of_type(house, task, ev.StepStarted))


async def test_an_endpoint_without_formats_is_asked_in_words(tmp_path: Path) -> None:
    said = '{"summary": "In words.", "files_changed": ["run.sh"], "mood": "good"}'
    turns = (
        SCRIPT.replace("ACCOUNT", "").rstrip()
        + f"\n  - blocks: [{{text: 'Here: {said} So much for that.'}}]\n"
    )
    async with open_house(tmp_path, turns, options=STRICT) as house:
        plain = Claude(api_key="test-key", base_url=house.simulator.url, switches=Switches(structured=False))
        house.runner.workplace._model = plain
        try:
            task = await delegated(house)
            await house.work()
        finally:
            await plain.close()
        report = await reported(house, task)
        assert report.account is not None, report.account_missing
        assert report.account.summary == "In words."
        assert not any("format" in body.get("output_config", {}) for body in requests(house))


async def test_a_chat_gives_no_account(tmp_path: Path) -> None:
    async with open_house(tmp_path, script(HONEST), options=STRICT) as house:
        chat = await house.converse()
        await house.say(chat.id, "Write it.")
        await house.work()
        types = await house.types(chat.id)
        assert types[-1] == "run.completed"
        assert not {"account.requested", "task.accounted", "task.checked"} & set(types)


async def test_a_worker_that_is_lost_in_the_call_asks_no_second_account(tmp_path: Path) -> None:
    hanging = answer("[{object: {summary: Here.}}]", "{kind: hang, seconds: 30, on_attempt: 1}")
    async with open_house(tmp_path, hanging, options=STRICT) as house:
        task = await delegated(house)
        worker = await house.start_work()

        async def asked() -> bool:
            return any(s.params.get("account") for s in await of_type(house, task, ev.StepStarted))

        await eventually(asked, what="the call for the account")
        await abandon(worker)
        await house.work()
        report = await reported(house, task)
        assert report.account is not None
        assert report.account.summary == "Here."
        assert len(await of_type(house, task, ev.AccountRequested)) == 1
        assert len(await of_type(house, task, ev.TaskAccounted)) == 1


async def test_a_stop_during_the_call_ends_the_task_as_stopped(tmp_path: Path) -> None:
    hanging = answer("[{object: {}}]", "{kind: hang, seconds: 30}")
    async with open_house(tmp_path, hanging, options=STRICT) as house:
        task = await delegated(house)
        worker = await house.start_work()

        async def asked() -> bool:
            return any(s.params.get("account") for s in await of_type(house, task, ev.StepStarted))

        await eventually(asked, what="the call for the account")
        await house.intake.interrupt(house.owner, task.conversation_id, InterruptOrder())
        await worker
        report = await reported(house, task, RunState.CANCELLED)
        assert report.account is None
        assert report.account_missing == "The agent came to no end of its own."
        await house.intake.send_message(house.owner, task.conversation_id, MessageOrder(text="And now?"))
        await house.work()
        said = await house.views.messages(house.owner, task.conversation_id)
        assert said.items[-1].text == "Here I am."
