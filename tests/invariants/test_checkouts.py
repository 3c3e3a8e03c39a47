"""A task has a checkout of its own, and what it made is left on a branch of the workspace's repository.

Real Postgres, git, sandbox and files; the model is simulated.
"""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from flynn.domain import events as ev
from flynn.domain.errors import InvalidInput
from flynn.domain.orders import InterruptOrder, MessageOrder, TaskOrder, UndoOrder
from flynn.domain.views import TaskView
from flynn.telemetry.crash_point import arm
from flynn.worker.checkout_sweeper import CheckoutSweeper
from flynn.workspace.mounts import Mounts
from flynn.workspace.volume import read_volume
from tests.eventually import eventually
from tests.house import House, TestLease, open_house
from tests.invariants.delegating import delegate, done, evidence, git

pytestmark = pytest.mark.needs("git", "bubblewrap")

SCRIPT = """
name: later
match: And more
match_in: latest_message
turns:
  - blocks: [{tool: Bash, input: {command: "cat own.txt; echo more >> own.txt"}}]
  - blocks: [{text: More.}]
---
name: own
match: Make it
turns:
  - blocks: [{tool: Write, call: made, input: {file_path: own.txt, content: "mine\\n"}}]
  - blocks: [{tool: Bash, input: {command: "echo secret > ignored.log; chmod +x own.txt"}}]
  - blocks: [{text: Made.}]
---
name: commits
match: Commit it
turns:
  - blocks:
      - tool: Bash
        input:
          command: |
            set -e
            echo 1 > one.txt
            git add -A
            git commit -qm 'First step'
            echo 2 > two.txt
            git add -A
            git commit -qm 'Second step'
            git log --format=%an%ae%B -2
  - blocks: [{text: Committed.}]
---
name: forged
match: Forge it
turns:
  - blocks:
      - tool: Bash
        input:
          command: |
            set -e
            echo 1 > f
            git add f
            export GIT_COMMITTER_NAME=Linus GIT_AUTHOR_NAME=Ada
            git -c core.hooksPath=/dev/null commit -qm 'No trailer'
  - blocks: [{text: Forged.}]
---
name: ignored
match: Only ignored
match_in: latest_message
turns:
  - blocks: [{tool: Bash, input: {command: "echo more > ignored.log"}}]
  - blocks: [{text: Logged.}]
---
name: nothing
match: Do nothing
turns: [{blocks: [{text: Nothing.}]}]
---
name: hold
match: Hold on
turns:
  - blocks:
      - tool: Bash
        input:
          command: |
            set -e
            echo held > held.txt; sleep 60
          timeout: 60000
  - blocks: [{text: Held.}]
---
name: wait
match: Wait for it
turns:
  - blocks: [{tool: Bash, input: {command: "echo w > w.txt"}}]
  - blocks: [{tool: Bash, input: {command: "sleep 100"}}]
  - blocks: [{text: Waited.}]
---
name: chat
match: Say hello
turns:
  - blocks:
      - tool: Bash
        input:
          command: |
            set -e
            echo chat >> chat.txt
            git add chat.txt
            git -c user.name=p -c user.email=p@q commit -qm chat
  - blocks: [{text: Hello.}]
"""


def found(tree: Path, ref: str) -> bool:
    words = ["git", "-c", "safe.directory=*", "rev-parse", "-q", "--verify", ref]
    done = subprocess.run(words, cwd=tree, capture_output=True, check=False)
    return done.returncode == 0


def begin(tree: Path) -> str:
    """A repository with a commit; gives the commit."""
    git(tree, "init", "-qb", "main")
    git(tree, "config", "user.name", "Person")
    git(tree, "config", "user.email", "person@example.org")
    (tree / "a.txt").write_text("a\n")
    (tree / ".gitignore").write_text("*.log\n")
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "one")
    return git(tree, "rev-parse", "HEAD")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, SCRIPT, volume=True) as opened:
        yield opened


async def events(house: House, task: TaskView, kind: type[ev.EventData]) -> list[Any]:
    return [r.event for r in await house.log(task.conversation_id) if isinstance(r.event, kind)]


