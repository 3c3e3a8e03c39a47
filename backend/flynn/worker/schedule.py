"""The schedule: starts tasks whose predecessors are over, and stops those whose deadline has passed.

Every process with a worker has one; the conversation's lock and a second look keep them from doing anything
twice. Whatever dies meanwhile has done nothing, and another one looks a second later.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain import events as ev
from flynn.domain.content import text_block
from flynn.domain.run import RunState
from flynn.domain.usage import Usage
from flynn.intake import running
from flynn.intake.briefing import brief_of_predecessors
from flynn.intake.ending import conclude
from flynn.intake.rules import Rules
from flynn.store import log, runs, standing
from flynn.store.admission import admit
from flynn.store.database import Database
from flynn.store.outage import OUTAGES, is_outage
from flynn.telemetry.logging import get_logger

LOOK_SECONDS = 1.0
"""How often it looks."""

ITSELF = "flynn"
"""Who is named in events for what the service does by itself."""


class Schedule:
    """Looks. `publish` is handed what was committed."""

    def __init__(
        self, database: Database, *, rules: Rules, publish: Callable[[Sequence[ev.Recorded]], None]
    ) -> None:
        self._database = database
        self._rules = rules
        self._publish = publish
        self._broken: set[UUID] = set()
        self._log = get_logger("flynn.worker.schedule")

    async def run(self) -> None:
        """Look until cancelled; a database that is away is looked at again later."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except OUTAGES as error:
                self._log.warning("the schedule cannot reach the database", error=str(error))

    async def look(self) -> int:
        """Let followers go or end them, and stop what is overdue; returns how many runs that were."""
        async with self._database.statement() as connection:
            overdue = await standing.overdue_runs(connection)
            released = await standing.released_runs(connection)
        for run_id in overdue:
            await self._move(run_id, self._stop)
        for run_id in released:
            await self._move(run_id, self._settle)
        return len(overdue) + len(released)

    async def _move(
        self, run_id: UUID, act: Callable[[AsyncConnection, UUID], Awaitable[list[ev.Recorded]]]
    ) -> None:
        """Do with one run what is due; a defect in it is said once, and holds up no other run."""
        try:
            async with self._database.begin() as connection:
                recorded = await act(connection, run_id)
        except Exception as error:
            if is_outage(error):
                raise
            if run_id not in self._broken:
                self._broken.add(run_id)
                self._log.error("a run cannot be started or stopped", run_id=str(run_id), exc_info=error)
            return
        self._broken.discard(run_id)
        self._publish(recorded)

    async def _stop(self, connection: AsyncConnection, run_id: UUID) -> list[ev.Recorded]:
        """Stop a run for its deadline, as somebody's interrupt would."""
        conversation = await runs.lock_conversation_of(connection, run_id)
        if conversation is None or not await standing.overdue_runs(connection, run_id):
            return []
        run = await runs.lock_run(connection, run_id)
        reason = f"The task's deadline, {run.deadline:%Y-%m-%d %H:%M:%S} UTC, has passed."
        _, recorded = await running.stop(connection, ITSELF, conversation.id, reason, rules=self._rules)
        await standing.note_deadline(connection, run_id)
        return recorded

    async def _tell(
        self, connection: AsyncConnection, conversation_id: UUID, run_id: UUID, after: Sequence[UUID]
    ) -> list[ev.Recorded]:
        """Tell a released task of those before it, if its order asks for that."""
        words = await brief_of_predecessors(connection, conversation_id, after, self._rules)
        if words is None:
            return []
        message = ev.MessageSent(
            message_id=uuid4(), principal=ITSELF, text=words, content=[text_block(words)]
        )
        return await log.append(connection, conversation_id, run_id, [message])

    async def _settle(self, connection: AsyncConnection, run_id: UUID) -> list[ev.Recorded]:
        """Let a held run stand in line, or end it, since a task before it did not end well."""
        conversation = await runs.lock_conversation_of(connection, run_id)
        if conversation is None or not await standing.released_runs(connection, run_id):
            return []
        run = await runs.lock_run(connection, run_id)
        badly = [
            (task, state)
            for task, state in await standing.ends_of(connection, run.after)
            if state is not RunState.COMPLETED
        ]
        if not badly:
            await standing.let_go(connection, run_id)
            recorded = await self._tell(connection, conversation.id, run_id, run.after)
            await admit(connection, self._rules.admission)
            return recorded
        task, state = badly[0]
        await runs.raise_epoch(connection, conversation.id)
        detail = f"The task {task}, which it comes after, ended as {state.value}."
        event: ev.RunFailed | ev.RunCancelled = ev.RunFailed(
            code="predecessor-failed", detail=detail, steps=0, usage=Usage(), nanodollars=0
        )
        if await standing.when_failed(connection, conversation.id) == "skip":
            event = ev.RunCancelled(principal=ITSELF, reason=f"Skipped. {detail}")
        return await conclude(
            connection,
            conversation,
            run,
            event,
            epoch=None,
            successor=None,
            admission=self._rules.admission,
        )
