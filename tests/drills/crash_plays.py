"""The plays of the crash drills: what the client does, what must have come of it, and who dies where in it.

A play is performed to its end whatever dies meanwhile; clients ask again when an answer got lost.
"""

import asyncio
import signal
import subprocess
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.drills.audit import Audit
from tests.drills.stage import GHOST, Client, Stage, alive_in
from tests.eventually import eventually

TURNS = 8
"""The limit of a run's turns, which the play `long` reaches."""


async def answers(client: Client) -> None:
    """The conversation is not bricked: more words are answered."""
    await client.say("And now?")
    assert await client.over() == "completed"


async def work(stage: Stage) -> Audit:
    """Words, two reads at once, a command, words during the run, changes of files, three commands."""
    async with stage.client() as (client, onlooker):
        await client.say(f"Do the work {client.token}.")
        await onlooker.seen("tool.started", 3)
        await client.say("And be quick.")
        await asyncio.to_thread((client.place / "go").touch)
        assert await client.over() == "completed"
        audit = await stage.audit(client, onlooker)
    audit.every_message_was_heard_once()
    outcomes = audit.no_effect_was_repeated(client.place / "ledger.txt")
    assert set(outcomes) == {"held", "one", "two", "three"}
    assert len(audit.of("run.completed")) == 1
    ends = {e["data"]["tool"]: e["data"]["outcome"] for e in audit.of("tool.finished")}
    unknown = [e["data"]["tool"] for e in audit.of("tool.finished") if e["data"]["outcome"] == "unknown"]
    assert len(unknown) <= 1
    report, config = client.place / "report.txt", (client.place / "config.txt").read_text()
    assert ends["Read"] == "ok"
    if report.exists():
        assert report.read_text() == "The sky is blue.\n"
    else:
        assert unknown == ["Write"]
    # After an unknown outcome a file has to be read again, so that Edit may be refused; never half done.
    assert config in (("colour: blue\n",) if ends["Edit"] == "ok" else ("colour: red\n", "colour: blue\n"))
    assert len(list(client.place.glob(".flynn-*.tmp"))) <= 1
    return audit


async def asking(stage: Stage) -> Audit:
    """A command that waits for somebody's yes, and gets it."""
    async with stage.client(permission_mode="ask") as (client, onlooker):
        await client.say(f"Ask first {client.token}.")
        asked = (await onlooker.seen("approval.requested"))["data"]
        await onlooker.seen("run.waiting")
        decision = {"decision": "allow", "call_digest": asked["call_digest"]}
        answer = await client.post(f"approvals/{asked['approval_id']}", decision)
        assert answer.status_code == 200, answer.text
        assert await client.over() == "completed"
        audit = await stage.audit(client, onlooker)
    assert len(audit.of("approval.requested")) == len(audit.of("approval.decided")) == 1
    assert audit.no_effect_was_repeated(client.place / "ledger.txt") == {"asked": "ok"}
    return audit


async def long(stage: Stage) -> Audit:
    """A run that uses up its turns, waits, and is given more."""
    async with stage.client() as (client, onlooker):
        await client.say(f"Take your time {client.token}.")
        await onlooker.seen("run.waiting")
        answer = await client.post("budget", {"turns": 2 * TURNS})
        assert answer.status_code == 200, answer.text
        assert await client.over() == "completed"
        audit = await stage.audit(client, onlooker)
    assert len(audit.of("budget.raised")) == 1
    assert len(audit.of("step.completed")) == TURNS + 1
    assert [e["data"]["reason"] for e in audit.of("run.waiting")] == ["turns"]
    return audit


async def patient(stage: Stage) -> Audit:
    """A model that asks for patience: the run waits in the database until its time has come."""
    async with stage.client() as (client, onlooker):
        await client.say(f"Wait for the model {client.token}.")
        await onlooker.seen("run.waiting")
        assert await client.over() == "completed"
        audit = await stage.audit(client, onlooker)
    assert [e["data"]["reason"] for e in audit.of("run.waiting")] == ["model"]
    assert [e["data"]["reason"] for e in audit.of("run.queued")] == ["message", "resume"]
    return audit