def place(house: House, task: TaskView) -> Path:
    return house.workspace.parent / ".flynn" / "checkouts" / str(task.id)


async def test_what_is_not_committed_is_committed_and_left_on_the_tasks_branch(house: House) -> None:
    base = begin(house.workspace)
    (house.workspace / "a.txt").write_text("dirty\n")
    task = await done(house, "Make it")
    assert task.state == "completed", task.detail
    branch = f"flynn/{task.id.hex[:8]}"
    assert task.branch == branch
    assert git(house.workspace, "show", f"{branch}:own.txt") == "mine"
    assert git(house.workspace, "ls-tree", branch, "own.txt").startswith("100755")
    assert not found(house.workspace, f"{branch}:ignored.log")
    body = git(
        house.workspace, "log", "-1", "--format=%an <%ae>|%cn|%s|%(trailers:key=Flynn-Task,valueonly)", branch
    )
    assert body == f"flynn-dev <flynn@noreply.invalid>|flynn-dev|A task|{task.id}"
    assert git(house.workspace, "rev-parse", f"{branch}^", "main", "HEAD").split() == [base] * 3
    assert (house.workspace / "a.txt").read_text() == "dirty\n"
    assert not (house.workspace / "own.txt").exists()
    assert git(house.workspace, "for-each-ref", "refs/flynn") == ""
    said = evidence(task)
    assert (said.branch, said.base, said.handed_over) == (branch, base, "updated")
    assert [(c.sha, c.subject, c.files) for c in said.commits] == [
        (git(house.workspace, "rev-parse", branch), "A task", 1)
    ]
    (made,) = await events(house, task, ev.CheckoutMade)
    assert (made.default_branch, made.uncommitted, made.existing) == ("main", 1, False)
    opening = json.loads(house.simulator.stage.records.after(0)[0].body or b"")["messages"][0]["content"]
    texts = "\n".join(block["text"] for block in opening)
    assert texts.count("Path: ") == 1
    assert f"Path: {place(house, task)}/tree" in texts
    assert "1 uncommitted change, which is not in it" in texts


@pytest.mark.slow
async def test_the_agents_own_commits_carry_its_name_and_the_trailer(house: House) -> None:
    begin(house.workspace)
    task = await done(house, "Commit it", branch="feature/steps")
    assert [c.subject for c in evidence(task).commits] == ["First step", "Second step"]
    log = git(
        house.workspace, "log", "--format=%an|%(trailers:key=Flynn-Task,valueonly)", "main..feature/steps"
    )
    assert log.split("\n") == [f"flynn-dev|{task.id}", "", f"flynn-dev|{task.id}"]


@pytest.mark.slow
async def test_commits_without_the_trailer_are_given_it(house: House) -> None:
    begin(house.workspace)
    task = await done(house, "Forge it")
    assert evidence(task).handed_over == "updated"
    assert task.branch
    log = git(
        house.workspace, "log", "-1", "--format=%an|%cn|%(trailers:key=Flynn-Task,valueonly)", task.branch
    )
    assert log == f"Ada|flynn-dev|{task.id}"


@pytest.mark.slow
async def test_nothing_changed_makes_no_branch(house: House) -> None:
    begin(house.workspace)
    task = await done(house, "Do nothing")
    assert task.branch
    assert not found(house.workspace, f"refs/heads/{task.branch}")
    assert (evidence(task).handed_over, evidence(task).commits) == ("unchanged", [])


