"""Added time per step: `python -m bench.bench_step`. Sixty steps of one Read, then of five parallel Reads.

From the simulator's last byte of an answer that asks for tools to the first byte of the next request, as
the simulator saw both; fsync on.
"""

import asyncio
import itertools

from bench.service import HEAD, Bench, finished, row, service

STEPS = 60


def script(reads: int) -> str:
    """A model that asks `STEPS` times for `reads` Reads at once, and then ends."""

    def calls(step: int) -> str:
        return "\n".join(
            f"      - {{tool: Read, call: c{step}-{i}, input: {{file_path: notes.txt}}}}"
            for i in range(reads)
        )

    turns = "\n".join(f"  - blocks:\n{calls(step)}" for step in range(STEPS))
    return f"name: steps\nturns:\n{turns}\n  - blocks:\n      - text: done\n"


async def gaps(bench: Bench) -> list[float]:
    """Milliseconds between answers and the requests that followed."""
    (bench.directory / "data" / "workspaces" / "default" / "notes.txt").write_text("hello\n")
    posted = await bench.client.post("/api/v1/tasks", json={"instructions": "Read it."})
    await finished(bench, posted)
    listed = await bench.client.get(f"{bench.simulator}/_simulator/requests")
    calls = [r for r in listed.json()["requests"] if r["path"].startswith("/v1/messages")]
    calls.sort(key=lambda r: r["received"])
    return [(after["received"] - before["last_byte"]) * 1000 for before, after in itertools.pairwise(calls)]


async def main() -> None:
    """Measure and print."""
    print(HEAD)
    for reads, name in ((1, "one Read"), (5, "five parallel Reads")):
        async with service(script(reads), FLYNN_RUN_MAX_TURNS="200") as bench:
            print(row(f"added time per step, {name}", await gaps(bench), "12 ms median"))


if __name__ == "__main__":
    asyncio.run(main())