async def ticking(stage: Stage) -> Audit:
    """A command that would never end, and an interrupt."""
    async with stage.client() as (client, onlooker):
        await client.say(f"Tick {client.token}.")
        ticks = client.place / "ticks.txt"
        await eventually(ticks.exists, what="the first tick", seconds=60)
        answer = await client.post("interrupt", {"reason": "enough"})
        assert answer.status_code == 200, answer.text
        await onlooker.seen("run.cancelled")
        size = ticks.stat().st_size
        await asyncio.sleep(0.5)
        assert ticks.stat().st_size == size, "something ticks on"
        await answers(client)
        audit = await stage.audit(client, onlooker)
    assert await audit.every_run_ended_once() == ["cancelled", "completed"]
    outcomes = audit.no_effect_was_repeated(client.place / "ledger.txt")
    assert outcomes["never"] == "cancelled"
    assert "never" not in (client.place / "ledger.txt").read_text()
    return audit


async def refused(stage: Stage) -> Audit:
    """A request that the provider does not take: the run fails, and the conversation goes on."""
    async with stage.client() as (client, onlooker):
        await client.say(f"Break {client.token}.")
        assert await client.over() == "failed"
        await answers(client)
        audit = await stage.audit(client, onlooker)
    assert await audit.every_run_ended_once() == ["failed", "completed"]
    failed, completed = audit.of("run.failed", "run.completed")
    assert failed["data"]["code"] == "model-permanent"
    # What the provider refuses for good is asked once, also when the worker that heard it is lost.
    assert audit.heard(failed["run_id"]) == ["permanent"]
    assert audit.heard(completed["run_id"]) == ["completed"]
    return audit


async def handed(stage: Stage) -> Audit:
    """A worker that is told to end in the middle of a command, and hands the run back."""
    async with stage.client() as (client, onlooker):
        await client.say(f"Do the work {client.token}.")
        await onlooker.seen("tool.started", 3)
        stage.worker.send(signal.SIGTERM)
        assert await client.over() == "completed"
        audit = await stage.audit(client, onlooker)
    audit.every_message_was_heard_once()
    outcomes = audit.no_effect_was_repeated(client.place / "ledger.txt")
    assert outcomes["held"] == "unknown"
    return audit


async def unserved(stage: Stage) -> Audit:
    """An agent that no worker serves: the run fails and says so, and so does the next."""
    async with stage.client(agent=GHOST) as (client, onlooker):
        for words in ("Be there", "And now?"):
            await client.say(f"{words} {client.token}.")
            assert await client.over() == "failed"
        audit = await stage.audit(client, onlooker)
    assert await audit.every_run_ended_once() == ["failed", "failed"]
    assert [e["data"]["code"] for e in audit.of("run.failed")] == ["not-found"] * 2
    assert audit.of("step.started", "run.started") == []
    return audit


async def background(stage: Stage) -> Audit:
    """A command that goes on in the background: it dies with its worker, and is not started again."""
    async with stage.client() as (client, onlooker):
        await client.say(f"Let it run {client.token}.")
        assert await client.over() == "completed"
        await answers(client)
        audit = await stage.audit(client, onlooker)
    assert audit.no_effect_was_repeated(client.place / "ledger.txt") == {"job": "unknown"}
    await eventually(lambda: alive_in(client.place) == [], what="the end of the job", seconds=30)
    return audit


async def overdue(stage: Stage) -> Audit:
    """A chore that is due is done, whoever dies over it."""
    moved = await stage.database.execute("UPDATE chores SET next_at = next_at - interval '2 hours'")
    assert moved == "UPDATE 1"

    async def done() -> bool:
        return bool(await stage.database.fetchval("SELECT bool_and(next_at > now()) FROM chores"))

    # A worker looks every 30 s.
    await eventually(done, what="the chore", seconds=120)
    return await small(stage)


async def small(stage: Stage) -> Audit:
    """A message, and its answer."""
    async with stage.client() as (client, onlooker):
        said = await client.say(f"Say something {client.token}.")
        assert await client.over() == "completed"
        audit = await stage.audit(client, onlooker)
    (message,) = audit.of("message.sent")
    assert message["seq"] == said["seq"]
    assert message["data"]["message_id"] == said["message_id"]
    audit.every_message_was_heard_once()
    return audit