@pytest.mark.slow
async def test_an_existing_branch_is_gone_on_with_and_one_that_moved_is_not_forced(house: House) -> None:
    begin(house.workspace)
    git(house.workspace, "branch", "topic")
    first = await done(house, "Make it", branch="topic")
    assert evidence(first).handed_over == "updated"
    (made,) = await events(house, first, ev.CheckoutMade)
    assert made.existing
    # Somebody else moves the branch on, then the task goes on where that left it.
    git(house.workspace, "update-ref", "refs/heads/topic", elsewhere(house.workspace, "topic", "theirs"))
    await house.intake.send_message(house.owner, first.conversation_id, MessageOrder(text="And more"))
    await house.work()
    assert git(house.workspace, "log", "--format=%s", "topic").split("\n")[:2] == ["A task", "theirs"]
    # Now while it is at work.
    second = await delegate(house, "Hold on", branch="topic")
    running = await house.start_work()
    await eventually(lambda: begun(house, second), what="the command", seconds=20)
    theirs = elsewhere(house.workspace, "topic", "meanwhile")
    git(house.workspace, "update-ref", "refs/heads/topic", theirs)
    await house.intake.interrupt(house.owner, second.conversation_id, InterruptOrder())
    await running
    view = await house.views.task(house.owner, second.id)
    assert git(house.workspace, "rev-parse", "topic") == theirs
    assert evidence(view).handed_over == "diverged"
    kept = f"refs/flynn/tasks/{second.id}"
    assert git(house.workspace, "show", f"{kept}:held.txt") == "held"
    assert kept in (evidence(view).hand_over_detail or "")


def elsewhere(tree: Path, branch: str, subject: str) -> str:
    return git(tree, "commit-tree", "-m", subject, "-p", branch, f"{branch}^{{tree}}")


@pytest.mark.slow
async def test_the_workspaces_own_branch_is_refused(house: House) -> None:
    begin(house.workspace)
    task = await done(house, "Make it", branch="main")
    assert (task.state, task.reason) == ("failed", "branch-checked-out")
    assert "'main'" in (task.detail or "")
    git(house.workspace, "switch", "-qc", "other")
    again = await done(house, "Make it", branch="main")
    assert evidence(again).handed_over == "updated"
    assert git(house.workspace, "show", "main:own.txt") == "mine"


@pytest.mark.slow
async def test_a_branch_checked_out_meanwhile_is_left_alone(house: House) -> None:
    begin(house.workspace)
    git(house.workspace, "branch", "topic")
    task = await delegate(house, "Hold on", branch="topic")
    running = await house.start_work()
    await eventually(lambda: begun(house, task), what="the command", seconds=20)
    git(house.workspace, "switch", "-q", "topic")
    await house.intake.interrupt(house.owner, task.conversation_id, InterruptOrder())
    await running
    view = await house.views.task(house.owner, task.id)
    assert evidence(view).handed_over == "kept"
    assert git(house.workspace, "status", "--porcelain") == ""
    assert git(house.workspace, "show", f"refs/flynn/tasks/{task.id}:held.txt") == "held"


@pytest.mark.slow
async def test_a_name_that_git_cannot_take_fails_at_once(house: House) -> None:
    begin(house.workspace)
    git(house.workspace, "branch", "topic")
    task = await done(house, "Make it", branch="topic/sub")
    assert (task.state, task.reason) == ("failed", "branch-blocked")


@pytest.mark.slow
@pytest.mark.parametrize("odd", ["file", "empty", "broken", "link"])
async def test_what_can_have_no_checkout_is_worked_on_itself_and_the_log_says_why(
    house: House, odd: str
) -> None:
    tree = house.workspace
    match odd:
        case "file":
            (tree / ".git").write_text("gitdir: ../elsewhere\n")
        case "empty":
            git(tree, "init", "-q")
        case "broken":
            begin(tree)
            (tree / ".git" / "HEAD").unlink()
        case _:
            begin(tree)
            (tree / ".git").rename(tree.parent / "moved")
            (tree / ".git").symlink_to("../moved")
    task = await done(house, "Make it")
    assert task.state == "completed", task.detail
    assert (task.checkout, task.branch) == ("workspace", None)
    assert (tree / "own.txt").read_text() == "mine\n"
    (skipped,) = await events(house, task, ev.CheckoutSkipped)
    assert skipped.code == "no-repository"
    assert evidence(task).hand_over_detail == skipped.detail
    # Later words do not look for one again.
    await house.intake.send_message(house.owner, task.conversation_id, MessageOrder(text="And more"))
    await house.work()
    assert (tree / "own.txt").read_text() == "mine\nmore\n"
    assert len(await events(house, task, ev.CheckoutSkipped)) == 1
    named = await done(house, "Make it", branch="topic", not_before=datetime.now(UTC).isoformat())
    assert (named.state, named.reason) == ("failed", "no-repository")


