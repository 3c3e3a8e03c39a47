"""An undo takes back what one call did to a file, all of it or nothing, once, and over nobody's work.

Real Postgres, files and runs; the model is simulated, and where an undo is at work it is not asked at all.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain import events as ev
from flynn.domain.errors import Conflict, Forbidden, InvalidInput, LeaseLost, NotFound, QueueFull
from flynn.domain.orders import InterruptOrder, KeyOrder, TaskOrder, UndoOrder
from flynn.domain.original import MOST_BYTES, Original
from flynn.domain.principal import Principal
from flynn.domain.run import RunState
from flynn.domain.views import UndoAcknowledgement
from flynn.intake import keys, undos
from flynn.store import originals
from flynn.store.admission import AdmissionLimits
from flynn.telemetry.crash_point import arm
from flynn.workspace.entry import digest
from tests.eventually import eventually
from tests.house import House, TestLease, open_house
from tests.telemetry.test_telemetry_redaction import TOKENS

SCRIPT = """
name: after
match: What now
match_in: latest_message
turns:
  - blocks: [{text: "I know."}]
---
name: try
match: Try it
match_in: latest_message
turns:
  - blocks: [{tool: Edit, call: again, input: {file_path: config.txt, old_string: red, new_string: pink}}]
  - blocks: [{text: "I was told: {{ result('again').text }}"}]
---
name: edit twice
match: Twice
turns:
  - blocks: [{tool: Read, input: {file_path: config.txt}}]
  - blocks: [{tool: Edit, input: {file_path: config.txt, old_string: red, new_string: blue}}]
  - blocks: [{tool: Edit, input: {file_path: config.txt, old_string: blue, new_string: green}}]
  - blocks: [{text: Twice.}]
---
name: edit
match: Edit
turns:
  - blocks: [{tool: Read, input: {file_path: config.txt}}]
  - blocks: [{tool: Edit, input: {file_path: config.txt, old_string: red, new_string: blue}}]
  - blocks: [{text: Done.}]
---
name: write
match: Write
turns:
  - blocks: [{tool: Write, input: {file_path: a/b/new.txt, content: "new\\n"}}]
  - blocks: [{text: Done.}]
---
name: look
match: Look
turns:
  - blocks: [{tool: Read, input: {file_path: config.txt}}]
  - blocks: [{text: Looked.}]
---
name: blind
match: Be blind
turns:
  - blocks: [{tool: Write, input: {file_path: config.txt, content: "unseen"}}]
  - blocks: [{text: Looked.}]
---
name: shrink
match: Shrink
turns:
  - blocks: [{tool: Read, input: {file_path: config.txt, limit: 1}}]
  - blocks: [{tool: Write, input: {file_path: config.txt, content: "small\\n"}}]
  - blocks: [{text: Smaller.}]
"""
BEFORE, AFTER = b"colour: red\r\nsize: 3\r\n", b"colour: blue\r\nsize: 3\r\n"
SECRET = f"token = {TOKENS['GitHub']}"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One house for all: each test has a conversation of its own."""
    async with open_house(tmp_path_factory.mktemp("undo"), SCRIPT) as house:
        yield house


