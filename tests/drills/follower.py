"""A client as docs/protocol.md tells one to be: keeps its cursor, drops repeats, presents its session."""

import asyncio
from typing import Any

import aiohttp
import socketio
import socketio.exceptions

Block = tuple[int, str, int, str | None]
"""Step, kind, block and call id: what tells the texts on the way apart."""


class Follower:
    """Follows one conversation over Socket.IO; `cut` and `connect` as often as you like."""

    def __init__(self, url: str, key: str, conversation: str, *transports: str) -> None:
        self.url, self.key, self.conversation = url, key, conversation
        self.transports = transports or ("websocket",)
        self.events: list[dict[str, Any]] = []
        self.holes: list[tuple[int, int]] = []
        self.repeated = 0
        self._pieces: dict[Block, tuple[list[str], int]] = {}
        self.gaps: list[Block] = []
        self.problems: list[dict[str, Any]] = []
        self.notices: list[dict[str, Any]] = []
        self.sessions: list[dict[str, Any]] = []
        self.deltas = 0
        self.gone = asyncio.Event()
        self._client: socketio.AsyncClient | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def last(self) -> int:
        """The last seq."""
        return int(self.events[-1]["seq"]) if self.events else 0

    @property
    def seqs(self) -> list[int]:
        return [event["seq"] for event in self.events]

    def has(self, kind: str) -> bool:
        """Whether an event of this type has come."""
        return any(event["type"] == kind for event in self.events)

    async def connect(self, url: str | None = None) -> None:
        """Connect, with the session if there is one; tries again for a while, as clients do."""
        auth = {"token": self.key}
        if self.sessions:
            auth["session"] = self.sessions[-1]["session"]
        # One jar for the life of the client, as a browser has; it takes cookies of addresses, too.
        self._http = self._http or aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        async with asyncio.timeout(30):
            while True:
                self.gone = asyncio.Event()
                before = len(self.sessions)
                client = self._client = self._made(self.gone)
                try:
                    await client.connect(
                        url or self.url, auth=auth, transports=list(self.transports), wait_timeout=10
                    )
                    async with asyncio.timeout(10):
                        while len(self.sessions) == before:  # noqa: ASYNC110  # told by a callback
                            await asyncio.sleep(0.02)
                    break
                except (socketio.exceptions.ConnectionError, TimeoutError):
                    await asyncio.sleep(0.2)
        if self.conversation not in self.sessions[-1]["watching"]:
            await self.call(
                "conversation.open", {"conversation_id": self.conversation, "after_seq": self.last}
            )

    async def call(self, name: str, data: dict[str, Any]) -> dict[str, Any]:
        """Call, and give the answer, which must be a good one."""
        assert self._client is not None
        answer: dict[str, Any] = await self._client.call(name, data, timeout=20)
        assert answer.get("ok"), answer
        return answer

    async def say(self, text: str) -> dict[str, Any]:
        """Say something in the conversation."""
        return await self.call("message.send", {"conversation_id": self.conversation, "text": text})

    async def cut(self) -> None:
        """Lose the connection without a word."""
        assert self._client is not None
        transport = self._client.eio.ws._response.connection.transport
        transport.abort()
        await asyncio.wait_for(self.gone.wait(), 20)

    async def close(self) -> None:
        """Leave."""
        if self._client is not None:
            await self._client.disconnect()
        if self._http is not None:
            await self._http.close()

    async def until(self, kind: str, *, count: int = 1, seconds: float = 60) -> None:
        """Wait until so many events of this type have come."""
        async with asyncio.timeout(seconds):
            while sum(event["type"] == kind for event in self.events) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def until_words(self, deltas: int, *, seconds: float = 60) -> None:
        """Wait until so many deltas have come."""
        async with asyncio.timeout(seconds):
            while self.deltas < deltas:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def _made(self, gone: asyncio.Event) -> socketio.AsyncClient:
        client = socketio.AsyncClient(reconnection=False, handle_sigint=False, http_session=self._http)
        client.on("session", self.sessions.append)
        client.on("event", self._event)
        client.on("delta", self._delta)
        client.on("problem", self.problems.append)
        client.on("notice", self.notices.append)
        client.on("disconnect", lambda _reason=None: gone.set())
        return client

    def _event(self, event: dict[str, Any]) -> None:
        if event["seq"] <= self.last:
            self.repeated += 1
            return
        if event["seq"] != self.last + 1:
            self.holes.append((self.last, event["seq"]))
        self.events.append(event)

    def _delta(self, delta: dict[str, Any]) -> None:
        self.deltas += 1
        block = (delta["step"], delta["kind"], delta["block"], delta.get("call_id"))
        pieces, known = self._pieces.get(block, ([], 0))
        if delta["offset"] > known:
            self.gaps.append(block)
        elif delta["offset"] < known:
            pieces = ["".join(pieces)[: delta["offset"]]]
        if delta["kind"] != "output":  # of which there may be a hundred megabytes
            pieces.append(delta["text"])
        self._pieces[block] = (pieces, delta["offset"] + len(delta["text"]))

    def words(self, step: int, block: int = 0) -> str:
        """The text of a block as it was put together from deltas."""
        return "".join(self._pieces[step, "text", block, None][0])
