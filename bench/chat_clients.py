"""Chat users for `bench_chat`, in a process of their own: `python -m bench.chat_clients URL KEY FIRST COUNT`.

Each connects over Socket.IO (frame by frame, so that the clients cost little beside the service), opens a
conversation in a workspace of its own, says `<number>` and reads the answer. Prints "ready" when all are
connected, begins at a line on stdin, and prints JSON: for each user pairs of the answer's length so far and
the monotonic time of its arrival, in seconds.
"""

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp
import orjson

Notes = dict[str, list[tuple[int, float]]]


class User:
    """One connection that chats."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str, number: int) -> None:
        self._session, self._url, self._key, self.number = session, url, key, number
        self._answers = 0
        self.notes: list[tuple[int, float]] = []
        self.conversation = ""

    async def connect(self) -> None:
        """Connect and open the conversation."""
        self._socket = await self._session.ws_connect(f"{self._url}/socket.io/?EIO=4&transport=websocket")
        await self._socket.send_str("40" + json.dumps({"token": self._key}))
        made = await self._call("conversation.create", {"workspace": f"bench-{self.number}"})
        self.conversation = made["conversation"]["id"]
        await self._call("conversation.open", {"conversation_id": self.conversation})

    async def chat(self) -> None:
        """Say something and read until the run is over. Raises RuntimeError when it did not complete.

        Users begin one after the other, over five seconds: people do not press a key in the same instant.
        """
        await asyncio.sleep(self.number % 100 * 0.05)
        order = {"conversation_id": self.conversation, "text": f"<{self.number}>"}
        await self._socket.send_str(f'42["message.send",{json.dumps(order)}]')
        while True:
            data = await self._frame()
            if data.startswith('42["delta"'):
                at = time.monotonic()
                delta = orjson.loads(data[2:])[1]
                if delta["kind"] == "text":
                    self.notes.append((delta["offset"] + len(delta["text"]), at))
            elif data.startswith('42["event"'):
                event = orjson.loads(data[2:])[1]
                if event["type"] == "run.completed":
                    await self._socket.close()
                    return
                if event["type"] in ("run.failed", "run.waiting", "run.cancelled"):
                    raise RuntimeError(str(event))
            elif data.startswith('42["problem"'):
                raise RuntimeError(data)

    async def _frame(self) -> str:
        while True:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise RuntimeError(f"the connection of user {self.number} ended: {message}")
            if message.data == "2":
                await self._socket.send_str("3")
            else:
                return str(message.data)

    async def _call(self, name: str, order: dict[str, Any]) -> dict[str, Any]:
        number = self._answers
        self._answers += 1
        await self._socket.send_str(f"42{number}{json.dumps([name, order])}")
        while True:
            data = await self._frame()
            if data.startswith(f"43{number}["):
                answer: dict[str, Any] = json.loads(data[2 + len(str(number)) :])[0]
                if "error" in answer:
                    raise RuntimeError(str(answer))
                return answer


async def main(url: str, key: str, first: int, count: int) -> None:
    """Connect, wait for the word, chat, and print what was noted."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        users = [User(session, url, key, number) for number in range(first, first + count)]
        for user in users:
            await user.connect()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await asyncio.gather(*(user.chat() for user in users))
        print(json.dumps({str(user.number): user.notes for user in users}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
