"""Start to /ready: `python -m bench.bench_start`. New data directories, then old ones; fsync on."""

import asyncio
import tempfile
import time
from pathlib import Path

import httpx2

from bench.service import HEAD, free_port, milliseconds, row, start

RUNS = 8


async def _ready(url: str) -> None:
    async with httpx2.AsyncClient(base_url=url) as client:
        while (await client.get("/ready")).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def _once(directory: Path) -> float:
    port = free_port()
    environment = {"FLYNN_DATA_DIR": str(directory / "data"), "FLYNN_PORT": str(port), "LOG_LEVEL": "warning"}
    began = time.perf_counter()
    process = start("flynn.cli", "serve", environment=environment, log=directory / "serve.log")
    await _ready(f"http://127.0.0.1:{port}")
    took = milliseconds(began)
    process.end()
    return took


async def main() -> None:
    """Measure and print."""
    new, old = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(prefix="flynn-bench-") as name:
            new.append(await _once(Path(name)))
            old.append(await _once(Path(name)))
    print(HEAD)
    print(row("start to /ready, new data directory", new, "3000 ms"))
    print(row("start to /ready, old data directory", old, "1500 ms"))


if __name__ == "__main__":
    asyncio.run(main())
