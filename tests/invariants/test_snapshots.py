"""What calls change is told by snapshots, also of commands, and is undone to any seq: all of it or nothing.

Real Postgres, sandbox, files and runs; the model is simulated, and where an undo is at work it is not asked.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from typing import TypeVar
from uuid import UUID

import pytest
import pytest_asyncio

from flynn.domain import events as ev
from flynn.domain.errors import Conflict, InvalidInput, NotFound
from flynn.domain.orders import UndoOrder
from flynn.domain.run import RunState
from flynn.telemetry.crash_point import arm
from flynn.workspace.snapshots.node import REASONS
from tests.house import House, open_house
from tests.telemetry.test_telemetry_redaction import TOKENS

SCRIPT = r"""
name: work
match: Do the chores
turns:
  - blocks:
      - {tool: Write, call: w, input: {file_path: notes.txt, content: "one\n"}}
      - tool: Bash
        call: b1
        input:
          command: |-
            cp notes.txt copy.txt; echo two >> notes.txt; rm gone.txt; chmod +x run.sh
            mkdir empty; ln -s copy.txt link; mkfifo pipe
      - {tool: Bash, call: b2, input: {command: "ls"}}
      - {tool: Bash, call: b3, input: {command: "rm -r empty; echo in > empty; exit 3"}}
  - blocks: [{text: Done.}]
---
name: job
match: Begin a job
turns:
  - blocks:
      - tool: Bash
        call: j
        input: {command: "sleep 0.3; echo late > late.txt; sleep 60", run_in_background: true}
  - blocks: [{tool: Bash, call: s, input: {command: "until [ -e late.txt ]; do sleep 0.05; done; sleep 0.2"}}]
  - blocks: [{text: Begun.}]
---
name: secret
match: Tell
turns:
  - blocks: [{tool: Bash, call: t, input: {command: "tr a-z b-za < encoded > plain.env"}}]
  - blocks: [{text: Told.}]
---
name: named
match: Name it so
turns:
  - blocks: [{tool: Write, call: n, input: {file_path: TOKEN.txt, content: "x"}}]
  - blocks: [{text: Named.}]
---
name: git
match: Commit
turns:
  - blocks: [{tool: Bash, call: g, input: {command: "echo ref: refs/heads/other > .git/HEAD"}}]
  - blocks: [{text: Committed.}]
---
name: what
match: What now
match_in: latest_message
turns:
  - blocks: [{text: "I know."}]
""".replace("TOKEN", TOKENS["GitHub"])
Event = TypeVar("Event")

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.needs("bubblewrap")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One house for all: each test has a conversation of its own."""
    async with open_house(tmp_path_factory.mktemp("snapshots"), SCRIPT) as house:
        yield house


@pytest.fixture
def house(whole: House) -> House:
    """The house, its workspace as the script wants it."""
    for path in whole.workspace.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (whole.workspace / "gone.txt").write_text("was here\r\n")
    (whole.workspace / "run.sh").write_text("true\n")
    (whole.workspace / "run.sh").chmod(0o644)
    return whole


def files(house: House) -> dict[str, str | bytes]:
    """What the workspace holds, pipes apart."""
    found: dict[str, str | bytes] = {}
    for path in sorted(house.workspace.rglob("*")):
        name = str(path.relative_to(house.workspace))
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"  # noqa: PTH115 -- as it is written
        elif path.is_file():
            found[name] = path.read_bytes() + (b" x" if path.stat().st_mode & 0o100 else b"")
        elif path.is_dir():
            found[name] = "directory"
    return found


class Scene:
    """A conversation in which the agent has worked."""

    def __init__(self, house: House, conversation: UUID) -> None:
        self.house = house
        self.conversation = conversation

    async def all(self, kind: type[Event]) -> list[tuple[int, Event]]:
        """The events of a kind, each with its seq."""
        log = await self.house.log(self.conversation)
        return [(item.seq, item.event) for item in log if isinstance(item.event, kind)]

    async def ask(self, **order: str | int) -> None:
        """Ask for an undo."""
        await self.house.intake.undo(self.house.owner, self.conversation, UndoOrder.model_validate(order))

    async def undo(self, **order: str | int) -> ev.WorkspaceReverted:
        """Ask for an undo and work on it; what came of it."""
        await self.ask(**order)
        await self.house.work()
        return (await self.all(ev.WorkspaceReverted))[-1][1]

    async def diff(self, seq: int = 0) -> str:
        """The difference of an event, or of all together."""
        found = await self.house.views.difference(self.house.owner, self.conversation, seq)
        return found.difference.text.decode()

    async def state(self) -> RunState:
        """That of the latest run."""
        view = await self.house.views.conversation(self.house.owner, self.conversation)
        assert view.run is not None
        return view.run.state


async def scene(house: House, words: str) -> Scene:
    """Let the agent work as the script of these words says."""
    found = Scene(house, (await house.converse()).id)
    await house.say(found.conversation, words)
    await house.work()
    assert await found.state() is RunState.COMPLETED
    return found