@pytest.mark.slow
async def test_a_task_that_is_stopped_while_its_checkout_cannot_be_made_waits_for_nobody(
    house: House,
) -> None:
    git(house.workspace, "init", "-q")
    task = await delegate(house, "Make it")
    asked: list[asyncio.Task[TaskView]] = []

    def stop(point: str) -> None:
        if point == "claim.after-commit" and not asked:
            asked.append(asyncio.create_task(house.intake.cancel_task(house.owner, task.id)))

    arm(stop)
    try:
        running = await house.start_work()
        await running
    finally:
        arm(None)
    await asyncio.gather(*asked)
    view = await house.views.task(house.owner, task.id)
    assert (view.state, view.reason) == ("cancelled", "cancelled")
    assert await house.jobs() == []
    assert not (house.workspace / "own.txt").exists()


async def test_a_plain_directory_is_worked_in_without_a_word(house: House) -> None:
    task = await done(house, "Make it")
    assert (house.workspace / "own.txt").read_text() == "mine\n"
    types = await house.types(task.conversation_id)
    assert not {"checkout.skipped", "checkout.made", "task.committed"} & set(types)
    assert types.count("run.queued") == 1
    with pytest.raises(InvalidInput, match="no git repository"):
        await delegate(house, "Make it", branch="topic")


@pytest.mark.slow
async def test_a_task_may_ask_for_the_workspace_itself(house: House) -> None:
    begin(house.workspace)
    task = await done(house, "Make it", checkout="workspace")
    assert (task.checkout, task.branch) == ("workspace", None)
    assert (house.workspace / "own.txt").exists()
    with pytest.raises(ValueError, match="needs a checkout of its own"):
        TaskOrder.model_validate({"instructions": "x", "branch": "b", "checkout": "workspace"})


@pytest.mark.slow
async def test_an_undo_works_on_the_checkout_and_is_handed_over(house: House) -> None:
    begin(house.workspace)
    task = await done(house, "Make it")
    assert task.branch
    ends = await events(house, task, ev.ToolFinished)
    log = await house.log(task.conversation_id)
    ended_at = next(item.seq for item in log if isinstance(item.event, ev.ToolFinished))
    # The mode was changed since, so that the file is not as the call left it.
    (place(house, task) / "tree" / "own.txt").chmod(0o644)
    await house.intake.undo(house.owner, task.conversation_id, UndoOrder(call_id=ends[0].call_id))
    await house.work()
    assert not found(house.workspace, f"{task.branch}:own.txt")
    assert found(house.workspace, f"{task.branch}^:own.txt")
    made, undone = evidence(await house.views.task(house.owner, task.id)).commits
    assert (made.subject, undone.subject) == ("A task", f"Undo: call at event {ended_at}, own.txt")


def begun(house: House, task: TaskView) -> bool:
    """Whether the command has written what it writes: the file is there a moment before that."""
    held = place(house, task) / "tree" / "held.txt"
    return held.exists() and held.read_text() == "held\n"


async def at_work(house: House, task: TaskView) -> "asyncio.Task[None]":
    """Its run, with something in the checkout that is not committed, in the middle of a command."""
    running = await house.start_work()
    await eventually(lambda: begun(house, task), what="the command", seconds=20)
    return running


@pytest.mark.slow
async def test_a_stop_does_not_wait_for_a_slow_hand_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(house.workspace)
    monkeypatch.setattr("flynn.worker.runner.STOP_SECONDS", 3.0)
    task = await delegate(house, "Hold on")
    running = await at_work(house, task)
    tree = place(house, task) / "tree"
    git(tree, "config", "filter.slow.clean", "sleep 200; cat")
    (tree / ".git" / "info" / "attributes").write_text("held.txt filter=slow\n")
    await house.intake.interrupt(house.owner, task.conversation_id, InterruptOrder())
    await asyncio.wait_for(running, 60)
    view = await house.views.task(house.owner, task.id)
    assert (view.state, evidence(view).handed_over) == ("cancelled", "failed")
    assert evidence(view).hand_over_detail == (
        "The task was stopped, and git was not done within 3 s. What is there is in the task's checkout only."
    )
    git(tree, "config", "--unset", "filter.slow.clean")
    await house.intake.send_message(house.owner, task.conversation_id, MessageOrder(text="And more"))
    await house.work()
    assert evidence(await house.views.task(house.owner, task.id)).handed_over == "updated"
    assert git(house.workspace, "show", f"{task.branch}:held.txt") == "held"


