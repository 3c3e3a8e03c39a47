"""The exchange: what fires in one process becomes known to the others, and is told to the outside once.

The database is the place for it: who sees an alert holds its row, and whoever takes an untold row tells.
While the database is away, each process tells of itself; of what all of them see, the one that gets a
short claim on the bus, and without a bus that joins them every one: rather twice than not at all.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flynn.domain.alert import AlertState, AlertView
from flynn.ops.alerts.board import Board
from flynn.ops.alerts.patience import Patience
from flynn.ops.alerts.rule import Reach
from flynn.store import alerts
from flynn.store.alerts import Kept
from flynn.store.database import Database
from flynn.store.outage import OUTAGES
from flynn.telemetry.logging import get_logger

PATIENCE = 3.0
"""Seconds that an exchange with the database may take before it counts as away."""

SILENT_SECONDS = 900.0
"""After so long without a word of it a process is taken not to see an alert any more. Longer than any rule
lasts, so that a process that is started again finds what it said before."""

TELLING_SECONDS = 60.0
"""For so long whoever takes an untold alert has it; then it is tried again, by whoever comes first."""

Send = Callable[[AlertView, AlertState], None]


@dataclass(slots=True)
class _Held:
    """An alert of this process. `told_as` is the id under which it was told without the database."""

    alert: AlertView
    reach: Reach
    recorded: bool = False
    claimed: bool | None = None
    told_as: UUID | None = None
    delivered: bool = False
    not_before: float = 0.0


class Exchange:
    """Shares the alerts of `process`. `send` tells the outside, None where nobody is to be told.

    `claim(name, seconds)` says whether this process may speak for all of those that the bus joins.
    """

    def __init__(
        self,
        database: Database,
        board: Board,
        *,
        process: str,
        send: Send | None,
        claim: Callable[[str, float], Awaitable[bool]],
        every: float,
        silent: float = SILENT_SECONDS,
        telling: float = TELLING_SECONDS,
        patience: float = PATIENCE,
    ) -> None:
        self._database = database
        self._board = board
        self._process = process
        self._send = send
        self._claim = claim
        self._every = every
        self._silent = silent
        self._telling = telling
        self._patience = patience
        self._meet = Patience(self._met, seconds=patience + 1)
        self._held: dict[str, _Held] = {}
        self._ending: dict[str, _Held] = {}
        self._delivered: set[UUID] = set()
        self._news = asyncio.Event()
        self._log = get_logger("flynn.alerts")

    def fired(self, alert: AlertView, reach: Reach) -> None:
        """This process sees an alert."""
        self._held[alert.key] = _Held(alert, reach)
        self._ending.pop(alert.key, None)
        self._news.set()

    def resolved(self, alert: AlertView) -> None:
        """It does not see it any more."""
        held = self._held.pop(alert.key, None)
        if held is not None:
            self._ending[alert.key] = held
            self._news.set()

    def over(self, alert: AlertView, state: AlertState, *, taken: bool) -> None:
        """What became of something that was sent."""
        if state != "firing":
            return
        held = self._held.get(alert.key)
        alone = held is not None and held.told_as == alert.id
        if taken:
            self._delivered.add(alert.id)
            self._news.set()
        if held is not None and alone:
            held.delivered = taken
            if not taken and not held.recorded:
                held.told_as, held.not_before = None, time.monotonic() + self._telling

    async def run(self) -> None:
        """Exchange until cancelled: when something changed, and every few seconds."""
        try:
            while True:
                with suppress(TimeoutError):  # then it is time for a look all the same
                    async with asyncio.timeout(self._every):
                        await self._news.wait()
                self._news.clear()
                await self.meet()
                await asyncio.sleep(self._every / 10)
        finally:
            await self._meet.close()

    async def meet(self) -> None:
        """Exchange once. Raises nothing."""
        try:
            if await self._meet():
                return
        except OUTAGES as error:
            self._log.debug("alerts are not shared while the database is away", error=str(error))
        except Exception as error:  # telling must outlive whatever it is
            self._log.error("alerts could not be shared", exc_info=error)
        self._board.complete = False
        await self._go_it_alone()

    async def _met(self) -> None:
        async with asyncio.timeout(self._patience), self._database.statement() as connection:
            if not (self._held or self._ending or await alerts.anything(connection)):
                self._delivered.clear()
                self._board.set_others([])
                return
            for key, held in list(self._ending.items()):
                await alerts.let_go(connection, process=self._process, key=key)
                self._ending.pop(key, None)
                self._resolve_alone(held, recorded=held.recorded)
            for key, held in sorted(self._held.items()):
                shown = self._board.own(key) or held.alert
                found = await alerts.hold(
                    connection,
                    process=self._process,
                    key=key,
                    id=held.alert.id,
                    since=held.alert.since,
                    value=shown.value,
                    view=held.alert.model_dump_json(),
                    told=held.delivered,
                )
                held.recorded = True
                self._adopt(held, *found)
            for kept in await alerts.end(connection, silent=self._silent):
                self._log.info("an alert is over for the whole service", key=kept.key)
                self._tell(_view(kept), "resolved")
            self._board.set_others(
                [_view(kept) for kept in await alerts.of_others(connection, process=self._process)]
            )
            if self._delivered:
                await alerts.told(connection, sorted(self._delivered))
                self._delivered.clear()
            if self._send is not None:
                for kept in await alerts.take(connection, seconds=self._telling):
                    self._tell(_view(kept), "firing")

    def _adopt(self, held: _Held, alert_id: UUID, since: datetime) -> None:
        """Go on under the id and beginning of whoever saw it first."""
        held.alert = held.alert.model_copy(update={"id": alert_id, "since": since})
        own = self._board.own(held.alert.key)
        if own is not None and own.id != alert_id:
            self._board.set_own(own.model_copy(update={"id": alert_id, "since": since}))

    async def _go_it_alone(self) -> None:
        for key, held in list(self._ending.items()):
            if not held.recorded:
                del self._ending[key]
                self._resolve_alone(held, recorded=False)
        if self._send is None:
            return
        for key, held in list(self._held.items()):
            if held.recorded or held.told_as is not None or time.monotonic() < held.not_before:
                continue
            if held.claimed is None:
                held.claimed = held.reach == "process" or await self._claim(f"alert:{key}", self._telling)
            if held.claimed and self._held.get(key) is held:
                held.told_as = held.alert.id
                self._tell(held.alert, "firing")

    def _resolve_alone(self, held: _Held, *, recorded: bool) -> None:
        """Take back what was told without the database, unless the end of its row does."""
        if held.told_as is not None and not (recorded and held.alert.id == held.told_as):
            self._tell(held.alert.model_copy(update={"id": held.told_as}), "resolved")

    def _tell(self, alert: AlertView, state: AlertState) -> None:
        if self._send is not None:
            self._send(alert, state)


def _view(kept: Kept) -> AlertView:
    view = AlertView.model_validate_json(kept.view)
    return view.model_copy(update={"id": kept.id, "since": kept.since, "value": kept.value})
