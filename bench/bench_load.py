"""100 users for two minutes while the API is timed: `python -m bench.bench_load [SECONDS [USERS [PICTURE]]]`.

The users are python-socketio clients in processes of their own; each message costs two calls of the model (a
file is read between them) at 40 tokens a second each. Meanwhile callers ask the REST API ten times a second,
reads and writes. Near the end a real Chromium opens the operations view and takes its picture, for PICTURE
(docs/images/operations.png unless it is named; `-` takes none); nothing is timed any more by then. The page
has to be built (scripts/build-page.sh). What the service says of itself is printed beside what was measured.
"""

import asyncio
import itertools
import json
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import httpx2
import psutil
from playwright.async_api import async_playwright

from bench.service import HEAD, Bench, milliseconds, row, service

SECONDS = 120.0
USERS = 100
PROCESSES = 4
LATER = 30.0
"""Seconds that the users go on after the timed ones, for the picture."""

CALLERS = 5
PAUSE = 0.5
"""Seconds between two calls of a caller."""

AIM = "200 ms median, 1 s p95"
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "operations.png"
MOST_BYTES = 300_000
SIZE = {"width": 1280, "height": 1180}
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking")

SCRIPT = """
name: chat
loop: true
turns:
  - blocks: [{ tool: Read, input: { file_path: notes.txt } }]
  - blocks: [{ text: 'In notes.txt there is {{ words(80) }}' }]
"""

Call = Callable[[], Awaitable[httpx2.Response]]


def calls_of(bench: Bench, conversation: str) -> dict[str, Call]:
    """What the callers ask, by name."""
    client = bench.client
    return {
        "GET conversations": lambda: client.get("/api/v1/conversations?limit=50"),
        "GET a conversation": lambda: client.get(f"/api/v1/conversations/{conversation}"),
        "GET its events": lambda: client.get(f"/api/v1/conversations/{conversation}/events?limit=100"),
        "POST a conversation": lambda: client.post("/api/v1/conversations", json={"title": "timed"}),
        "GET queue": lambda: client.get("/api/v1/queue"),
        "GET usage": lambda: client.get("/api/v1/usage"),
        "GET operations": lambda: client.get("/api/v1/operations"),
        "GET ready": lambda: client.get("/ready"),
    }


async def ask(calls: dict[str, Call], seconds: float) -> dict[str, list[float]]:
    """Call, one after the other and CALLERS at a time, for so long; the milliseconds that each took.

    Raises RuntimeError when one is not answered as it should be.
    """
    took: dict[str, list[float]] = defaultdict(list)
    turns = itertools.cycle(calls.items())
    end = time.monotonic() + seconds

    async def caller(number: int) -> None:
        await asyncio.sleep(number * PAUSE / CALLERS)
        while time.monotonic() < end:
            name, call = next(turns)
            began = time.perf_counter()
            answer = await call()
            took[name].append(milliseconds(began))
            if answer.status_code >= 300:
                raise RuntimeError(f"{name}: {answer.status_code} {answer.text[:500]}")
            await asyncio.sleep(PAUSE)

    await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    return took


def crowd(bench: Bench, users: int, seconds: float) -> list["subprocess.Popen[str]"]:
    """The users' processes, connected."""
    share = users // PROCESSES
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "bench.load_clients",
                bench.url,
                bench.key,
                str(first),
                str(share),
                str(seconds),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in range(0, share * PROCESSES, share)
    ]
    for process in started:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("the users could not connect")
    return started


def heard(processes: Sequence["subprocess.Popen[str]"]) -> list[tuple[float, float | None, float]]:
    """What the users noted, once they are done. Raises RuntimeError when some chat went wrong."""
    turns: list[tuple[float, float | None, float]] = []
    for process in processes:
        said, _ = process.communicate(timeout=300)
        if process.returncode:
            raise RuntimeError("some user's chat went wrong")
        turns.extend(json.loads(said))
    return turns