async def undoing(stage: Stage) -> Audit:
    """A file is changed and one is made; both calls are undone, and the model learns of it."""
    async with stage.client() as (client, onlooker):
        config, made = client.place / "config.txt", client.place / "made" / "report.txt"
        await client.say(f"Change two files {client.token}.")
        assert await client.over() == "completed"
        ends = await onlooker.seen("tool.finished", 3)
        assert (ends["data"]["tool"], made.read_text()) == ("Write", "blue\n")
        calls = [e["data"]["call_id"] for e in onlooker.events if e["type"] == "tool.finished"][1:]
        for call in calls:
            order = {"call_id": call, "client_undo_id": f"undo {call}"}
            answer = await client.post("undo", order)
            assert answer.status_code == 202, answer.text
            assert await client.over() == "completed"
        assert config.read_text() == "colour: red\n"
        assert not made.parent.exists()
        await answers(client)
        audit = await stage.audit(client, onlooker)
    assert await audit.every_run_ended_once() == ["completed"] * 4
    undone = audit.of("workspace.reverted")
    assert [e["data"]["refused"] for e in undone] == [None, None]
    assert [e["data"]["target"]["call_id"] for e in undone] == calls
    assert len(audit.of("undo.requested")) == 2
    assert len(list(client.place.glob(".flynn-*.tmp"))) <= 1
    last = audit.of("step.started")[-1]["data"]
    assert {e["seq"] for e in undone} <= set(last["input_seqs"])
    return audit


async def rolling(stage: Stage) -> Audit:
    """Commands change the workspace in many ways; all of it is taken back, to before the first one."""
    async with stage.client() as (client, onlooker):
        notes, config = client.place / "notes.txt", client.place / "config.txt"
        was = (notes.read_text(), notes.stat().st_mode, config.read_text())
        await client.say(f"Do the chores {client.token}.")
        assert await client.over() == "completed"
        answer = await client.post("undo", {"to_seq": 0, "client_undo_id": "back"})
        assert answer.status_code == 202, answer.text
        assert await client.over() == "completed"
        assert (notes.read_text(), notes.stat().st_mode, config.read_text()) == was
        assert not (client.place / "made").exists()
        assert not (client.place / "marks.txt").exists()
        await answers(client)
        audit = await stage.audit(client, onlooker)
    assert await audit.every_run_ended_once() == ["completed"] * 3
    told = audit.of("workspace.changed")
    assert [e["data"]["missed"] for e in told] == [None] * len(told)
    changed = {file["path"] for e in told for file in e["data"]["files"]}
    (undone,) = audit.of("workspace.reverted")
    assert undone["data"]["refused"] is None
    assert {file["path"] for file in undone["data"]["files"]} == changed
    assert undone["data"]["after"] == told[0]["data"]["before"]
    return audit


async def unseen(stage: Stage) -> Audit:
    """How the workspace was before the first command nobody knows: all after it can be undone, no more."""
    async with stage.client() as (client, onlooker):
        await client.say(f"Do the chores {client.token}.")
        assert await client.over() == "completed"
        audit = await stage.audit(client, onlooker)
        (missed,) = [e for e in audit.of("workspace.changed") if e["data"]["missed"] is not None]
        refused = await client.post("undo", {"to_seq": 0, "client_undo_id": "all"})
        assert refused.status_code == 409, refused.text
        assert f"no snapshot could be taken at {missed['seq']}" in refused.json()["detail"]
        answer = await client.post("undo", {"to_seq": missed["seq"], "client_undo_id": "back"})
        assert answer.status_code == 202, answer.text
        assert await client.over() == "completed"
        await answers(client)
        audit = await stage.audit(client, onlooker)
    assert await audit.every_run_ended_once() == ["completed"] * 3
    (undone,) = audit.of("workspace.reverted")
    assert undone["data"]["refused"] is None
    later = [e["data"] for e in audit.of("workspace.changed") if e["seq"] > missed["seq"]]
    assert {file["path"] for file in undone["data"]["files"]} == {
        f["path"] for e in later for f in e["files"]
    }
    return audit


async def poisonous(stage: Stage) -> Audit:
    """A run under which three workers die is not given a fourth; the conversation goes on all the same."""
    async with stage.client() as (client, onlooker):
        await client.say(f"Say something {client.token}.")
        assert await client.over() == "failed"
        await answers(client)
        audit = await stage.audit(client, onlooker)
    assert await audit.every_run_ended_once() == ["failed", "completed"]
    (failed,) = audit.of("run.failed")
    assert failed["data"]["code"] == "worker-lost"
    assert "3 times" in failed["data"]["detail"]
    return audit


