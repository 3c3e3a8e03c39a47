"""The runner: what a worker does with one run, from its claim to its end.

It claims, drives the loop, appends and then publishes. When it is cancelled (shutdown, lost lease) it
writes nothing more but, for a shutdown, that it lets go: the next worker finds the rest in the log.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol, assert_never
from uuid import UUID

from flynn.agent.agent_catalog import Catalog
from flynn.agent.budget import Budget
from flynn.agent.choice import Choice
from flynn.agent.failed_call import FailedCalls
from flynn.agent.gate import Gate
from flynn.agent.loop import Loop
from flynn.agent.permission import Permissions
from flynn.agent.prompt import Prompts
from flynn.agent.query import Query
from flynn.agent.toolbox import Toolbox
from flynn.agent.turns import Append, Cancelled, Completed, Failed, Turn, Waits
from flynn.domain import events as ev
from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.domain.errors import FlynnError, LeaseLost, NotFound
from flynn.domain.permission import PermissionRules
from flynn.model.catalog import resolve
from flynn.model.claude import Claude
from flynn.model.request import ModelRequest
from flynn.sandbox.command import Sandbox
from flynn.store.database import Database
from flynn.store.outage import OUTAGES, is_outage
from flynn.store.rows import ConversationRow
from flynn.store.signals import Signals
from flynn.telemetry.logging import bind, get_logger
from flynn.telemetry.metrics import Metrics
from flynn.tools.job import Jobs
from flynn.tools.toolset import TOOLS, definitions
from flynn.worker.broadcast import Broadcast
from flynn.worker.claims import Held, claim
from flynn.worker.endings import Endings
from flynn.worker.journal import Journal
from flynn.workspace.mounts import Mounts, Place
from flynn.workspace.root import Workspace
from flynn.workspace.scratch import create_scratch

LET_GO_SECONDS = 2.0
"""How long an ending worker tries to say so of a run."""

POISON = 3
"""Workers that may be lost under a run before it is failed."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Output tokens of a call, and of a call after a truncated one; model aliases; scratch space."""

    max_output_tokens: int
    output_ceiling: int
    aliases: dict[str, str]
    scratch: Path
    fallback: str | None = None
    """The id of the model that is asked while a conversation's own does not answer."""
    forbidden: tuple[Path, ...] = ()
    """Places that no workspace may be, hold or lie in."""
    permissions: PermissionRules = field(default_factory=PermissionRules)
    """The operator's rules and mode."""
    patience: timedelta = timedelta(hours=24)
    """How long a call waits for somebody's yes."""
    mounts: Mounts = field(default_factory=Mounts)
    workspace_quota: int | None = None
    """Most bytes of a workspace that the service made, unless it has a quota of its own."""


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
        self._model = model
        self._sandbox = sandbox
        self._prompts = prompts
        self._agents = agents
        self._signals = signals
        self._endings = endings
        self._caps = caps
        self._publish = publish
        self._publish_delta = publish_delta
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
                    freeze=self._freeze,
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
                with self._workspace(held.conversation) as workspace:
                    async with Jobs(lease.deadline) as jobs:
                        await self._drive(held, self._loop(held, lease, workspace, jobs))
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

    async def _let_go(self, journal: Journal, lease: Lease) -> None:
        """Say that the worker ends: the run shows as queued, and whoever stops it meanwhile ends it."""
        try:
            async with asyncio.timeout(LET_GO_SECONDS):
                await self._endings.hand_back(journal, lease.job_id)
        except (TimeoutError, LeaseLost, *OUTAGES) as error:
            self._log.warning("the run's worker ends without a word", error=repr(error))

    def _workspace(self, conversation: ConversationRow) -> Workspace:
        """The workspace through this worker's own mount. Raises Unavailable, WorkspaceError."""
        quota = conversation.workspace_quota
        if quota is None and conversation.workspace_made:
            quota = self._caps.workspace_quota
        return self._caps.mounts.open(
            Place(conversation.volume_id, conversation.workspace_path),
            conversation.workspace_name,
            quota_bytes=quota,
            forbidden=self._caps.forbidden,
        )

    async def _drive(self, held: Held, loop: Loop) -> None:
        """Commit what the loop yields until it has come to a stop that stands."""
        answer: bool | None = None
        async with aclosing(loop.run()) as turns:
            while True:
                turn = await turns.asend(answer)
                if isinstance(turn, Append):
                    answer = await held.journal.append(turn.events, after=turn.after)
                    continue
                await loop.toolbox.end_jobs()
                if await self._stop(held, turn):
                    return
                answer = None

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

    def _loop(self, held: Held, lease: Lease, workspace: Workspace, jobs: Jobs) -> Loop:
        journal, prefix = held.journal, held.prefix
        frame = ModelRequest(
            model=prefix["model"],
            max_tokens=self._caps.max_output_tokens,
            system=prefix["system"],
            tools=prefix["tools"],
            messages=[],
            effort=prefix["effort"],
        )
        budget = Budget(model=self._model, frame=frame)
        rules = self._caps.permissions.joined(PermissionRules.model_validate(prefix.get("permissions", {})))
        gate = Gate(
            Permissions(rules, workspace),
            self._prompts,
            mode=held.conversation.permission_mode,
            patience=self._caps.patience,
        )
        toolbox = Toolbox(
            workspace=workspace,
            sandbox=self._sandbox,
            scratch=create_scratch(self._caps.scratch, journal.conversation_id),
            offered=_names(prefix["tools"]),
            gate=gate,
            deadline=lease.deadline,
            confirm=lease.confirm,
            jobs=jobs,
        )
        choice = Choice(
            self._model, frame, budget, ceiling=self._caps.output_ceiling, fallback=self._caps.fallback
        )
        failed = FailedCalls(
            choice, refused=self._prompts.note("refused"), unreadable=self._prompts.note("unreadable")
        )
        query = Query(model=self._model, frame=frame, budget=budget, choice=choice, failed=failed)
        return Loop(
            transcript=journal.transcript,
            query=query,
            toolbox=toolbox,
            gate=gate,
            budget=budget,
            choice=choice,
            prompts=self._prompts,
            stop=journal.stop,
            sink=Broadcast(self._publish_delta, conversation_id=journal.conversation_id, epoch=journal.epoch),
        )

    def _freeze(self, conversation: ConversationRow) -> tuple[Json, str]:
        """Render what the conversation keeps: its agent as it is now."""
        agent = self._agents().agents.get(conversation.agent)
        if agent is None:
            raise NotFound(f"The agent {conversation.agent!r} is not served any more.")
        tools = agent.offered(TOOLS)
        return {
            "agent": agent.name,
            "model": resolve(_asked(agent.model), self._caps.aliases),
            "effort": agent.effort,
            "max_turns": agent.max_turns,
            "permissions": agent.permissions.model_dump(mode="json"),
            "system": self._prompts.system_blocks(agent, tools),
            "tools": definitions(tools, self._prompts.tool_descriptions()),
        }, agent.version


def _asked(model: str | None) -> str:
    """The alias or id that an agent file asks for; what it inherits here is the service's own."""
    return model if model not in (None, "inherit") else "haiku"


def _names(tools: Sequence[Json]) -> Iterable[str]:
    return (tool["name"] for tool in tools)
