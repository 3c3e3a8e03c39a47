"""Users for `bench_load`, in a process of their own: `bench.load_clients URL KEY FIRST COUNT SECONDS`.

Each is a python-socketio client that opens a conversation in a workspace of its own, says something, reads
until the run is over, reads for a second or three, and says the next thing, until the time is over. Prints
"ready" when all are connected, begins at a line on stdin, and prints JSON: for each message that was sent the
milliseconds until its acknowledgement, its first word and the end of its run.
"""

import asyncio
import json
import sys
import time
from typing import Any

import socketio

PATIENCE = 120.0
OVER = ("run.completed", "run.failed", "run.waiting", "run.cancelled")

Turn = tuple[float, float | None, float]


class User:
    """One connection that chats."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.turns: list[Turn] = []
        self._conversation = ""
        self._ended: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._first: float | None = None
        self._client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        self._client.on("event", self._event)
        self._client.on("delta", self._delta)

    async def connect(self, url: str, key: str) -> None:
        """Connect and open the conversation."""
        await self._client.connect(url, auth={"token": key}, transports=["websocket"], wait_timeout=PATIENCE)
        made = await self._call("conversation.create", {"workspace": f"bench-{self.number}"})
        self._conversation = made["conversation"]["id"]
        await self._call("conversation.open", {"conversation_id": self._conversation})

    async def chat(self, seconds: float) -> None:
        """Chat for so long; the last run is waited for. Raises RuntimeError when one did not complete.

        Users begin one after the other, over five seconds: people do not press a key in the same instant.
        """
        await asyncio.sleep(self.number % 100 * 0.05)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began, self._first = time.monotonic(), None
            await self._call(
                "message.send", {"conversation_id": self._conversation, "text": "What is in notes.txt?"}
            )
            acknowledged = time.monotonic()
            event = await asyncio.wait_for(self._ended.get(), PATIENCE)
            if event["type"] != "run.completed":
                raise RuntimeError(f"the run of user {self.number} came to {event['type']}: {event['data']}")
            first = None if self._first is None else (self._first - began) * 1000
            self.turns.append(((acknowledged - began) * 1000, first, (time.monotonic() - began) * 1000))
            await asyncio.sleep(1 + self.number * 37 % 20 / 10)
        await self._client.disconnect()

    async def _event(self, event: dict[str, Any]) -> None:
        if event["type"] in OVER:
            self._ended.put_nowait(event)

    async def _delta(self, delta: dict[str, Any]) -> None:
        if self._first is None and delta["kind"] == "text":
            self._first = time.monotonic()

    async def _call(self, name: str, order: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = await self._client.call(name, order, timeout=PATIENCE)
        if "error" in answer:
            raise RuntimeError(f"{name} of user {self.number}: {answer['error']}")
        return answer


async def main(url: str, key: str, first: int, count: int, seconds: float) -> None:
    """Connect, wait for the word, chat, and print what was noted."""
    users = [User(number) for number in range(first, first + count)]
    for user in users:
        await user.connect(url, key)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(user.chat(seconds) for user in users))
    print(json.dumps([turn for user in users for turn in user.turns]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