async def task(stage: Stage) -> Audit:
    """A task that is delegated under an idempotency key."""
    client = await stage.newcomer()
    order = {"instructions": f"Say something {client.token}.", "workspace": client.token}
    answer = await client.ask(
        "POST", "/api/v1/tasks", json=order, headers={"Idempotency-Key": uuid.uuid4().hex}
    )
    assert answer.status_code in (200, 202), answer.text
    delegated: dict[str, Any] = answer.json()
    client.conversation_id = delegated["conversation_id"]
    async with stage.watching(client) as onlooker:
        assert await client.over() == "completed"
        audit = await stage.audit(client, onlooker)
    known = await client.ask("GET", "/api/v1/tasks")
    mine = [t for t in known.json()["items"] if client.token in t["instructions"]]
    assert [t["id"] for t in mine] == [delegated["id"]]
    assert len(audit.of("task.reported")) == 1
    audit.every_message_was_heard_once()
    return audit


async def accounted(stage: Stage) -> Audit:
    """A task that changes a file, runs a command, and is asked for its account."""
    client = await stage.newcomer()
    order = {"instructions": f"Write and account {client.token}.", "workspace": client.token}
    answer = await client.ask("POST", "/api/v1/tasks", json=order)
    assert answer.status_code == 202, answer.text
    delegated: dict[str, Any] = answer.json()
    client.conversation_id = delegated["conversation_id"]
    async with stage.watching(client) as onlooker:
        assert await client.over() == "completed"
        audit = await stage.audit(client, onlooker)
    report = (await client.ask("GET", f"/api/v1/tasks/{delegated['id']}/report")).json()
    # One account, asked for once, whoever died meanwhile; the calls that were lost are settled.
    assert len(audit.of("account.requested")) == len(audit.of("task.accounted")) == 1
    assert len(audit.of("task.reported")) == 1
    assert report["account"]["summary"] == "It is accounted for."
    calls = [e for e in audit.of("step.started") if e["data"]["params"].get("account")]
    assert len(calls) <= 2
    assert len(audit.of("step.completed", "step.failed")) == len(audit.of("step.started"))
    unknown = [e["data"]["tool"] for e in audit.of("tool.finished") if e["data"]["outcome"] == "unknown"]
    checks = report["evidence"]["checks"]
    assert "Write" in unknown or [f["rule"] for f in checks["findings"]] == ["SC2086"]
    await answers(client)
    return audit


async def hand_in(stage: Stage, client: Client, **more: str) -> dict[str, Any]:
    """Delegate a task to the client's workspace; gives its view."""
    order = {"instructions": f"Hand it over {client.token}.", "workspace": client.token, **more}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    answer = await client.ask("POST", "/api/v1/tasks", json=order, headers=key)
    assert answer.status_code in (200, 202), answer.text
    delegated: dict[str, Any] = answer.json()
    client.conversation_id = delegated["conversation_id"]
    return delegated


def git(place: Path, *words: str) -> str:
    """What git says over the repository of `place`."""
    done = subprocess.run(
        ["git", "-C", str(place), "-c", "user.name=p", "-c", "user.email=p@q.org", *words],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def begin(place: Path) -> None:
    """Make a repository of what is in `place`."""
    git(place, "init", "-qb", "main")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "one")


async def delegated(stage: Stage) -> Audit:
    """A task with a checkout of its own: whoever dies, its branch has the work once, unblocked."""
    client = await stage.newcomer()
    await asyncio.to_thread(begin, client.place)
    task = await hand_in(stage, client)
    async with stage.watching(client) as onlooker:
        assert await client.over() == "completed"
        await answers(client)
        audit = await stage.audit(client, onlooker)
    branch = task["branch"]
    unknown = [e["data"]["tool"] for e in audit.of("tool.finished") if e["data"]["outcome"] == "unknown"]
    if "Write" not in unknown:
        assert git(client.place, "show", f"{branch}:made.txt") == "made"
    if "Bash" not in unknown:
        assert git(client.place, "show", f"{branch}:more.txt") == "more"
        subjects = git(client.place, "log", "--format=%s", f"main..{branch}").splitlines()
        assert len(subjects) == len(set(subjects)) == 2
    trailers = git(client.place, "log", "--format=%(trailers:key=Flynn-Task,valueonly)", f"main..{branch}")
    assert set(trailers.split()) == {task["id"]}
    assert len(audit.of("checkout.made")) == 1
    handed = audit.of("task.committed")
    assert [e["data"]["outcome"] for e in handed] == ["updated"]
    assert [c["sha"] for c in handed[0]["data"]["commits"]] == git(
        client.place, "rev-list", "--reverse", f"main..{branch}"
    ).split()
    refs = git(client.place, "for-each-ref", "--format=%(refname)").splitlines()
    assert refs == [f"refs/heads/{branch}", "refs/heads/main"]
    assert git(client.place, "status", "--porcelain") == ""
    assert git(client.place, "fsck", "--strict") == ""
    checkout = stage.nursery.shared / ".flynn" / "checkouts" / task["id"]
    for place in (client.place, checkout):
        assert [str(p) for p in place.rglob("*.lock")] == []
    return audit