async def test_every_call_tells_what_it_changed(house: House) -> None:
    here = await scene(house, "Do the chores.")
    told = await here.all(ev.WorkspaceChanged)
    calls = [event.call_id for _, event in told]
    assert len(calls) == 3, "what only looked around tells of nothing"
    log = await house.log(here.conversation)
    for seq, event in told:
        ended = log[seq - 2].event
        assert isinstance(ended, ev.ToolFinished), "it is told right behind the end of its call"
        assert ended.call_id == event.call_id
    (_, wrote), (at, ran), (_, failed) = told
    assert [(f.path, f.change, f.lines_added) for f in wrote.files] == [("notes.txt", "added", 1)]
    assert {(f.path, f.change, f.kind) for f in ran.files} == {
        ("copy.txt", "added", "file"),
        ("empty", "added", "directory"),
        ("gone.txt", "deleted", "file"),
        ("link", "added", "link"),
        ("notes.txt", "modified", "file"),
        ("run.sh", "mode", "file"),
    }
    assert [(f.path, f.why) for f in ran.uncovered] == [("pipe", REASONS["special"])]
    assert [(f.path, f.change) for f in failed.files] == [("empty", "type")]
    assert (wrote.after, ran.after) == (ran.before, failed.before)
    text = await here.diff(at)
    assert len(text.encode()) == ran.diff_bytes
    assert "-was here\r\n" in text
    assert "old mode 100644\nnew mode 100755\n" in text
    net = await here.diff()
    assert "+one\n+two\n" in net
    with pytest.raises(NotFound):
        await here.diff(1)


async def test_the_workspace_goes_back_to_any_seq_and_forth_again(house: House) -> None:
    began = files(house)
    here = await scene(house, "Do the chores.")
    ended = files(house)
    (first, _), (second, _), (third, _) = await here.all(ev.WorkspaceChanged)
    asked = len(list(house.simulator.stage.records))
    done = await here.undo(to_seq=second)
    assert (done.refused, [file.path for file in done.files]) == (None, ["empty"])
    assert files(house)["empty"] == "directory"
    done = await here.undo(to_seq=first)
    assert files(house) == {**began, "notes.txt": b"one\n"}
    assert done.left == ["pipe"]
    assert {file.path for file in done.files} == {
        "copy.txt",
        "empty",
        "gone.txt",
        "link",
        "notes.txt",
        "run.sh",
    }
    assert "+one\n" in await here.diff()
    assert "two" not in await here.diff()
    await here.undo(to_seq=0)
    assert files(house) == began
    assert await here.diff() == ""
    # An undo is a change like any other: back to where all was done.
    await here.undo(to_seq=third)
    assert files(house) == ended
    assert len(list(house.simulator.stage.records)) == asked, "an undo asks no model"
    assert await here.state() is RunState.COMPLETED
    await house.say(here.conversation, "What now?")
    await house.work()
    body = list(house.simulator.stage.records)[-1].body
    assert body is not None
    assert b"owner undid what your calls changed in the workspace: empty is as before" in body


async def test_a_command_is_undone_by_its_call(house: House) -> None:
    here = await scene(house, "Do the chores.")
    before_last = {**files(house), "empty": "directory"}
    (_, _), (_, ran), (_, failed) = await here.all(ev.WorkspaceChanged)
    assert ran.call_id is not None
    assert failed.call_id is not None
    refused = await here.undo(call_id=ran.call_id)
    assert refused.refused is not None
    assert "empty" in refused.refused
    assert refused.refused.endswith("Nothing was changed by the undo.")
    assert (await here.undo(call_id=failed.call_id)).refused is None
    assert files(house) == before_last
    assert (await here.undo(call_id=ran.call_id)).refused is None
    with pytest.raises(Conflict, match="undone already"):
        await here.ask(call_id=ran.call_id)


async def test_what_somebody_else_changed_is_refused_and_named(house: House) -> None:
    here = await scene(house, "Do the chores.")
    (house.workspace / "copy.txt").write_text("somebody else's\n")
    was = files(house)
    done = await here.undo(to_seq=0)
    assert done.refused is not None
    assert "copy.txt" in done.refused
    assert files(house) == was
    assert await here.state() is RunState.FAILED
    # Other files are nobody's business here.
    (house.workspace / "copy.txt").write_text("one\n")
    (house.workspace / "theirs.txt").write_text("theirs\n")
    assert (await here.undo(to_seq=0)).refused is None
    assert (house.workspace / "theirs.txt").read_text() == "theirs\n"
    # Changed by another conversation between two calls of this one, and back to where this one left it.
    other = await scene(house, "Do the chores.")
    (house.workspace / "notes.txt").write_text("mixed\n")
    await here.house.say(here.conversation, "What now?")
    await house.work()
    done = await other.undo(to_seq=0)
    assert done.refused is not None
    assert "notes.txt" in done.refused


