"""A load for rolling restarts: people who talk over Socket.IO and clients who delegate, all through a proxy.

Each does what docs/protocol.md tells it to: what was not acknowledged is sent again under the same id, a
lost connection is made again with its session and cursor. Each keeps what it was told.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx2
import socketio.exceptions

from tests.drills.follower import Follower

AGAIN_SECONDS = 0.3


@dataclass
class Talker:
    """Somebody in a conversation: says something, waits for the answer, says the next thing."""

    follower: Follower
    acknowledged: dict[str, str] = field(default_factory=dict)
    """The id of each message, by the id that its client gave it."""
    answers: int = 0
    resumed: list[bool] = field(default_factory=list)

    async def talk(self, enough: asyncio.Event) -> None:
        """Go on until it is enough and the last message is answered."""
        await self.follower.connect()
        while not enough.is_set():
            await self._say(f"{self.follower.conversation}-{len(self.acknowledged)}")
            await self._until_answered()
            self.answers += 1

    async def _say(self, client_id: str) -> None:
        message = {
            "conversation_id": self.follower.conversation,
            "text": f"go on: {client_id}",
            "client_message_id": client_id,
        }
        while client_id not in self.acknowledged:
            try:
                answer = await self.follower.call("message.send", message)
                self.acknowledged[client_id] = answer["message_id"]
            except (socketio.exceptions.SocketIOError, AssertionError):
                await self._back()

    async def _until_answered(self) -> None:
        """Until there is an end for each message that was begun with."""
        while sum(event["type"] == "run.completed" for event in self.follower.events) < len(
            self.acknowledged
        ):
            if self.follower.gone.is_set():
                await self._back()
            await asyncio.sleep(0.05)

    async def _back(self) -> None:
        if not self.follower.gone.is_set():  # an answer that was a refusal
            await asyncio.sleep(AGAIN_SECONDS)
            return
        await self.follower.connect()
        self.resumed.append(bool(self.follower.sessions[-1]["resumed"]))


@dataclass
class Delegator:
    """A client over REST: delegates a task, waits for its end, delegates the next."""

    url: str
    key: str
    name: str
    workspace: str
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Each task as it ended, by its idempotency key."""
    again: int = 0

    async def delegate(self, enough: asyncio.Event) -> None:
        """Go on until it is enough and the last task is over."""
        while not enough.is_set():
            key = f"{self.name}-{len(self.tasks)}"
            order = {"instructions": f"go on: {key}", "workspace": self.workspace}
            sent = await self._ask("POST", "/api/v1/tasks", json=order, headers={"Idempotency-Key": key})
            task = sent
            while task["state"] not in ("completed", "failed", "cancelled"):
                task = await self._ask("GET", f"/api/v1/tasks/{sent['id']}", params={"wait": 10})
            self.tasks[key] = task

    async def _ask(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> Any:
        head = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        while True:
            try:
                async with httpx2.AsyncClient(base_url=self.url, timeout=70, trust_env=False) as http:
                    answer = await http.request(method, path, headers=head, **more)
            except httpx2.TransportError:
                answer = None
            if answer is not None and answer.status_code in (200, 202):
                return answer.json()
            if answer is not None:
                assert answer.status_code >= 500, answer.text
            self.again += 1
            await asyncio.sleep(AGAIN_SECONDS)