async def without(stage: Stage) -> Audit:
    """A task that can have no checkout, as only the worker finds: it is queued again, once, for the files."""
    client = await stage.newcomer()
    await asyncio.to_thread((client.place / ".git").mkdir)
    await hand_in(stage, client)
    async with stage.watching(client) as onlooker:
        assert await client.over() == "completed"
        audit = await stage.audit(client, onlooker)
    assert len(audit.of("checkout.skipped")) == 1
    assert audit.of("checkout.made", "task.committed") == []
    assert (client.place / "made.txt").read_text() == "made\n"
    return audit


@dataclass(frozen=True)
class Drill:
    """`play` is performed while the worker (for intake's points: the server) dies at `point`.

    It dies at the `count`-th reach. Before it, one worker after another dies at the points of `before`
    (names, each with its count), so that `point` is reached by a successor.
    """

    play: Callable[[Stage], Coroutine[Any, Any, Audit]]
    point: str
    count: int = 1
    before: tuple[tuple[str, int], ...] = ()

    @property
    def deaths(self) -> list[tuple[str, int]]:
        """All deaths, in order."""
        return [*self.before, (self.point, self.count)]

    @property
    def of_server(self) -> bool:
        """Whether it is the server that reaches the point."""
        return self.point.partition(".")[0] in (
            *("message", "interrupt", "decision", "undo", "budget", "task"),
        )

    def __str__(self) -> str:
        earlier = "".join(f"-{point}-{count}" for point, count in self.before)
        return f"{self.play.__name__}{earlier}-{self.point}-{self.count}"


