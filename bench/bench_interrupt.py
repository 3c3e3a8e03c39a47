"""Stop means stopped, how fast: `python -m bench.bench_interrupt`. A hundred runs with a tree of processes.

Each run's command starts three processes, two of which ignore SIGTERM, and waits for them. The time counts
from sending POST /interrupt until a real Socket.IO client has `run.cancelled`, which is committed only
when the whole tree is known to be dead. The same as the service measures it itself (flynn_interrupt_seconds,
from commit to commit) stands beside it.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

import socketio
from prometheus_client.parser import text_string_to_metric_families

from bench.service import HEAD, Bench, row, service

ROUNDS = 100
COMMAND = "echo begun >> begun.txt; for i in 1 2; do (trap '' TERM; sleep 300) & done; sleep 300 & wait"
SCRIPT = f"""
name: tree
loop: true
turns:
  - blocks: [{{tool: Bash, input: {{command: {COMMAND!r}}}}}]
"""


async def _begun(file: Path, rounds: int) -> None:
    """Wait until the command of this round runs."""

    def lines() -> int:
        return len(file.read_text().splitlines()) if file.exists() else 0

    end = time.monotonic() + 60
    while await asyncio.to_thread(lines) < rounds:
        if time.monotonic() > end:
            raise RuntimeError(f"the command of round {rounds} did not begin")
        await asyncio.sleep(0.01)


async def latencies(bench: Bench) -> list[float]:
    """Milliseconds from the request to the word that the run is over."""
    client = socketio.AsyncClient()
    over: asyncio.Queue[float] = asyncio.Queue()

    async def event(envelope: dict[str, Any]) -> None:
        if envelope["type"] == "run.cancelled":
            over.put_nowait(time.perf_counter())

    client.on("event", event)
    await client.connect(bench.url, auth={"token": bench.key}, transports=["websocket"])
    made = await client.call("conversation.create", {})
    conversation = made["conversation"]["id"]
    await client.call("conversation.open", {"conversation_id": conversation, "after_seq": 0})
    begun = bench.directory / "data" / "workspaces" / "default" / "begun.txt"
    found = []
    for rounds in range(1, ROUNDS + 1):
        await client.call("message.send", {"conversation_id": conversation, "text": "go"})
        await _begun(begun, rounds)
        sent = time.perf_counter()
        answer = await bench.client.post(f"/api/v1/conversations/{conversation}/interrupt", json={})
        answer.raise_for_status()
        found.append((await asyncio.wait_for(over.get(), 60) - sent) * 1000)
    await client.disconnect()
    return found


async def own_figures(bench: Bench) -> tuple[float, float]:
    """What /metrics says: how many were stopped, and the mean in milliseconds."""
    page = (await bench.client.get("/metrics")).text
    samples = {s.name: s.value for f in text_string_to_metric_families(page) for s in f.samples}
    count = samples["flynn_interrupt_seconds_count"]
    return count, samples["flynn_interrupt_seconds_sum"] / count * 1000


async def main() -> None:
    """Measure and print."""
    async with service(SCRIPT) as bench:
        found = await latencies(bench)
        count, mean = await own_figures(bench)
    print(HEAD)
    print(row("interrupt to run.cancelled at a client, three processes running", found, "p99 1,000 ms"))
    ordered = sorted(found)
    print(
        f"\np50 {ordered[len(ordered) // 2]:.0f} ms, p99 {ordered[int(len(ordered) * 0.99)]:.0f} ms, "
        f"most {ordered[-1]:.0f} ms; from commit to commit {mean:.0f} ms in the mean of {count:.0f}"
    )


if __name__ == "__main__":
    asyncio.run(main())
