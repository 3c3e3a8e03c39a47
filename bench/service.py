"""What the benchmarks share: a simulator and a service as processes, and how figures are shown."""

import asyncio
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

PATIENCE = 30.0


@dataclass(frozen=True)
class Process:
    """A child, and the first line that it printed."""

    child: subprocess.Popen[str]
    line: str

    def end(self) -> None:
        """Ask it to end and wait."""
        self.child.terminate()
        self.child.wait(timeout=PATIENCE)


@dataclass(frozen=True)
class Bench:
    """A service under measurement. `client` carries the owner's key; `simulator` is an address."""

    client: httpx2.AsyncClient
    url: str
    key: str
    simulator: str
    pid: int
    directory: Path


def start(*arguments: str, environment: dict[str, str], log: Path) -> Process:
    """Start a Python module; returns when it has printed its first line."""
    child = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=log.open("ab"),
        env={**os.environ, **environment},
        cwd=log.parent,
        text=True,
    )
    if child.stdout is None:
        raise RuntimeError("no output to read")
    line = child.stdout.readline()
    if not line:
        raise RuntimeError(log.read_text()[-2000:])
    return Process(child, line)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def service(
    scenario: str = "", *, simulator_options: Sequence[str] = (), **settings: str
) -> AsyncIterator[Bench]:
    """A simulator that plays `scenario` (YAML) and a service on a new data directory, fsync on."""
    with tempfile.TemporaryDirectory(prefix="flynn-bench-") as name:
        directory = Path(name)
        script = directory / "scenario.yaml"
        script.write_text(scenario)
        played = ["--scenario", str(script)] if scenario else []
        simulator = start(
            "flynn.simulator", *played, *simulator_options, environment={}, log=directory / "simulator.log"
        )
        found = re.search(r"http://\S+", simulator.line)
        if found is None:
            raise RuntimeError(simulator.line)
        port = free_port()
        environment = {
            "ANTHROPIC_API_KEY": "bench",
            "ANTHROPIC_BASE_URL": found.group(),
            "FLYNN_DATA_DIR": str(directory / "data"),
            "FLYNN_PORT": str(port),
            "LOG_LEVEL": "warning",
            **settings,
        }
        served = start("flynn.cli", "serve", environment=environment, log=directory / "serve.log")
        key = (directory / "data" / "owner.key").read_text().strip()
        url = f"http://127.0.0.1:{port}"
        try:
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=120) as client:
                yield Bench(client, url, key, found.group(), served.child.pid, directory)
        finally:
            served.end()
            simulator.end()


async def finished(bench: Bench, task: httpx2.Response) -> dict[str, object]:
    """Wait for a task's end. Raises RuntimeError when it did not complete."""
    while True:
        answer = await bench.client.get(task.headers["location"], params={"wait": 60})
        body: dict[str, object] = answer.json()
        if body["state"] == "completed":
            return body
        if body["state"] in ("failed", "cancelled", "waiting"):
            raise RuntimeError(f"the task is {body['state']}: {body['detail']}")
        await asyncio.sleep(0)


def row(name: str, values: Sequence[float], aim: str, unit: str = "ms") -> str:
    """A line of the table: median, 5th and 95th percentile, how many, and the aim."""
    ordered = sorted(values)
    low, high = ordered[int(len(ordered) * 0.05)], ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    median = statistics.median(ordered)
    return f"| {name} | {median:.1f} {unit} | {low:.1f}–{high:.1f} | {len(ordered)} | {aim} |"


HEAD = "| figure | median | 5th–95th percentile | n | aim |\n|---|---|---|---|---|"


def milliseconds(since: float) -> float:
    """Milliseconds since a reading of time.perf_counter."""
    return (time.perf_counter() - since) * 1000