DRILLS = [
    Drill(work, "delivery.begun"),
    Drill(work, "claim.before-commit"),
    Drill(work, "claim.after-commit"),
    Drill(work, "lost.before-commit", before=(("calls.after-commit", 2),)),
    Drill(work, "lost.after-commit", before=(("command.launched", 1),)),
    Drill(work, "lost.after-commit", before=(("model.item", 3),)),
    Drill(work, "step.before-commit", 1),
    Drill(work, "step.before-commit", 2),
    Drill(work, "step.after-commit", 1),
    Drill(work, "step.after-commit", 3),
    Drill(work, "model.before-request"),
    Drill(work, "model.item", 1),
    Drill(work, "model.item", 4),
    Drill(work, "reply.before-commit", 1),
    Drill(work, "reply.before-commit", 5),
    Drill(work, "reply.after-commit", 1),
    Drill(work, "reply.after-commit", 2),
    Drill(work, "reply.after-commit", 5),
    Drill(work, "calls.before-commit", 1),
    Drill(work, "calls.before-commit", 2),
    Drill(work, "calls.before-commit", 6),
    Drill(work, "calls.after-commit", 1),
    Drill(work, "calls.after-commit", 2),
    Drill(work, "calls.after-commit", 6),
    Drill(work, "tool.before-act", 1),
    Drill(work, "tool.before-act", 3),
    Drill(work, "tool.before-act", 4),
    Drill(work, "command.launched", 1),
    Drill(work, "command.launched", 3),
    Drill(work, "command.ended", 1),
    Drill(work, "command.ended", 3),
    Drill(work, "file.staged", 1),
    Drill(work, "file.staged", 2),
    Drill(work, "file.renamed", 1),
    Drill(work, "file.renamed", 2),
    Drill(work, "tool.after-act", 1),
    Drill(work, "tool.after-act", 3),
    Drill(work, "tool.after-act", 8),
    Drill(work, "publish.before", 2),
    Drill(work, "publish.before", 4),
    Drill(work, "publish.after", 2),
    Drill(work, "end.before-commit"),
    Drill(work, "end.after-commit"),
    Drill(work, "delivery.ended"),
    Drill(handed, "hand-back.before-commit"),
    Drill(handed, "hand-back.after-commit"),
    Drill(unserved, "refuse.before-commit"),
    Drill(unserved, "refuse.after-commit"),
    Drill(background, "job.begun"),
    Drill(overdue, "chore.before-commit"),
    Drill(overdue, "chore.after-commit"),
    # A successor dies, too.
    Drill(work, "claim.after-commit", before=(("step.after-commit", 1),)),
    Drill(work, "reply.before-commit", before=(("reply.before-commit", 1),)),
    Drill(work, "end.before-commit", before=(("file.renamed", 1),)),
    Drill(poisonous, "model.item", before=(("model.before-request", 1), ("step.after-commit", 1))),
    Drill(asking, "approval.before-commit"),
    Drill(asking, "approval.after-commit"),
    Drill(asking, "wait.before-commit"),
    Drill(asking, "wait.after-commit"),
    Drill(asking, "decision.before-commit"),
    Drill(asking, "decision.after-commit"),
    Drill(undoing, "undo.before-commit"),
    Drill(undoing, "undo.after-commit"),
    Drill(undoing, "claim.after-commit", 2),
    Drill(undoing, "revert.before-act"),
    Drill(undoing, "file.staged", 3),
    Drill(undoing, "file.renamed", 3),
    Drill(undoing, "file.removed"),
    Drill(undoing, "revert.after-act", 1),
    Drill(undoing, "revert.after-act", 2),
    Drill(undoing, "end.before-commit", 2),
    Drill(undoing, "end.after-commit", 2),
    Drill(undoing, "revert.after-act", before=(("file.renamed", 3),)),
    Drill(unseen, "snapshot.before-base"),
    Drill(rolling, "snapshot.after-base"),
    Drill(rolling, "snapshot.before-look", 1),
    Drill(rolling, "snapshot.before-look", 2),
    Drill(rolling, "snapshot.after-look", 1),
    Drill(rolling, "snapshot.after-look", 2),
    Drill(rolling, "rollback.acted", 1),
    Drill(rolling, "rollback.acted", 4),
    Drill(rolling, "rollback.acted", 2, before=(("rollback.acted", 2),)),
    Drill(rolling, "revert.after-act"),
    Drill(long, "results.before-commit"),
    Drill(long, "results.after-commit"),
    Drill(long, "wait.before-commit"),
    Drill(long, "budget.before-commit"),
    Drill(long, "budget.after-commit"),
    Drill(patient, "wait.after-commit"),
    Drill(patient, "wake.before-commit"),
    Drill(patient, "wake.after-commit"),
    Drill(ticking, "closed.before-commit"),
    Drill(ticking, "closed.after-commit"),
    Drill(ticking, "end.before-commit"),
    Drill(ticking, "end.after-commit"),
    Drill(ticking, "interrupt.before-commit"),
    Drill(ticking, "interrupt.after-commit"),
    Drill(refused, "reply.after-commit"),
    Drill(refused, "end.before-commit"),
    Drill(refused, "end.after-commit"),
    Drill(small, "message.before-commit"),
    Drill(small, "message.after-commit"),
    Drill(small, "end.before-commit"),
    Drill(task, "task.before-commit"),
    Drill(task, "task.after-commit"),
    Drill(task, "end.before-commit"),
    Drill(accounted, "results.before-commit"),
    Drill(accounted, "results.after-commit"),
    Drill(accounted, "step.before-commit", 4),
    Drill(accounted, "step.after-commit", 4),
    Drill(accounted, "model.before-request", 4),
    Drill(accounted, "reply.before-commit", 4),
    Drill(accounted, "reply.after-commit", 4),
    Drill(accounted, "checked.before-commit"),
    Drill(accounted, "checked.after-commit"),
    Drill(accounted, "end.before-commit"),
    Drill(accounted, "checked.after-commit", before=(("checked.after-commit", 1),)),
    Drill(delegated, "checkout.before-make"),
    Drill(delegated, "command.launched", 2),
    Drill(delegated, "checkout.after-make"),
    Drill(delegated, "checkout.noted"),
    Drill(delegated, "checkout.told"),
    Drill(delegated, "command.launched", 3),
    Drill(delegated, "handover.begun"),
    Drill(delegated, "command.launched", 4),
    Drill(delegated, "handover.sealed"),
    Drill(delegated, "command.launched", 5),
    Drill(delegated, "handover.received"),
    Drill(delegated, "command.launched", 6),
    Drill(delegated, "handover.settled"),
    Drill(delegated, "handover.told"),
    Drill(delegated, "end.before-commit"),
    Drill(delegated, "handover.settled", before=(("handover.received", 1),)),
    Drill(without, "lane.before-commit"),
    Drill(without, "lane.after-commit"),
]