async def picture(bench: Bench, target: Path) -> str:
    """Take the picture of the operations view. Raises RuntimeError when it is larger than MOST_BYTES."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        return "no picture: Chromium is missing; scripts/setup.sh --servers installs it"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        context = await browser.new_context(
            viewport={"width": SIZE["width"], "height": SIZE["height"]},
            color_scheme="light",
            reduced_motion="reduce",
        )
        page = await context.new_page()
        page.set_default_timeout(90_000)
        await page.goto(f"{bench.url}/?key={bench.key}#/operations")
        await page.locator(".charts polyline").first.wait_for()
        await page.locator(".entry").first.wait_for()
        await page.evaluate("document.fonts.ready")
        shot = await page.screenshot(animations="disabled")
        await browser.close()
    if len(shot) > MOST_BYTES:
        raise RuntimeError(f"the picture has {len(shot):,} bytes; at most {MOST_BYTES:,} are taken")
    await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
    await asyncio.to_thread(target.write_bytes, shot)
    return f"picture: {target.name}, {len(shot):,} bytes"


async def _run(bench: Bench, seconds: float, users: int, target: Path | None) -> None:
    for number in range(users):
        path = bench.directory / f"workspace-{number}"
        path.mkdir()
        (path / "notes.txt").write_text("one line\nand another\n")
        order = {"name": f"bench-{number}", "path": str(path)}
        (await bench.client.post("/api/v1/workspaces", json=order)).raise_for_status()
    made = await bench.client.post("/api/v1/conversations", json={"workspace": "bench-0"})
    made.raise_for_status()
    processes = await asyncio.to_thread(crowd, bench, users, seconds + LATER)
    try:
        served = psutil.Process(bench.pid)
        before = served.cpu_times()
        for process in processes:
            if process.stdin is not None:
                process.stdin.write("go\n")
                process.stdin.flush()
        took = await ask(calls_of(bench, made.json()["id"]), seconds)
        after = served.cpu_times()
        resident = served.memory_info().rss / 1_000_000
        numbers = (await bench.client.get("/api/v1/operations")).json()
        said = await picture(bench, target) if target is not None else "no picture was asked for"
        turns = await asyncio.to_thread(heard, processes)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
    spent = after.user + after.system - before.user - before.system
    print(HEAD)
    print(row("all API calls", [each for calls in took.values() for each in calls], AIM))
    for name, calls in took.items():
        print(row(name, calls, AIM))
    print(row("message, acknowledged", [turn[0] for turn in turns], "–"))
    print(row("message, first word", [turn[1] for turn in turns if turn[1] is not None], "–"))
    print(row("message, run over", [turn[2] for turn in turns], "–"))
    requests = numbers["requests"]
    p50, p95 = ((requests[name] or 0.0) * 1000 for name in ("p50_seconds", "p95_seconds"))
    print(
        f"\n{len(turns)} messages; the service used {spent / seconds:.2f} cores and {resident:.0f} MB "
        f"(without PostgreSQL).\nIts own numbers: {requests['per_second']:.1f} requests/s, "
        f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, {requests['errors']} errors, "
        f"{numbers['clients']['sockets']} sockets.\n{said}"
    )


async def main() -> None:
    """Measure and print."""
    given = sys.argv[1:]
    seconds = float(given[0]) if given else SECONDS
    users = int(given[1]) if len(given) > 1 else USERS
    target = None if given[2:] == ["-"] else Path(given[2]) if len(given) > 2 else PICTURE
    settings = {
        "FLYNN_CONCURRENCY": str(users),
        "FLYNN_PRINCIPAL_RUNS": str(users),
        "FLYNN_TOTAL_RUNS": str(users),
    }
    pace = ("--tokens-per-second", "40", "--first-token-ms", "400")
    async with service(SCRIPT, simulator_options=pace, FLYNN_DOLLARS_PER_DAY="0", **settings) as bench:
        await _run(bench, seconds, users, target)


if __name__ == "__main__":
    asyncio.run(main())