@pytest.mark.slow
async def test_a_run_that_breaks_hands_over_what_it_made(house: House) -> None:
    begin(house.workspace)
    task = await delegate(house, "Hold on")
    running = await at_work(house, task)
    # What its next words to the log need is gone.
    async with house.database.begin() as connection:
        await connection.execute(text("ALTER TABLE differences RENAME TO gone"))
    await house.intake.interrupt(house.owner, task.conversation_id, InterruptOrder())
    await asyncio.wait_for(running, 60)
    view = await house.views.task(house.owner, task.id)
    assert (view.state, view.reason) == ("failed", "internal")
    assert evidence(view).handed_over == "updated"
    assert git(house.workspace, "show", f"{task.branch}:held.txt") == "held"


@pytest.mark.slow
async def handed_back(house: House, task: TaskView) -> None:
    """Have its worker end in the middle of a command, so that the run waits for the next one."""
    ((run, job),) = await house.jobs()
    lease = TestLease(job)
    running = asyncio.create_task(house.runner.run(run, lease))
    await eventually(lambda: begun(house, task), what="the command", seconds=20)
    lease.handed_back = True
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.slow
async def test_a_run_that_waits_for_its_next_worker_is_handed_over_by_that_when_it_is_stopped(
    house: House,
) -> None:
    begin(house.workspace)
    task = await delegate(house, "Hold on")
    await handed_back(house, task)
    await house.intake.cancel_task(house.owner, task.id)
    assert (await house.views.task(house.owner, task.id)).state == "queued"
    await house.work()
    view = await house.views.task(house.owner, task.id)
    assert (view.state, evidence(view).handed_over) == ("cancelled", "updated")
    assert git(house.workspace, "show", f"{task.branch}:held.txt") == "held"
    # One that left nothing there needs no worker.
    await house.intake.send_message(house.owner, task.conversation_id, MessageOrder(text="And more"))
    assert (await house.intake.cancel_task(house.owner, task.id)).state == "cancelled"


@pytest.mark.slow
async def test_a_run_that_no_worker_holds_says_what_it_left_in_the_checkout(house: House) -> None:
    begin(house.workspace)
    task = await delegate(house, "Hold on")
    # Its worker ends, and the next one does not come to it before somebody stops the task, and insists.
    await handed_back(house, task)
    for _ in range(2):
        await house.intake.interrupt(house.owner, task.conversation_id, InterruptOrder())
    view = await house.views.task(house.owner, task.id)
    assert view.state == "cancelled"
    assert evidence(view).handed_over == "left"
    assert "the next words to the task hand it over" in (evidence(view).hand_over_detail or "")
    assert task.branch
    assert not found(house.workspace, f"refs/heads/{task.branch}")
    # A run that has not begun ends at once, whatever one before it left.
    await house.intake.send_message(house.owner, task.conversation_id, MessageOrder(text="And more"))
    assert (await house.intake.cancel_task(house.owner, task.id)).state == "cancelled"
    await house.intake.send_message(house.owner, task.conversation_id, MessageOrder(text="And more"))
    await house.work()
    view = await house.views.task(house.owner, task.id)
    assert (evidence(view).handed_over, evidence(view).hand_over_detail) == ("updated", None)
    assert git(house.workspace, "show", f"{task.branch}:held.txt") == "held"
    # What git ignores is not handed over, and not said to be left either.
    await house.intake.send_message(house.owner, task.conversation_id, MessageOrder(text="Only ignored"))
    await house.work()
    assert evidence(await house.views.task(house.owner, task.id)).handed_over == "updated"
    outcomes = [event.outcome for event in await events(house, task, ev.TaskCommitted)]
    assert outcomes == ["updated", "unchanged"]