@pytest.fixture
def house(whole: House) -> House:
    """The house, its workspace empty."""
    for path in (*whole.workspace.iterdir(), whole.workspace.parent / "outside.txt"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return whole


class Scene:
    """A house with one conversation in which the agent has worked."""

    def __init__(self, house: House, conversation: UUID) -> None:
        self.house = house
        self.conversation = conversation

    @property
    def config(self) -> Path:
        return self.house.workspace / "config.txt"

    async def calls(self, tool: str) -> list[str]:
        """The ids of the finished calls of a tool, in order."""
        return [
            r.event.call_id
            for r in await self.house.log(self.conversation)
            if isinstance(r.event, ev.ToolFinished) and r.event.tool == tool
        ]

    async def ask(
        self, call_id: str, client_id: str | None = None, by: Principal | None = None
    ) -> UndoAcknowledgement:
        """Ask for an undo; nobody works on it yet."""
        order = UndoOrder(call_id=call_id, client_undo_id=client_id)
        return await self.house.intake.undo(by or self.house.owner, self.conversation, order)

    async def undo(self, call_id: str) -> ev.WorkspaceReverted:
        """Ask for an undo and work on it; what came of it."""
        await self.ask(call_id)
        await self.house.work()
        return (await self.reverted())[-1]

    async def reverted(self) -> list[ev.WorkspaceReverted]:
        """What came of all undos so far."""
        log = await self.house.log(self.conversation)
        return [r.event for r in log if isinstance(r.event, ev.WorkspaceReverted)]

    async def state(self) -> RunState:
        """That of the latest run."""
        view = await self.house.views.conversation(self.house.owner, self.conversation)
        assert view.run is not None
        return view.run.state


async def scene(house: House, words: str) -> Scene:
    """Let the agent work on `config.txt`, as the script of these words says."""
    found = Scene(house, (await house.converse()).id)
    await asyncio.to_thread(found.config.write_bytes, BEFORE)
    await house.say(found.conversation, words)
    await house.work()
    assert await found.state() is RunState.COMPLETED
    return found


async def test_an_edit_is_undone_and_the_model_learns_of_it(house: House) -> None:
    here = await scene(house, "Edit.")
    await asyncio.to_thread(here.config.chmod, 0o755)
    (call,) = await here.calls("Edit")
    asked_before = len(list(house.simulator.stage.records))
    asked = await here.ask(call)
    assert (asked.call_id, asked.duplicate, asked.run.kind) == (call, False, "undo")
    await house.work()
    assert here.config.read_bytes() == BEFORE
    assert here.config.stat().st_mode & 0o777 == 0o755
    assert len(list(house.simulator.stage.records)) == asked_before, "an undo asks no model"
    log = await house.log(here.conversation)
    assert [r.event.type for r in log[-5:]] == [
        "undo.requested",
        "run.queued",
        "run.started",
        "workspace.reverted",
        "run.completed",
    ]
    assert log[-5].seq == asked.seq
    (reverted,) = await here.reverted()
    assert isinstance(reverted.target, ev.UndoneCall)
    assert (reverted.refused, reverted.target.call_id) == (None, call)
    assert [(f.path, f.after) for f in reverted.files] == [("config.txt", digest(BEFORE))]
    assert [r for r in house.published if r.conversation_id == here.conversation] == log
    await house.say(here.conversation, "What now?")
    await house.work()
    body = list(house.simulator.stage.records)[-1].body
    assert body is not None
    assert b"owner undid your call of Edit on config.txt" in body


async def test_what_was_undone_has_to_be_read_again(house: House) -> None:
    here = await scene(house, "Edit.")
    (call,) = await here.calls("Edit")
    await here.undo(call)
    await house.say(here.conversation, "Try it.")
    await house.work()
    said = (await house.views.messages(house.owner, here.conversation)).items[-1].text
    assert "has not been read yet" in said
    assert here.config.read_bytes() == BEFORE


async def test_of_two_changes_the_later_one_goes_first(house: House) -> None:
    here = await scene(house, "Twice.")
    first, second = await here.calls("Edit")
    refused = await here.undo(first)
    assert refused.refused == "config.txt has changed since that call. Nothing was changed by the undo."
    assert (refused.files, refused.content) == ([], [])
    assert await here.state() is RunState.FAILED
    assert b"green" in here.config.read_bytes()
    assert (await here.undo(second)).refused is None
    assert b"blue" in here.config.read_bytes()
    assert (await here.undo(first)).refused is None
    assert here.config.read_bytes() == BEFORE
    for call in (first, second):
        with pytest.raises(Conflict, match="undone already"):
            await here.ask(call)


async def test_a_new_file_goes_with_the_directories_that_were_made_for_it(house: House) -> None:
    (house.workspace / "a").mkdir()
    here = await scene(house, "Write.")
    (call,) = await here.calls("Write")
    assert (await here.undo(call)).refused is None
    assert set(tree(house.workspace)) == {"config.txt", "a"}


async def test_a_directory_that_is_used_by_now_stays(house: House) -> None:
    here = await scene(house, "Write.")
    (house.workspace / "a" / "mine.txt").write_text("mine")
    (call,) = await here.calls("Write")
    assert (await here.undo(call)).refused is None
    assert sorted(p.name for p in (house.workspace / "a").iterdir()) == ["mine.txt"]


def changed(file: Path) -> None:
    file.write_bytes(b"somebody else was here")


def gone(file: Path) -> None:
    file.unlink()


def a_link(file: Path) -> None:
    """The same content, but elsewhere."""
    file.rename(file.with_name("elsewhere.txt"))
    file.symlink_to("elsewhere.txt")


def a_link_out(file: Path) -> None:
    outside = file.parent.parent / "outside.txt"
    file.rename(outside)
    file.symlink_to(outside)


def a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("happens", [changed, gone, a_link, a_link_out, a_directory])
async def test_nobodys_work_is_overwritten(house: House, happens: Callable[[Path], None]) -> None:
    here = await scene(house, "Edit.")
    await asyncio.to_thread(happens, here.config)
    before = tree(house.workspace) | tree(house.workspace.parent, "outside.txt")
    (call,) = await here.calls("Edit")
    reverted = await here.undo(call)
    assert reverted.refused is not None
    assert "Nothing was changed by the undo." in reverted.refused
    assert str(house.workspace) not in reverted.refused
    assert tree(house.workspace) | tree(house.workspace.parent, "outside.txt") == before
    view = await house.views.conversation(house.owner, here.conversation)
    assert view.run is not None
    assert (view.run.kind, view.run.state, view.run.reason) == ("undo", RunState.FAILED, "undo-refused")
    assert view.run.detail == reverted.refused


def tree(root: Path, pattern: str = "**/*") -> dict[str, bytes | str | None]:
    """What is where, links as what they say."""
    return {
        str(p.relative_to(root)): (
            str(p.readlink()) if p.is_symlink() else p.read_bytes() if p.is_file() else None
        )
        for p in root.glob(pattern)
    }


async def test_a_moved_directory_is_not_followed(house: House) -> None:
    here = await scene(house, "Write.")
    (house.workspace / "a").rename(house.workspace / "moved")
    (house.workspace / "a").symlink_to("moved")
    (call,) = await here.calls("Write")
    reverted = await here.undo(call)
    assert reverted.refused is not None
    assert "another place" in reverted.refused
    assert (house.workspace / "moved/b/new.txt").read_text() == "new\n"


@pytest.mark.parametrize("point", ["revert.before-act", "file.staged", "file.renamed", "revert.after-act"])
async def test_a_lost_worker_leaves_nothing_half_done(house: House, point: str) -> None:
    here = await scene(house, "Edit.")
    (call,) = await here.calls("Edit")
    await here.ask(call)
    ((run_id, job_id),) = await house.jobs()
    with lost_at(point), pytest.raises(LeaseLost):
        await house.runner.run(run_id, TestLease(job_id))
    assert await here.reverted() == []
    assert await here.state() is RunState.RUNNING
    await house.work()
    (reverted,) = await here.reverted()
    assert (reverted.refused, here.config.read_bytes()) == (None, BEFORE)
    assert len(await here.calls("Edit")) == 1


async def test_a_removal_that_was_cut_short_is_finished(house: House) -> None:
    here = await scene(house, "Write.")
    (call,) = await here.calls("Write")
    await here.ask(call)
    ((run_id, job_id),) = await house.jobs()
    with lost_at("file.removed"), pytest.raises(LeaseLost):
        await house.runner.run(run_id, TestLease(job_id))
    assert (house.workspace / "a/b").is_dir()
    await house.work()
    (reverted,) = await here.reverted()
    assert reverted.refused is None
    assert not (house.workspace / "a").exists()


@contextmanager
def lost_at(point: str) -> Iterator[None]:
    """Whoever comes to `point` finds that the lease is gone."""

    def act(name: str) -> None:
        if name == point:
            raise LeaseLost("the test took the lease away")

    arm(act)
    try:
        yield
    finally:
        arm(None)


async def test_without_a_lease_nothing_is_restored(house: House) -> None:
    here = await scene(house, "Edit.")
    (call,) = await here.calls("Edit")
    await here.ask(call)
    ((run_id, job_id),) = await house.jobs()
    with pytest.raises(LeaseLost):
        await house.runner.run(run_id, TestLease(job_id, gone=True))
    assert here.config.read_bytes() == AFTER
    await house.work()
    assert here.config.read_bytes() == BEFORE


async def test_what_cannot_be_undone_is_refused_with_the_reason(house: House) -> None:
    here = await scene(house, "Edit.")
    (read,), (edit,) = await here.calls("Read"), await here.calls("Edit")
    with pytest.raises(NotFound, match="No call 'toolu_none'"):
        await here.ask("toolu_none")
    with pytest.raises(Conflict, match="call of Read cannot be undone"):
        await here.ask(read)
    before = await house.log(here.conversation)
    first = await here.ask(edit, "mine")
    again = await here.ask(edit, "mine")
    assert (again.seq, again.run.id, again.duplicate) == (first.seq, first.run.id, True)
    with pytest.raises(InvalidInput, match="another undo"):
        await here.ask(read, "mine")
    with pytest.raises(Conflict, match="A run of this conversation is queued: stop it or wait"):
        await here.ask(edit, "another")
    assert len(await house.log(here.conversation)) == len(before) + 2
    await house.work()
    assert (await here.ask(edit, "mine")).run.state is RunState.COMPLETED
    with pytest.raises(Conflict, match="undone already"):
        await here.ask(edit, "another")


async def test_a_call_of_unknown_outcome_is_undone_by_what_snapshots_tell(house: House) -> None:
    here = Scene(house, (await house.converse()).id)
    await house.say(here.conversation, "Write.")
    ((run_id, job_id),) = await house.jobs()
    with lost_at("file.renamed"), pytest.raises(LeaseLost):
        await house.runner.run(run_id, TestLease(job_id))
    call = next(
        r.event.call_id for r in await house.log(here.conversation) if isinstance(r.event, ev.ToolStarted)
    )
    with pytest.raises(Conflict, match="running: stop it or wait"):
        await here.ask(call)
    await house.work()
    assert (house.workspace / "a/b/new.txt").exists()
    assert (await here.undo(call)).refused is None
    assert not (house.workspace / "a").exists()


async def test_a_call_that_failed_has_no_undo(house: House) -> None:
    here = await scene(house, "Be blind.")
    (call,) = await here.calls("Write")
    with pytest.raises(Conflict, match="cannot be undone"):
        await here.ask(call)


async def test_words_that_come_meanwhile_are_answered(house: House) -> None:
    here = await scene(house, "Edit.")
    (call,) = await here.calls("Edit")
    asked = await here.ask(call)
    joined = await house.say(here.conversation, "What now?")
    assert joined.run.id == asked.run.id
    await house.work()
    assert here.config.read_bytes() == BEFORE
    log = await house.log(here.conversation)
    ends = [r.event.stop_reason for r in log if isinstance(r.event, ev.RunCompleted)]
    assert ends == ["end_turn", "undone", "end_turn"]
    said = (await house.views.messages(house.owner, here.conversation)).items[-1].text
    assert said == "I know."


async def test_words_are_answered_when_the_undo_is_refused_or_its_worker_fails(house: House) -> None:
    here = await scene(house, "Edit.")
    changed(here.config)
    (call,) = await here.calls("Edit")
    await here.ask(call)
    await house.say(here.conversation, "What now?")
    await house.work()
    assert await here.state() is RunState.COMPLETED
    away = house.workspace.with_name("away")
    await asyncio.to_thread(house.workspace.rename, away)
    await here.ask(call)
    await house.say(here.conversation, "What now?")
    await asyncio.to_thread(house.workspace.write_text, "no directory")
    ((run_id, job_id),) = await house.jobs()
    await house.runner.run(run_id, TestLease(job_id))
    log = await house.log(here.conversation)
    failed = [r.event.code for r in log if isinstance(r.event, ev.RunFailed)]
    assert failed == ["undo-refused", "workspace"]
    assert log[-1].event == ev.RunQueued(reason="successor")
    await asyncio.to_thread(house.workspace.unlink)
    await asyncio.to_thread(away.rename, house.workspace)
    await house.work()
    said = (await house.views.messages(house.owner, here.conversation)).items[-1].text
    assert (await here.state(), said) == (RunState.COMPLETED, "I know.")


async def test_an_undo_that_was_stopped_can_be_asked_for_again(house: House) -> None:
    here = await scene(house, "Edit.")
    (call,) = await here.calls("Edit")
    await here.ask(call)
    ((run_id, job_id),) = await house.jobs()
    with lost_at("revert.after-act"), pytest.raises(LeaseLost):
        await house.runner.run(run_id, TestLease(job_id))
    await house.intake.interrupt(house.owner, here.conversation, InterruptOrder())
    await house.work()
    assert await here.state() is RunState.CANCELLED
    assert await here.reverted() == []
    assert (await here.undo(call)).refused is None
    assert here.config.read_bytes() == BEFORE
    # Of a stopped undo the model is not told as if its own work had been stopped.
    await house.say(here.conversation, "What now?")
    await house.work()
    body = list(house.simulator.stage.records)[-1].body
    assert body is not None
    assert b"The work was stopped here" not in body


@pytest.mark.parametrize("late", [False, True])
async def test_a_stop_while_the_undo_acts_ends_the_words_before_it_and_no_later_ones(
    house: House, late: bool
) -> None:
    here = await scene(house, "Edit.")
    (call,) = await here.calls("Edit")
    await here.ask(call)

    async def come_between() -> None:
        await house.say(here.conversation, "Try it.")
        await house.intake.interrupt(house.owner, here.conversation, InterruptOrder())
        assert await here.state() is RunState.RUNNING
        if late:
            await house.say(here.conversation, "What now?")

    asked_before = len(list(house.simulator.stage.records))
    with meanwhile("file.renamed", come_between) as happened:
        await house.work()
    assert happened == ["file.renamed"]
    assert here.config.read_bytes() == BEFORE
    log = await house.log(here.conversation)
    ends = [r.event.stop_reason for r in log if isinstance(r.event, ev.RunCompleted)]
    assert ends == (["end_turn", "undone", "end_turn"] if late else ["end_turn", "undone"])
    assert len(list(house.simulator.stage.records)) - asked_before == (1 if late else 0)
    assert len(await here.calls("Edit")) == 1


@contextmanager
def meanwhile(point: str, act: Callable[[], Coroutine[Any, Any, None]]) -> Iterator[list[str]]:
    """Do `act` once while a thread of the house stands at `point`; gives the points where it was done."""
    loop, done = asyncio.get_running_loop(), list[str]()

    def pause(name: str) -> None:
        if name == point and not done:
            done.append(name)
            asyncio.run_coroutine_threadsafe(act(), loop).result(30)

    arm(pause)
    try:
        yield done
    finally:
        arm(None)


async def test_undos_of_the_same_instant_find_no_more_places_than_there_are(house: House) -> None:
    places = [await scene(house, "Edit.") for _ in range(2)]
    rules = replace(house.rules, admission=AdmissionLimits(depth=1, principal_depth=1))

    async def ask(connection: AsyncConnection, here: Scene) -> None:
        order = UndoOrder(call_id=(await here.calls("Edit"))[0])
        await undos.undo(connection, house.owner, here.conversation, order, rules=rules)

    async def also() -> None:
        async with house.database.begin() as connection:
            await ask(connection, places[1])

    async with house.database.begin() as connection:
        await ask(connection, places[0])
        # The other one finds the place free as well, and then waits for this transaction.
        second = asyncio.create_task(also())
        await eventually(lambda: anybody_waits(house), what="the wait for a lock")
    with pytest.raises(QueueFull, match="1 runs of yours are queued already; at most 1 may be"):
        await second
    assert [len(await here.reverted()) for here in places] == [0, 0]
    assert await house.work() == 1
    assert [len(await here.reverted()) for here in places] == [1, 0]


async def anybody_waits(house: House) -> bool:
    """Whether a transaction waits for another one's lock."""
    query = text("""
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()""")
    async with house.database.statement() as connection:
        return bool(await connection.scalar(query))


async def test_the_undo_waits_for_the_run_of_another_conversation(house: House) -> None:
    here = await scene(house, "Edit.")
    (call,) = await here.calls("Edit")
    other = await house.converse()
    told = await house.say(other.id, "Look.")
    await here.ask(call)
    assert [run for run, _ in await house.jobs()] == [told.run.id]
    assert here.config.read_bytes() == AFTER
    await house.work()
    assert here.config.read_bytes() == BEFORE
    (reverted,) = await here.reverted()
    assert reverted.refused is None


async def test_members_may_undo_and_others_may_not_know(house: House) -> None:
    here = await scene(house, "Edit.")
    (call,) = await here.calls("Edit")
    people: dict[str, Principal] = {}
    for name, scope in (("member", "chat"), ("reader", "read"), ("stranger", "chat")):
        async with house.database.begin() as connection:
            made = await keys.create(connection, KeyOrder(name=name, scopes=[scope]))
        people[name] = await house.views.authenticate(made.key)
    workspace = (await house.views.conversation(house.owner, here.conversation)).workspace_id
    for name in ("member", "reader"):
        await house.intake.workspaces.add_member(house.owner, workspace, name)
    with pytest.raises(NotFound):
        await here.ask(call, by=people["stranger"])
    with pytest.raises(Forbidden):
        await here.ask(call, by=people["reader"])
    await here.ask(call, by=people["member"])
    await house.work()
    assert here.config.read_bytes() == BEFORE
    body = (await here.reverted())[0].content[0]["text"]
    assert "member undid your call" in body


async def test_a_full_workspace_refuses_what_would_make_it_larger(house: House) -> None:
    here = Scene(house, (await house.converse()).id)
    await asyncio.to_thread(here.config.write_bytes, b"a line\n" * 20_000)
    await house.say(here.conversation, "Shrink.")
    await house.work()
    (call,) = await here.calls("Write")
    async with house.database.begin() as connection:
        await connection.execute(text("UPDATE workspaces SET quota_bytes = 65536"))
    reverted = await here.undo(call)
    assert reverted.refused is not None
    assert "may take" in reverted.refused
    assert here.config.read_text() == "small\n"
    async with house.database.begin() as connection:
        await connection.execute(text("UPDATE workspaces SET quota_bytes = NULL"))
    assert (await here.undo(call)).refused is None
    assert here.config.read_bytes() == b"a line\n" * 20_000


async def test_what_was_there_before_is_shown_to_nobody(house: House) -> None:
    here = Scene(house, (await house.converse()).id)
    await asyncio.to_thread(here.config.write_text, f"{SECRET}\n")
    await house.say(here.conversation, "Shrink.")
    await house.work()
    (call,) = await here.calls("Write")
    key = SECRET.rpartition(" ")[2]
    async with house.database.statement() as connection:
        kept = await originals.read(connection, here.conversation, digest(f"{SECRET}\n".encode()))
        assert kept == f"{SECRET}\n".encode()
    with pytest.raises(NotFound):
        await house.views.blob(house.owner, here.conversation, digest(f"{SECRET}\n".encode()))
    assert (await here.undo(call)).refused is None
    assert here.config.read_text() == f"{SECRET}\n"
    shown = "".join(str(r.envelope()) for r in await house.log(here.conversation))
    shown += "".join((r.body or b"").decode() for r in house.simulator.stage.records)
    assert key not in shown
    assert key not in "".join(map(str, house.deltas))


async def test_an_original_that_is_gone_is_told(house: House) -> None:
    here = await scene(house, "Edit.")
    (call,) = await here.calls("Edit")
    await here.ask(call)
    async with house.database.begin() as connection:
        await connection.execute(text("DELETE FROM originals"))
    await house.work()
    (reverted,) = await here.reverted()
    assert reverted.refused is not None
    assert "is not kept any more" in reverted.refused
    with pytest.raises(Conflict, match="not kept"):
        await here.ask(call)


async def test_a_file_that_is_too_large_is_changed_and_not_kept(house: House) -> None:
    here = Scene(house, (await house.converse()).id)
    await asyncio.to_thread(here.config.write_bytes, b"a line\n" * (MOST_BYTES // 7 + 1))
    await house.say(here.conversation, "Shrink.")
    await house.work()
    (call,) = await here.calls("Write")
    assert here.config.read_text() == "small\n"
    with pytest.raises(Conflict, match="too large"):
        await here.ask(call)
    async with house.database.statement() as connection:
        count = text("SELECT count(*) FROM originals WHERE conversation_id = :c")
        assert await connection.scalar(count, {"c": here.conversation}) == 0


async def test_the_oldest_originals_make_room_and_one_that_is_used_again_is_young(house: House) -> None:
    conversation = (await house.converse()).id
    first, second, third = (Original(bytes([n]) * 40) for n in (1, 2, 3))
    for kept in (first, second, first, third):
        async with house.database.begin() as connection:
            await originals.save(connection, conversation, [kept], most=100)
    async with house.database.statement() as connection:
        left = [await originals.is_kept(connection, conversation, o.sha256) for o in (first, second, third)]
    assert left == [True, False, True]


async def test_a_task_keeps_its_state_and_its_report_tells_what_is_left(house: House) -> None:
    config = house.workspace / "config.txt"
    await asyncio.to_thread(config.write_bytes, BEFORE)
    order = TaskOrder(instructions="Edit.", workspace="house")
    task, _ = await house.intake.delegate_task(house.owner, order, idempotency_key=None)
    await house.work()
    here = Scene(house, task.conversation_id)
    done = await house.views.task(house.owner, task.id)
    assert done.report is not None
    assert [f.path for f in done.report.evidence.files] == ["config.txt"]
    (call,) = await here.calls("Edit")
    changed(config)
    await here.undo(call)
    refused = await house.views.task(house.owner, task.id)
    assert (refused.state, refused.report) == (RunState.COMPLETED, done.report)
    config.write_bytes(AFTER)
    await here.ask(call)
    assert (await house.views.task(house.owner, task.id)).state is RunState.COMPLETED
    await house.work()
    after = await house.views.task(house.owner, task.id)
    assert (after.state, after.reason) == (RunState.COMPLETED, done.reason)
    assert after.report is not None
    assert after.report.evidence.files == []
    assert after.report.evidence.checks_missing == "Nobody has looked since something was undone."
    assert after.report.evidence.stop_reason == done.report.evidence.stop_reason
    listed = await house.views.tasks(house.owner, states=[RunState.COMPLETED])
    assert [t.state for t in listed.items] == [RunState.COMPLETED]
