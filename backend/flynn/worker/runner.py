"""The runner: what a worker does with one run, from its claim to its end.

It claims, drives the loop, appends and then publishes. When it is cancelled (shutdown, lost lease) it
writes nothing more but, for a shutdown, that it lets go: the next worker finds the rest in the log.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Protocol, assert_never
from uuid import UUID

from flynn.agent.agent_catalog import Catalog
from flynn.agent.changes import TURNED_OFF, Changes
from flynn.agent.loop import Loop
from flynn.agent.prompt import Prompts
from flynn.agent.scope import Stopped, until
from flynn.agent.turns import Answer, Append, Cancelled, Completed, Failed, Turn, Waits
from flynn.domain import events as ev
from flynn.domain.delta import Delta
from flynn.domain.errors import FlynnError, LeaseLost
from flynn.model.claude import Claude
from flynn.sandbox.command import Sandbox
from flynn.store.database import Database
from flynn.store.outage import OUTAGES, is_outage
from flynn.store.signals import Signals
from flynn.telemetry.crash_point import reach
from flynn.telemetry.logging import bind, get_logger
from flynn.telemetry.metrics import Metrics
from flynn.tools.job import Jobs
from flynn.worker.checkouts import STOP_SECONDS, Checkouts
from flynn.worker.claims import Held, claim
from flynn.worker.endings import Endings
from flynn.worker.journal import Journal
from flynn.worker.keeping import keep_net
from flynn.worker.last_look import LastLook
from flynn.worker.reversal import Reversal, what_was_undone
from flynn.worker.workplace import Caps, Workplace
from flynn.workspace.root import Workspace
from flynn.workspace.snapshots.snapshots import Snapshots

LET_GO_SECONDS = 2.0
"""How long an ending worker tries to say so of a run."""

POISON = 3
"""Workers that may be lost under a run before it is failed."""


class Leave(Protocol):
    """Hands over what a run has made; see `flynn.worker.checkouts.Checkouts.leave`."""

    async def __call__(
        self, *, waits: bool = False, seconds: float | None = None, undone: str | None = None
    ) -> None:
        """Do so; `waits`: the run will go on. At most for `seconds`; `undone` is what an undo took back."""


class Lease(Protocol):
    """The delivery of a run to this worker, as the queue engine sees it."""

    @property
    def job_id(self) -> int:
        """The engine's job."""

    @property
    def worker(self) -> str:
        """Who holds it."""

    @property
    def handed_back(self) -> bool:
        """Whether the handler is being cancelled because its worker ends, in order."""

    def deadline(self) -> float:
        """The CLOCK_BOOTTIME second after which nothing may act."""

    def confirm(self) -> None:
        """Raise LeaseLost when the lease is not certain any more."""


