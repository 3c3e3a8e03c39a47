"""The watch: evaluates the rules of a process on a timer of its own.

It needs neither the queue nor the database: what it asks them for it waits a moment for, and goes on
without. What it finds is logged and put on the board here and now; telling others is for the exchange.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from flynn.domain.alert import AlertView
from flynn.ops.alerts.board import Board
from flynn.ops.alerts.course import Course, Turn
from flynn.ops.alerts.patience import Patience
from flynn.ops.alerts.reading import Reading, Samples, Traffic, Window
from flynn.ops.alerts.rule import Reach, Rule
from flynn.telemetry.logging import get_logger

PATIENCE = 3.0
"""Seconds that what asks the database may take; it is left to itself then."""

GAP = 6
"""Times the pause between two looks after which what lay in between is not known."""


class Watch:
    """Evaluates `rules`. `refresh` brings gauges up to date, `samples` reads them.

    `fired` and `resolved` are told of changes of this process. `machine` and `process` say where it is.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        board: Board,
        *,
        refresh: Callable[[], Awaitable[None]],
        samples: Callable[[], Samples],
        fired: Callable[[AlertView, Reach], None],
        resolved: Callable[[AlertView], None],
        machine: str,
        process: str,
        every: float,
        window: float,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._board = board
        self._refresh = Patience(refresh, seconds=patience)
        self._samples = samples
        self._fired = fired
        self._resolved = resolved
        self._where: dict[Reach, str] = {"service": "", "machine": f"@{machine}", "process": f"@{process}"}
        self._process = process
        self._every = every
        self._window = Window(window)
        self._patience = patience
        self._clock = clock
        self._courses: dict[tuple[str, str], Course] = {}
        self._looked_at: float | None = None
        self._log = get_logger("flynn.alerts")

    async def run(self) -> None:
        """Look until cancelled. Nothing that a look meets ends it."""
        try:
            while True:
                try:
                    await self.look()
                except Exception as error:  # an alert must outlive whatever it is
                    self._log.error("alerts could not be evaluated", exc_info=error)
                await asyncio.sleep(self._every)
        finally:
            await self._refresh.close()

    async def look(self) -> None:
        """Evaluate every rule once."""
        try:
            fresh = await self._refresh()
        except Exception as error:  # what can be known without it is looked at all the same
            self._log.error("the figures for alerts could not be brought up to date", exc_info=error)
            fresh = False
        samples, at = self._samples(), self._clock()
        reading = Reading(samples, self._window.add(at, Traffic.of(samples)))
        if not fresh:
            reading = reading.without_database()
        if self._looked_at is not None and at - self._looked_at > GAP * self._every + self._patience:
            for course in self._courses.values():
                course.forget()
        self._looked_at = at
        for rule in self._rules:
            self._evaluate(rule, reading, at)
        self._board.evaluated_at = datetime.now(UTC)

    def _evaluate(self, rule: Rule, reading: Reading, at: float) -> None:
        figures = rule.measure(reading) if rule.measure is not None else {}
        known = {subject for name, subject in self._courses if name == rule.name}
        for subject in sorted(known | figures.keys()):
            value = figures.get(subject)
            course = self._courses.setdefault((rule.name, subject), Course(rule))
            key = f"{rule.name}{f':{subject}' if subject else ''}{self._where[rule.reach]}"
            match course.look(value, at):
                case Turn.FIRED:
                    self._begin(rule, key, subject, value or 0.0)
                case Turn.RESOLVED:
                    self._end(key)
                case None:
                    self._update(key, value)
            if course.quiet:
                del self._courses[rule.name, subject]

    def _begin(self, rule: Rule, key: str, subject: str, value: float) -> None:
        alert = AlertView(
            id=uuid4(),
            key=key,
            alert=rule.name,
            severity=rule.severity,
            sentence=rule.say(value, subject),
            subject=subject or None,
            process=self._process,
            since=datetime.now(UTC),
            value=value,
            threshold=rule.threshold,
            clear=rule.clear,
            unit=rule.unit,
            runbook=rule.runbook,
        )
        say = self._log.error if rule.severity == "critical" else self._log.warning
        say("an alert fires", key=key, alert=rule.name, sentence=alert.sentence, runbook=alert.runbook)
        self._fired(alert, rule.reach)
        self._board.set_own(alert)

    def _end(self, key: str) -> None:
        alert = self._board.own(key)
        if alert is None:
            return
        seconds = (datetime.now(UTC) - alert.since).total_seconds()
        self._log.info("an alert is resolved", key=key, alert=alert.alert, seconds=round(seconds, 1))
        self._board.drop_own(key)
        self._resolved(alert)

    def _update(self, key: str, value: float | None) -> None:
        alert = self._board.own(key)
        if alert is not None and alert.value != value:
            self._board.set_own(alert.model_copy(update={"value": value}))
