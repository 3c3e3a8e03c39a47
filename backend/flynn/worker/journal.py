"""The journal: a worker's pen on one conversation. It appends under its epoch, applies, then publishes.

Each model call takes from the day of the run's principal what it may cost, in the transaction that commits
its start, and gives back what it did not in the one that commits its end.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.agent.fold import Transcript
from flynn.agent.open_run import charged_tokens, was_charged
from flynn.agent.turns import DayFull
from flynn.domain import events as ev
from flynn.store import blobs as store
from flynn.store import differences as told
from flynn.store import log, spending
from flynn.store import originals as kept
from flynn.store.database import Database


class _NoRoom(Exception):
    """The payer's day has no room for a call."""

    def __init__(self, wanted: int) -> None:
        super().__init__(f"no room for {wanted} nano-dollars")
        self.wanted = wanted


@dataclass(slots=True)
class Payer:
    """The principal whose day the run's calls are taken from: whoever asked for the run.

    `allowed` nano-dollars a day, None without a limit; `day` as it was seen last.
    """

    id: UUID
    name: str
    allowed: int | None
    day: spending.Day

    @property
    def left(self) -> int | None:
        """What may still be spent today, as far as is known here; None without a limit."""
        return None if self.allowed is None else self.allowed - self.day.taken

    def full(self, wanted: int) -> DayFull:
        """How full the day is, for whoever wanted more."""
        return DayFull(self.name, self.day.day, self.day.taken, wanted, self.allowed or 0)


class Journal:
    """Keeps a transcript equal to the log while its worker and intake both append to it.

    `publish` is handed what was committed, in the order of seq; it never blocks or raises.
    """

    def __init__(
        self,
        database: Database,
        transcript: Transcript,
        *,
        conversation_id: UUID,
        run_id: UUID,
        epoch: int,
        payer: Payer,
        publish: Callable[[Sequence[ev.Recorded]], None],
    ) -> None:
        self.transcript = transcript
        self.conversation_id = conversation_id
        self.run_id = run_id
        self.epoch = epoch
        self.payer = payer
        self._database = database
        self._publish = publish
        self.turn = asyncio.Lock()
        """Held by whoever appends or applies."""
        self.stop = asyncio.Event()
        """Set when somebody asked the run to stop."""

    async def append(self, events: Sequence[ev.EventData], *, after: int | None = None) -> bool | DayFull:
        """Commit `events` and apply them. False when they were to follow `after`, and something else did.

        Or how full the day is when it has no room for the call that they start. Raises LeaseLost.
        """
        try:
            return await self._append(events, after)
        except _NoRoom as refused:
            async with self._database.statement() as connection:
                self.payer.day = await spending.read_day(connection, self.payer.id)
            return self.payer.full(refused.wanted)

    async def _append(self, events: Sequence[ev.EventData], after: int | None) -> bool:
        blobs = self.transcript.shelf.unsaved(events)
        originals = self.transcript.originals.unsaved(events)
        differences = self.transcript.differences.wanted(events)
        calls = any(isinstance(e, ev.StepStarted | ev.StepCompleted | ev.StepFailed) for e in events)
        # With bytes or money it takes a transaction; without, one statement is one.
        several = blobs or originals or differences or calls
        pen = self._database.begin if several else self._database.statement
        async with self.turn, pen() as connection:
            if after is not None and after != self.transcript.seq:
                return False
            try:
                recorded = await log.append(
                    connection,
                    self.conversation_id,
                    self.run_id,
                    events,
                    epoch=self.epoch,
                    progress=self._progress(events),
                    expected_head=after,
                )
            except log.HeadMoved:
                self.apply(await log.read(connection, self.conversation_id, after_seq=self.transcript.seq))
                return False
            if calls:
                await self._pay(connection, events)
            if blobs:
                await store.save(connection, self.conversation_id, blobs)
            if originals:
                await kept.save(connection, self.conversation_id, originals)
            if differences:
                await told.save(connection, self.conversation_id, self.transcript.differences.of(recorded))
            if recorded[0].seq > self.transcript.seq + 1:
                gap = recorded[0].seq - self.transcript.seq - 1
                self.apply(
                    await log.read(connection, self.conversation_id, after_seq=self.transcript.seq, limit=gap)
                )
            self.apply(recorded)
        self.transcript.shelf.saved(blobs)
        self.transcript.originals.saved(originals)
        self.transcript.differences.saved(events)
        self._publish(recorded)
        return True

    async def catch_up(self) -> None:
        """Apply the inputs that have come since; who appended them has published them."""
        async with self.turn, self._database.statement() as connection:
            self.apply(await log.read(connection, self.conversation_id, after_seq=self.transcript.seq))

    def apply(self, recorded: Sequence[ev.Recorded]) -> None:
        """Apply what the log has more than the transcript, and notice interrupts."""
        for item in recorded:
            self.transcript.apply(item)
        if self.transcript.interrupted is not None:
            self.stop.set()

    def publish(self, recorded: Sequence[ev.Recorded]) -> None:
        """Hand on what another transaction of this worker has committed."""
        self._publish(recorded)

    async def _pay(self, connection: AsyncConnection, events: Sequence[ev.EventData]) -> None:
        """Settle the calls that ended and reserve for the one that starts. Raises _NoRoom."""
        payer, day = self.payer, None
        for event in events:
            match event:
                case ev.StepCompleted() | ev.StepFailed():
                    day = await spending.settle(connection, self.conversation_id, event.nanodollars) or day
                case ev.StepStarted(reserved_nanodollars=wanted):
                    day = await spending.reserve(
                        connection, payer.id, self.conversation_id, wanted, allowed=payer.allowed
                    )
                    if day is None:
                        raise _NoRoom(wanted)
                case _:
                    pass
        if day is not None:
            payer.day = day

    def _progress(self, events: Sequence[ev.EventData]) -> log.Progress | None:
        run = self.transcript.run
        turns, calls, tokens, spent = run.turns, run.calls, run.tokens, run.nanodollars
        for event in events:
            if isinstance(event, ev.StepCompleted | ev.StepFailed):
                turns += isinstance(event, ev.StepCompleted)
                calls += was_charged(event)
                tokens += charged_tokens(event)
                spent += event.nanodollars
        moved = (turns, tokens, spent) != (run.turns, run.tokens, run.nanodollars)
        return log.Progress(turns=turns, calls=calls, tokens=tokens, nanodollars=spent) if moved else None
