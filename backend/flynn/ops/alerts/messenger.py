"""The messenger: posts what is to be told to the operator's webhook, off everybody's path.

A bounded number waits, each is tried a few times, and one that is not taken is dropped: an alert that still
fires is brought again by the exchange.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from flynn.domain.alert import AlertState, AlertView, body_of, message_id
from flynn.telemetry.logging import get_logger

MOST_WAITING = 100
PAUSES = (1.0, 5.0, 15.0)
"""Seconds between attempts; there is one more than there are pauses."""


class Over(Protocol):
    """Hears what became of a message."""

    def __call__(self, alert: AlertView, state: AlertState, *, taken: bool) -> None:
        """It was taken, or given up."""


@dataclass(frozen=True, slots=True)
class _Message:
    alert: AlertView
    state: AlertState
    at: datetime


class Messenger:
    """`post(message_id, body)` sends a message once, and says in words why it was not taken.

    `counted` counts posts, as delivered or failed.
    """

    def __init__(
        self,
        post: Callable[[str, str], Awaitable[str | None]],
        *,
        counted: Callable[[str], None],
        pauses: Sequence[float] = PAUSES,
        most: int = MOST_WAITING,
    ) -> None:
        self._post = post
        self._over: Over | None = None
        self._counted = counted
        self._pauses = pauses
        self._most = most
        self._waiting: deque[_Message] = deque()
        self._news = asyncio.Event()
        self._log = get_logger("flynn.alerts")

    def on_over(self, over: Over) -> None:
        """Let `over` hear what becomes of each."""
        self._over = over

    def send(self, alert: AlertView, state: AlertState) -> None:
        """Have it told. Never blocks."""
        if len(self._waiting) >= self._most:
            self._drop(self._waiting.popleft(), "too many wait")
        self._waiting.append(_Message(alert, state, datetime.now(UTC)))
        self._news.set()

    async def run(self) -> None:
        """Post until cancelled, in order."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await self._deliver(self._waiting.popleft())

    async def _deliver(self, message: _Message) -> None:
        body = json.dumps(body_of(message.alert, message.state, message.at), separators=(",", ":"))
        name = message_id(message.alert.id, message.state)
        reason: str | None = None
        for pause in (*self._pauses, None):
            reason = await self._try(name, body)
            self._counted("failed" if reason else "delivered")
            if reason is None:
                self._tell_back(message, taken=True)
                return
            if pause is not None:
                await asyncio.sleep(pause)
        self._drop(message, reason or "")

    async def _try(self, name: str, body: str) -> str | None:
        try:
            return await self._post(name, body)
        except Exception as error:  # the next message is not to suffer from a defect in this one
            self._log.error("posting to FLYNN_ALERT_URL broke", exc_info=error)
            return type(error).__name__

    def _drop(self, message: _Message, reason: str) -> None:
        self._log.warning(
            "FLYNN_ALERT_URL was not told of an alert",
            key=message.alert.key,
            state=message.state,
            reason=reason,
        )
        self._tell_back(message, taken=False)

    def _tell_back(self, message: _Message, *, taken: bool) -> None:
        if self._over is not None:
            self._over(message.alert, message.state, taken=taken)
