"""100 and 200 chat users at 40 tokens a second each on one process: `python -m bench.bench_chat [USERS …]`.

The model and the users are processes of their own. The lag of a token is the time from the model's write of
it to its arrival at the user's socket, on the one monotonic clock of the machine; what the coalescer holds
back for up to 30 ms is in it. Memory is the resident set of the service's process, without PostgreSQL.
"""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.service import service, start

TOKENS = 800
"""Of each answer: twenty seconds of it."""

SPEED = 40
PROCESSES = 2

HEAD = (
    "| users | delta lag p50 | p99 | worst | tokens | resident, most | CPU of the service | a token | aim |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def lags(sent: list[tuple[int, float]], heard: list[tuple[int, float]]) -> Iterator[float]:
    """The lag of each token in seconds: `sent` and `heard` are pairs of a length so far and a time."""
    arrivals = iter(heard)
    length, at = next(arrivals)
    for end, written in sent:
        while length < end:
            length, at = next(arrivals)
        yield at - written


async def _measure(users: int) -> str:
    with tempfile.TemporaryDirectory(prefix="flynn-bench-model-") as name:
        notes = Path(name) / "notes.json"
        model = start(
            "bench.chat_model",
            str(notes),
            str(TOKENS),
            str(SPEED),
            environment={"PYTHONPATH": os.pathsep.join(sys.path)},
            log=Path(name) / "model.log",
        )
        settings = {
            "ANTHROPIC_BASE_URL": model.line.strip(),
            "FLYNN_CONCURRENCY": str(users),
            "FLYNN_PRINCIPAL_RUNS": str(users),
        }
        async with service(**settings) as bench:
            for number in range(users):
                path = bench.directory / f"workspace-{number}"
                path.mkdir()
                order = {"name": f"bench-{number}", "path": str(path)}
                (await bench.client.post("/api/v1/workspaces", json=order)).raise_for_status()
            heard, resident, busy, spent = await asyncio.to_thread(
                _chat, bench.url, bench.key, users, bench.pid
            )
        model.child.send_signal(signal.SIGTERM)
        model.child.wait(30)
        sent = json.loads(notes.read_text())
    found = sorted(lag * 1000 for user, times in heard.items() for lag in lags(sent[user], times))
    p50, p99 = statistics.median(found), found[int(len(found) * 0.99)]
    return (
        f"| {users} | {p50:.0f} ms | {p99:.0f} ms | {found[-1]:.0f} ms | {len(found)} | {resident:.0f} MB "
        f"| {busy:.0f} % of a core | {spent / len(found) * 1e6:.0f} µs | p99 150 ms, 512 MB |"
    )


def _chat(
    url: str, key: str, users: int, pid: int
) -> tuple[dict[str, list[tuple[int, float]]], float, float, float]:
    """Let the users chat; what they heard, the service's largest resident set in MB, its CPU in percent of
    a core and in seconds.
    """
    share = users // PROCESSES
    crowd = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.chat_clients", url, key, str(first), str(share)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in range(0, share * PROCESSES, share)
    ]
    for process in crowd:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("the users could not connect")
    served = psutil.Process(pid)
    served.cpu_percent()
    before = served.cpu_times()
    for process in crowd:
        if process.stdin is not None:
            process.stdin.write("go\n")
            process.stdin.flush()
    heard: dict[str, list[tuple[int, float]]] = {}
    resident = 0.0
    reading = [_Reading(process) for process in crowd]
    while not all(each.done for each in reading):
        resident = max(resident, served.memory_info().rss / 1_000_000)
        for each in reading:
            each.wait(0.25)
    busy = served.cpu_percent()
    for each in reading:
        heard.update(json.loads(each.said))
    after = served.cpu_times()
    spent = after.user + after.system - before.user - before.system
    return heard, resident, busy, spent


class _Reading:
    """Reads what one process of users prints at its end."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.said = ""
        self.done = False

    def wait(self, seconds: float) -> None:
        """Wait for the end, so long. Raises RuntimeError when the process failed."""
        if self.done:
            return
        try:
            self.said = self._process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            return
        if self._process.returncode:
            raise RuntimeError("some user's chat went wrong")
        self.done = True


async def main() -> None:
    """Measure and print."""
    print(HEAD)
    for users in map(int, sys.argv[1:] or ("100", "200")):
        print(await _measure(users), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
