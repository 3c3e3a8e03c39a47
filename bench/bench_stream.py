"""From the model's first byte of text to a real Socket.IO client: `python -m bench.bench_stream`.

The simulator's answers begin at once; what is shown is the time from sending a message to its first delta
at the client, less the time until the model's request arrived and was answered.
"""

import asyncio
import time
from typing import Any

import socketio

from bench.service import HEAD, Bench, row, service

MESSAGES = 40


async def _delays(bench: Bench) -> list[float]:
    client = socketio.AsyncClient()
    heard: asyncio.Queue[float] = asyncio.Queue()
    ended: asyncio.Queue[None] = asyncio.Queue()

    async def delta(item: dict[str, Any]) -> None:
        if item["offset"] == 0 and item["kind"] == "text":
            heard.put_nowait(time.monotonic())

    async def event(envelope: dict[str, Any]) -> None:
        if envelope["type"] == "run.completed":
            ended.put_nowait(None)

    client.on("delta", delta)
    client.on("event", event)
    await client.connect(bench.url, auth={"token": bench.key}, transports=["websocket"])
    made = await client.call("conversation.create", {})
    conversation = made["conversation"]["id"]
    await client.call("conversation.open", {"conversation_id": conversation, "after_seq": 0})
    arrivals = []
    for _ in range(MESSAGES):
        await client.call("message.send", {"conversation_id": conversation, "text": "Speak."})
        arrivals.append(await heard.get())
        await ended.get()
    await client.disconnect()
    listed = await bench.client.get(f"{bench.simulator}/_simulator/requests")
    calls = [r for r in listed.json()["requests"] if r["path"].startswith("/v1/messages")]
    begun = sorted(r["first_byte"] for r in calls)
    return [(at - since) * 1000 for at, since in zip(arrivals, begun, strict=True)]


async def main() -> None:
    """Measure and print."""
    turns = "\n".join("  - blocks:\n      - text: Here are some words for you." for _ in range(MESSAGES))
    async with service(f"name: words\nturns:\n{turns}\n") as bench:
        print(HEAD)
        delays = await _delays(bench)
        print(row("model's first byte to first delta at a Socket.IO client", delays, "5 ms added"))


if __name__ == "__main__":
    asyncio.run(main())
