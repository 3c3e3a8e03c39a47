"""The API's median and 95th percentile: `python -m bench.bench_api`. Eight clients at once, fsync on."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx2

from bench.service import HEAD, Bench, milliseconds, row, service

REQUESTS = 400
CLIENTS = 8


async def _measure(call: Callable[[], Awaitable[httpx2.Response]]) -> list[float]:
    took: list[float] = []

    async def one(count: int) -> None:
        for _ in range(count):
            began = time.perf_counter()
            answer = await call()
            if answer.status_code >= 300:
                raise RuntimeError(answer.text)
            took.append(milliseconds(began))

    await asyncio.gather(*(one(REQUESTS // CLIENTS) for _ in range(CLIENTS)))
    return took


async def _run(bench: Bench) -> None:
    made = await bench.client.post("/api/v1/conversations", json={})
    conversation = f"/api/v1/conversations/{made.json()['id']}"
    calls: dict[str, Callable[[], Awaitable[httpx2.Response]]] = {
        "GET conversation": lambda: bench.client.get(conversation),
        "GET tasks": lambda: bench.client.get("/api/v1/tasks"),
        "GET health": lambda: bench.client.get("/health"),
        "POST message (committed)": lambda: bench.client.post(
            f"{conversation}/messages", json={"text": "hello"}
        ),
    }
    print(HEAD)
    for name, call in calls.items():
        print(row(name, await _measure(call), "200 ms median, 1 s p95"))


async def main() -> None:
    """Measure and print."""
    turns = "\n".join("  - blocks:\n      - text: Hello." for _ in range(5))
    async with service(f"name: words\nturns:\n{turns}\n") as bench:
        await _run(bench)


if __name__ == "__main__":
    asyncio.run(main())