class Runner:
    """Runs runs. One is shared by all runs of a process."""

    def __init__(
        self,
        database: Database,
        *,
        model: Claude,
        sandbox: Sandbox,
        prompts: Prompts,
        agents: Callable[[], Catalog],
        signals: Signals,
        endings: Endings,
        caps: Caps,
        publish: Callable[[Sequence[ev.Recorded]], None],
        publish_delta: Callable[[Delta], None],
        metrics: Metrics | None = None,
    ) -> None:
        self._database = database
        self.workplace = Workplace(
            model=model,
            sandbox=sandbox,
            prompts=prompts,
            agents=agents,
            caps=caps,
            publish_delta=publish_delta,
        )
        self._checkouts = Checkouts(
            database=database,
            sandbox=sandbox,
            prompts=prompts,
            endings=endings,
            mounts=caps.mounts,
            email=caps.commit_email,
        )
        self._prompts = prompts
        self._signals = signals
        self._endings = endings
        self._publish = publish
        self._metrics = metrics or Metrics()
        self._log = get_logger("flynn.worker")

    async def run(self, run_id: UUID, lease: Lease) -> None:
        """Take the run as far as it goes; survive a database that goes away meanwhile.

        Raises LeaseLost when another worker owns the conversation.
        """
        again, pause = False, 0.25
        while True:
            try:
                held = await claim(
                    self._database,
                    run_id,
                    job_id=lease.job_id,
                    worker=lease.worker,
                    again=again,
                    freeze=self.workplace.freeze,
                    allowed=self.workplace.day_nanodollars,
                    publish=self._publish,
                )
                return await self._hold(held, lease) if held else None
            except LeaseLost:
                raise
            except FlynnError as error:
                # Its agent or its model cannot be served: there is nothing to hold.
                await self._endings.refuse(run_id, Failed(error.code, error.detail), publish=self._publish)
                return None
            except Exception as error:
                if not is_outage(error):
                    raise
                self._log.warning("the database is away; the run goes on when it is back", error=str(error))
                await asyncio.sleep(pause)
                again, pause = True, min(pause * 2, 2.0)

    async def _hold(self, held: Held, lease: Lease) -> None:
        journal = held.journal
        self._metrics.claims.inc()
        if held.taken_over:
            self._metrics.takeovers.inc()
        with (
            bind(conversation_id=str(journal.conversation_id), run_id=str(journal.run_id)),
            bind(**({} if held.task_id is None else {"task_id": str(held.task_id)})),
            self._signals.watch(
                journal.conversation_id, seq=lambda: journal.transcript.seq, catch_up=journal.catch_up
            ),
        ):
            self._log.info("run started", epoch=journal.epoch, lost=held.run.lost)
            if held.run.lost >= POISON:
                detail = f"Its worker was lost {held.run.lost} times while it ran; it is not tried again."
                await self._endings.fail(journal, Failed("worker-lost", detail))
                return
            try:
                with self.workplace.open(held.conversation) as workspace:
                    await self._enter(held, workspace, lease)
            except asyncio.CancelledError:
                if lease.handed_back:
                    await self._let_go(journal, lease)
                raise
            except LeaseLost:
                self._log.warning("the lease is lost; another worker goes on")
                raise
            except FlynnError as error:
                await self._endings.fail(journal, Failed(error.code, error.detail))
            except Exception as error:
                if is_outage(error):
                    raise
                self._log.exception("the run broke")
                detail = "Something in the service went wrong; its log says what."
                await self._endings.fail(journal, Failed("internal", detail))
            self._log.info("run left", steps=journal.transcript.run.turns)

    async def _enter(self, held: Held, workspace: Workspace, lease: Lease) -> None:
        """Work where the run has its files: in the workspace, or in a checkout that is handed over to it."""
        git = self._checkouts.git(lease.deadline, lease.confirm)
        station = await self._checkouts.enter(held, workspace, git)
        if station is None:
            return
        leave = partial(self._checkouts.leave, held, workspace, station, git)
        with station.workspace:
            try:
                if held.run.kind == "undo":
                    await self._undo(held, station.workspace, lease, leave)
                else:
                    await self._work(held, station.workspace, lease, leave)
            except LeaseLost:
                raise
            except Exception as error:
                # However the run came to its end. Of a database that is away nothing is known: it goes on.
                if not is_outage(error):
                    await leave()
                raise

    async def _work(self, held: Held, workspace: Workspace, lease: Lease, leave: Leave) -> None:
        """Let the agent work."""
        last_look = self.workplace.last_look(
            held, self._database, deadline=lease.deadline, confirm=lease.confirm
        )
        snapshots, off = self._snapshots(held, workspace)
        changes = Changes(held.journal.transcript, workspace, snapshots, off=off)
        try:
            async with Jobs(lease.deadline) as jobs:
                loop = self.workplace.loop(
                    held, workspace, jobs, changes, deadline=lease.deadline, confirm=lease.confirm
                )
                await self._drive(held, loop, workspace, last_look, leave)
        finally:
            await changes.close()

    def _snapshots(self, held: Held, workspace: Workspace) -> tuple[Snapshots | None, str]:
        """The run's snapshots, or None and why there are none: a run goes on without."""
        try:
            return self.workplace.snapshots(held, workspace), TURNED_OFF
        except (OSError, FlynnError) as error:
            why = error.detail if isinstance(error, FlynnError) else f"the disk said: {error.strerror}"
            self._log.warning("the run goes on without snapshots", why=why)
            return None, why.rstrip(".")

    async def _undo(self, held: Held, workspace: Workspace, lease: Lease, leave: Leave) -> None:
        """Undo a call, unless somebody stopped that before it began. Once begun it comes to its end."""
        journal = held.journal
        if (asked := journal.transcript.interrupted) is not None:
            await self._endings.cancel(journal, Cancelled(asked.principal, asked.reason, []))
            return
        snapshots, _ = self._snapshots(held, workspace)
        changes = Changes(journal.transcript, workspace, snapshots)
        reversal = Reversal(
            database=self._database,
            prompts=self._prompts,
            deadline=lease.deadline,
            confirm=lease.confirm,
            snapshots=snapshots,
        )
        try:
            reverted = await reversal.act(held, workspace)
            if reverted.before is not None and reverted.after is not None:
                pair = (reverted.before, reverted.after)
                await keep_net(self._database, journal, snapshots, besides=[pair])
        finally:
            await changes.close()
        await leave(undone=what_was_undone(reverted))
        await self._endings.revert(journal, reverted)

    async def _let_go(self, journal: Journal, lease: Lease) -> None:
        """Say that the worker ends: the run shows as queued, and whoever stops it meanwhile ends it."""
        try:
            async with asyncio.timeout(LET_GO_SECONDS):
                await self._endings.hand_back(journal, lease.job_id)
        except (TimeoutError, LeaseLost, *OUTAGES) as error:
            self._log.warning("the run's worker ends without a word", error=repr(error))

    async def _drive(
        self, held: Held, loop: Loop, workspace: Workspace, last_look: LastLook | None, leave: Leave
    ) -> None:
        """Commit what the loop yields until it has come to a stop that stands."""
        answer: Answer = None
        async with aclosing(loop.run()) as turns:
            while True:
                turn = await turns.asend(answer)
                if isinstance(turn, Append):
                    answer = await held.journal.append(turn.events, after=turn.after)
                    continue
                await loop.toolbox.end_jobs()
                answer = None
                if changed := await loop.changes.rest():
                    await held.journal.append(changed)
                await keep_net(self._database, held.journal, loop.changes.snapshots)
                if last_look is not None and isinstance(turn, Completed | Failed):
                    try:
                        async with until(held.journal.stop):
                            checked = await last_look.taken(held, workspace, loop.changes.snapshots)
                    except Stopped:
                        continue  # the loop closes what there is, and says that it was stopped
                    if checked is not None:
                        reach("checked.before-commit")
                        await held.journal.append([checked])
                        reach("checked.after-commit")
                if not (isinstance(turn, Completed) and held.journal.transcript.unanswered()):
                    stopped = STOP_SECONDS if isinstance(turn, Cancelled) else None
                    await leave(waits=isinstance(turn, Waits), seconds=stopped)
                if await self._stop(held, turn):
                    return

    async def _stop(self, held: Held, stop: Turn) -> bool:
        """Let go of the run; False when it has to go on after all."""
        journal = held.journal
        match stop:
            case Completed():
                return await self._endings.complete(journal, stop)
            case Waits():
                return await self._endings.wait(journal, stop)
            case Failed():
                return await self._endings.fail(journal, stop)
            case Cancelled():
                return await self._endings.cancel(journal, stop)
            case Append():
                raise TypeError("an append is no stop")
            case _:
                assert_never(stop)