async def test_orders_that_cannot_be_followed_are_refused(house: House) -> None:
    with pytest.raises(ValueError, match="either `call_id` or `to_seq`"):
        UndoOrder()
    with pytest.raises(ValueError, match="either `call_id` or `to_seq`"):
        UndoOrder(call_id="x", to_seq=1)
    here = await scene(house, "Do the chores.")
    last = (await house.log(here.conversation))[-1].seq
    with pytest.raises(Conflict, match="nothing to undo"):
        await here.ask(to_seq=last)
    await here.ask(to_seq=0, client_undo_id="mine")
    await here.ask(to_seq=0, client_undo_id="mine")
    with pytest.raises(InvalidInput, match="another undo"):
        await here.ask(to_seq=1, client_undo_id="mine")
    with pytest.raises(Conflict, match="queued"):
        await here.ask(to_seq=0)
    await house.work()
    assert len(await here.all(ev.WorkspaceReverted)) == 1


async def test_what_a_background_job_did_is_told_with_the_call_that_saw_it(house: House) -> None:
    here = await scene(house, "Begin a job.")
    told = [file.path for _, event in await here.all(ev.WorkspaceChanged) for file in event.files]
    assert told == ["late.txt"]


async def test_no_event_and_no_difference_shows_a_secret(house: House) -> None:
    token = TOKENS["GitHub"]
    shifted = "".join(chr((ord(c) - 98) % 26 + 97) if c.islower() else c for c in token)
    (house.workspace / "encoded").write_text(f"{shifted}\n")
    here = await scene(house, "Tell.")
    assert token in (house.workspace / "plain.env").read_text()
    ((seq, _),) = await here.all(ev.WorkspaceChanged)
    for text in (await here.diff(seq), await here.diff()):
        assert "plain.env" in text
        assert token not in text
    assert all(token not in item.event.model_dump_json() for item in await house.log(here.conversation))


async def test_a_file_whose_name_passes_for_a_secret_is_told_and_undone(house: House) -> None:
    here = await scene(house, "Name it so.")
    name = f"{TOKENS['GitHub']}.txt"
    assert name in files(house)
    ((seq, told),) = await here.all(ev.WorkspaceChanged)
    assert told.call_id is not None
    assert [(f.change, name in f.path) for f in told.files] == [("added", False)]
    reverted = await here.undo(to_seq=seq - 1)
    assert reverted.refused is None
    assert name not in files(house)


async def test_that_git_moved_is_told_and_left_alone(house: House) -> None:
    (house.workspace / ".git/refs/heads").mkdir(parents=True)
    (house.workspace / ".git/HEAD").write_text("ref: refs/heads/main\n")
    here = await scene(house, "Commit.")
    ((_, event),) = await here.all(ev.WorkspaceChanged)
    assert event.files == []
    assert event.git is not None
    assert (event.git.head_before, event.git.head) == ("refs/heads/main", "refs/heads/other")
    assert (event.git.refs, event.git.index) == (False, False)
    await here.undo(to_seq=0)
    assert (house.workspace / ".git/HEAD").read_text() == "ref: refs/heads/other\n"


async def test_a_snapshot_that_cannot_be_taken_never_stops_a_run(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flynn.workspace.snapshots.scan.MOST_ENTRIES", 1)
    here = await scene(house, "Do the chores.")
    told = await here.all(ev.WorkspaceChanged)
    assert {event.missed for _, event in told} == {"the workspace has more than 200,000 files"}
    assert (house.workspace / "copy.txt").exists()
    with pytest.raises(Conflict, match="no snapshot could be taken"):
        await here.ask(to_seq=0)
    with pytest.raises(NotFound, match="no difference yet"):
        await here.diff()


@pytest.mark.parametrize("point", ["snapshot.after-look", "snapshot.before-look", "tool.after-act"])
async def test_what_a_lost_worker_left_is_told_by_the_next_one(house: House, point: str) -> None:
    began = files(house)
    conversation = (await house.converse()).id
    await house.say(conversation, "Do the chores.")
    reached = 0

    def act(name: str) -> None:
        nonlocal reached
        if name == point:
            reached += 1
            if reached == 2:
                raise asyncio.CancelledError

    arm(act)
    try:
        with pytest.raises(asyncio.CancelledError):
            await house.work()
    finally:
        arm(None)
    await house.work()
    here = Scene(house, conversation)
    told = [event for _, event in await here.all(ev.WorkspaceChanged)]
    assert [len(event.files) for event in told] == [1, 6, 1]
    assert [event.missed for event in told] == [None, None, None]
    ended = {e.call_id: e.outcome for _, e in await here.all(ev.ToolFinished)}
    assert ended[told[1].call_id or ""].value == "unknown"
    await here.undo(to_seq=0)
    assert files(house) == began


async def test_checkouts_share_a_store_and_none_lies_in_a_workspace(house: House) -> None:
    await scene(house, "Do the chores.")
    stores = await asyncio.to_thread(lambda: list(house.workspace.parent.rglob("snapshots/*/packs")))
    assert len(stores) == 1
    assert not stores[0].is_relative_to(house.workspace)
    assert stores[0].parent.stat().st_mode & 0o777 == 0o700
