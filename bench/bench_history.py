"""Whether a step of a long conversation costs more than one of a short: `python -m bench.bench_history`.

One run of several hundred steps of one Read each. Shown is the time that the service adds to a step (from
the simulator's last byte of an answer to the first byte of the next request, fsync on) near the 20th and
near the 2,000th event of the log, over several runs, and the ratio of the medians.
"""

import asyncio
import itertools
import statistics

from bench.service import HEAD, Bench, finished, row, service

EVENTS_PER_STEP = 5
"""step.started, message.completed, step.completed, tool.started, tool.finished."""
EARLY, LATE = 20, 2_000
WIDTH = 16
"""Steps about each point that are taken."""
ROUNDS = 3
STEPS = LATE // EVENTS_PER_STEP + WIDTH


def script() -> str:
    """A model that asks for one Read after the other, and then ends."""
    calls = "\n".join(
        f"  - blocks: [{{tool: Read, call: c{step}, input: {{file_path: notes.txt}}}}]"
        for step in range(STEPS)
    )
    return f"name: long\nturns:\n{calls}\n  - blocks: [{{text: done}}]\n"


async def gaps(bench: Bench) -> list[float]:
    """Milliseconds between answers and the requests that followed, in order."""
    (bench.directory / "data" / "workspaces" / "default" / "notes.txt").write_text("hello\n")
    await bench.client.post(f"{bench.simulator}/_simulator/reset")
    posted = await bench.client.post("/api/v1/tasks", json={"instructions": "Read it."})
    await finished(bench, posted)
    listed = await bench.client.get(f"{bench.simulator}/_simulator/requests", params={"bodies": 0})
    calls = [r for r in listed.json()["requests"] if r["path"].startswith("/v1/messages")]
    calls.sort(key=lambda r: r["received"])
    return [(after["received"] - before["last_byte"]) * 1000 for before, after in itertools.pairwise(calls)]


def about(steps: list[float], event: int) -> list[float]:
    """The steps near an event of the log."""
    middle = event // EVENTS_PER_STEP
    first = max(1, middle - WIDTH // 2)  # the very first step is the start of the run
    return steps[first : first + WIDTH]


async def main() -> None:
    """Measure and print."""
    early: list[float] = []
    late: list[float] = []
    async with service(script(), FLYNN_RUN_MAX_TURNS="5000", FLYNN_RUN_MAX_DOLLARS="1000") as bench:
        for _ in range(ROUNDS):
            steps = await gaps(bench)
            early += about(steps, EARLY)
            late += about(steps, LATE)
    print(HEAD)
    print(row(f"added time per step near event {EARLY}", early, "12 ms"))
    print(row(f"added time per step near event {LATE:,}", late, "12 ms"))
    print(f"\nratio of the medians {statistics.median(late) / statistics.median(early):.2f} (aim: under 1.5)")


if __name__ == "__main__":
    asyncio.run(main())
