"""The journal: a worker's pen on one conversation. It appends under its epoch, applies, then publishes."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from flynn.agent.fold import Transcript
from flynn.domain import events as ev
from flynn.store import blobs as store
from flynn.store import differences as told
from flynn.store import log
from flynn.store import originals as kept
from flynn.store.database import Database


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
        publish: Callable[[Sequence[ev.Recorded]], None],
    ) -> None:
        self.transcript = transcript
        self.conversation_id = conversation_id
        self.run_id = run_id
        self.epoch = epoch
        self._database = database
        self._publish = publish
        self.turn = asyncio.Lock()
        """Held by whoever appends or applies."""
        self.stop = asyncio.Event()
        """Set when somebody asked the run to stop."""

    async def append(self, events: Sequence[ev.EventData], *, after: int | None = None) -> bool:
        """Commit `events` and apply them. False when they were to follow `after`, and something else did.

        Raises LeaseLost.
        """
        blobs = self.transcript.shelf.unsaved(events)
        originals = self.transcript.originals.unsaved(events)
        # With bytes it takes a transaction; without, one statement is one.
        differences = self.transcript.differences.wanted(events)
        pen = self._database.begin if blobs or originals or differences else self._database.statement
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

    def _progress(self, events: Sequence[ev.EventData]) -> tuple[int, int] | None:
        run = self.transcript.run
        turns = sum(isinstance(e, ev.StepCompleted) for e in events)
        spent = sum(e.nanodollars for e in events if isinstance(e, ev.StepCompleted | ev.StepFailed))
        return (run.turns + turns, run.nanodollars + spent) if turns or spent else None