@pytest.mark.slow
async def test_tasks_and_a_chat_are_at_work_at_once_and_two_on_a_branch_take_turns(house: House) -> None:
    begin(house.workspace)
    tasks = [await delegate(house, "Hold on") for _ in range(3)]
    chat = await house.converse()
    await house.say(chat.id, "Say hello")
    shared = [await delegate(house, "Make it", branch="shared") for _ in range(2)]
    admitted = await house.jobs()
    assert len(admitted) == 5  # all but one of those that share a branch
    waiting = [t for t in [await house.views.task(house.owner, s.id) for s in shared] if t.reason == "branch"]
    assert len(waiting) == 1
    leases = [asyncio.create_task(house.runner.run(run, TestLease(job))) for run, job in admitted]
    for task in tasks:
        await eventually(partial(begun, house, task), what="three at once", seconds=30)
    for task in tasks:
        await house.intake.interrupt(house.owner, task.conversation_id, InterruptOrder())
    await asyncio.gather(*leases)
    await house.work()
    assert git(house.workspace, "log", "-1", "--format=%s", "main") == "chat"
    for task in tasks:
        assert git(house.workspace, "show", f"flynn/{task.id.hex[:8]}:held.txt") == "held"
        assert not found(house.workspace, f"flynn/{task.id.hex[:8]}:chat.txt")
    views = [await house.views.task(house.owner, s.id) for s in shared]
    assert [v.state for v in views] == ["completed"] * 2
    assert git(house.workspace, "fsck", "--strict") == ""


@pytest.mark.slow
async def test_a_checkout_that_was_swept_is_made_anew_from_its_branch(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(house.workspace)
    task = await done(house, "Make it")
    assert task.branch
    sweeper = CheckoutSweeper(
        house.database,
        Mounts(declared=(read_volume(house.workspace.parent),)),
        keep=timedelta(days=7),
    )
    assert await sweeper.sweep() == 0
    assert await sweeper.sweep(datetime.now(UTC) + timedelta(days=8)) == 1
    assert list(place(house, task).parent.iterdir()) == []
    await house.intake.send_message(house.owner, task.conversation_id, MessageOrder(text="And more"))
    await house.work()
    assert git(house.workspace, "show", f"{task.branch}:own.txt") == "mine\nmore"
    assert [m.again for m in await events(house, task, ev.CheckoutMade)] == [False, True]
    assert len(evidence(await house.views.task(house.owner, task.id)).commits) == 2
    # However many others stand before it that are nobody's here.
    monkeypatch.setattr("flynn.worker.checkout_sweeper.MOST", 1)
    unknown = place(house, task).parent / str(UUID(int=0))
    unknown.mkdir()
    assert await sweeper.sweep(datetime.now(UTC) + timedelta(days=8)) == 1
    assert unknown.exists()
    # What was done in the checkout is never undone in the workspace's own files.
    (house.workspace / ".git" / "HEAD").unlink()
    (house.workspace / "own.txt").write_text("mine\n")
    ends = await events(house, task, ev.ToolFinished)
    await house.intake.undo(house.owner, task.conversation_id, UndoOrder(call_id=ends[0].call_id))
    await house.work()
    (failed,) = await events(house, task, ev.RunFailed)
    assert failed.code == "no-repository"
    assert (house.workspace / "own.txt").read_text() == "mine\n"


@pytest.mark.slow
async def test_a_checkout_whose_volume_lies_elsewhere_now_reads_its_history_from_there(house: House) -> None:
    begin(house.workspace)
    task = await done(house, "Make it")
    assert task.branch
    # As another machine left it, which has the volume under another path.
    note = place(house, task) / "note.json"
    told = json.loads(note.read_text())
    alternates = place(house, task) / "tree" / ".git" / "objects" / "info" / "alternates"
    assert told["objects"] == str(house.workspace / ".git" / "objects") == alternates.read_text().strip()
    note.write_text(json.dumps({**told, "objects": "/elsewhere/.git/objects"}))
    alternates.write_text("/elsewhere/.git/objects\n")
    await house.intake.send_message(house.owner, task.conversation_id, MessageOrder(text="And more"))
    await house.work()
    assert git(house.workspace, "show", f"{task.branch}:own.txt") == "mine\nmore"
    assert json.loads(note.read_text())["objects"] == told["objects"]
