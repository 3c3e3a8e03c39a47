"""Memory of the service's process without Postgres: `python -m bench.bench_memory`. Idle, and at 50 runs."""

import asyncio

import psutil

from bench.service import HEAD, Bench, row, service

RUNS = 50


def _pss(pid: int) -> float:
    """Proportional set size of one process, in MB."""
    return float(psutil.Process(pid).memory_full_info().pss) / 1_000_000


async def _samples(bench: Bench) -> list[float]:
    found = []
    for _ in range(10):
        found.append(_pss(bench.pid))
        await asyncio.sleep(0.2)
    return found


async def _busy(bench: Bench) -> list[float]:
    for number in range(RUNS):
        path = bench.directory / f"workspace-{number}"
        path.mkdir()
        (path / "notes.txt").write_text("hello\n")
        order = {"name": f"bench-{number}", "path": str(path)}
        (await bench.client.post("/api/v1/workspaces", json=order)).raise_for_status()
        task = {"instructions": "Speak slowly.", "workspace": f"bench-{number}"}
        (await bench.client.post("/api/v1/tasks", json=task)).raise_for_status()
    while True:
        running = await bench.client.get("/api/v1/tasks", params={"state": "running", "limit": 100})
        if len(running.json()["items"]) == RUNS:
            return await _samples(bench)
        await asyncio.sleep(0.2)


async def main() -> None:
    """Measure and print."""
    words = " ".join(["word"] * 2000)
    script = (
        "name: slow\nturns:\n  - blocks:\n      - {tool: Read, call: a, input: {file_path: notes.txt}}\n"
        f"  - blocks:\n      - text: {words}\n"
    )
    many = {"FLYNN_CONCURRENCY": "64", "FLYNN_PRINCIPAL_RUNS": "64"}
    options = ("--tokens-per-second", "40")
    async with service(script, simulator_options=options, **many) as bench:
        await bench.client.get("/ready")
        print(HEAD)
        print(row("idle service, without Postgres", await _samples(bench), "150 MB", "MB"))
        print(row(f"the same with {RUNS} running runs", await _busy(bench), "350 MB", "MB"))


if __name__ == "__main__":
    asyncio.run(main())
