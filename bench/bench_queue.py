"""The queue: `python -m bench.bench_queue`. From a committed POST to the first model request, take-over after
kill -9, steps a second of one worker, and admission with thousands in line. Fsync on.

The enqueue figures count from the moment that the client has its acknowledgement (so the commit lies a
round trip earlier) to the moment that the simulator has read the request, both on this machine's clock.
"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
from sqlalchemy import text

from bench.service import HEAD, Bench, Process, finished, free_port, milliseconds, row, service, start
from flynn.store.admission import AdmissionLimits, admit
from flynn.store.database import Database
from flynn.store.embedded import EmbeddedPostgres
from flynn.store.migrate import migrate
from flynn.worker.engine import schema_sql

MESSAGES = 200
STEPS = 150
TAKE_OVERS = 5
IN_LINE = 5_000

WORDS = "name: words\nloop: true\nturns: [{blocks: [{text: Hello.}]}]\n"


def steps_script() -> str:
    """A model that asks `STEPS` times for one Read, at once, and ends."""
    turn = "  - blocks: [{tool: Read, input: {file_path: notes.txt}}]"
    return "name: steps\nturns:\n" + "\n".join([turn] * STEPS) + "\n  - blocks: [{text: done}]\n"


async def requests(bench: Bench) -> list[dict[str, Any]]:
    """The model calls that the simulator has seen, in order; times are of time.monotonic."""
    listed = await bench.client.get(f"{bench.simulator}/_simulator/requests")
    calls = [r for r in listed.json()["requests"] if r["path"] == "/v1/messages"]
    return sorted(calls, key=lambda r: r["received"])


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def enqueue(bench: Bench) -> list[float]:
    """Milliseconds from each acknowledgement to the model's request; one message at a time."""
    took: list[float] = []
    made = await bench.client.post("/api/v1/conversations", json={})
    path = f"/api/v1/conversations/{made.json()['id']}"
    for number in range(MESSAGES):
        sent = await bench.client.post(f"{path}/messages", json={"text": f"message {number}"})
        acknowledged = time.monotonic()
        sent.raise_for_status()
        while (await bench.client.get(path)).json()["run"]["state"] != "completed":  # noqa: ASYNC110 # others do it
            await asyncio.sleep(0.02)
        took.append(((await requests(bench))[-1]["received"] - acknowledged) * 1000)
        if number % 20 == 19:  # a conversation of its own again: what is measured is not its length
            made = await bench.client.post("/api/v1/conversations", json={})
            path = f"/api/v1/conversations/{made.json()['id']}"
    return took[5:]


async def rate(bench: Bench, runs: int) -> float:
    """Steps a second of one worker that drives so many runs at once, with a model that takes no time."""
    names = [f"steps-{runs}-{number}" for number in range(runs)]
    for name in names:
        place = bench.directory / name
        place.mkdir()
        (place / "notes.txt").write_text("hello\n")
        order = {"name": name, "path": str(place)}
        (await bench.client.post("/api/v1/workspaces", json=order)).raise_for_status()

    async def task(name: str) -> None:
        order = {"instructions": "Read it.", "workspace": name}
        await finished(bench, await bench.client.post("/api/v1/tasks", json=order))

    began = time.perf_counter()
    await asyncio.gather(*map(task, names))
    return runs * STEPS / (time.perf_counter() - began)


@dataclass
class Fleet:
    """A server and two workers as processes, on a Postgres of their own."""

    client: httpx2.AsyncClient
    simulator: str
    workers: list[Process]
    begin: Any


@asynccontextmanager
async def fleet(directory: Path) -> AsyncIterator[Fleet]:
    """Start it; a model call never answers."""
    script = directory / "scenario.yaml"
    script.write_text("name: hang\nturns: [{blocks: [{text: x}], faults: [{kind: hang}]}]\n")
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(EmbeddedPostgres(directory / "postgres"))
        simulator = start(
            "flynn.simulator",
            "--scenario",
            str(script),
            environment={},
            log=directory / "simulator.log",
        )
        stack.callback(simulator.end)
        port = free_port()
        shared = directory / "shared"
        environment = {
            "DATABASE_URL": postgres.dsn,
            "ANTHROPIC_API_KEY": "bench",
            "ANTHROPIC_BASE_URL": next(w for w in simulator.line.split() if w.startswith("http")),
            "FLYNN_PORT": str(port),
            "LOG_LEVEL": "warning",
            "FLYNN_VOLUMES": str(shared),
            "FLYNN_SANDBOX": "none",
        }
        shared.mkdir()
        start("flynn.cli", "volumes", "add", str(shared), environment={}, log=directory / "volumes.log")

        def begin(name: str, *arguments: str) -> Process:
            own = {**environment, "FLYNN_DATA_DIR": str(directory / name)}
            process = start("flynn.cli", *arguments, environment=own, log=directory / f"{name}.log")
            stack.callback(process.end)
            return process

        begin("server", "serve", "--no-worker")
        key = (directory / "server" / "owner.key").read_text().strip()
        client = await stack.enter_async_context(
            httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, timeout=70
            )
        )
        place = shared / "w"
        place.mkdir()
        (await client.post("/api/v1/workspaces", json={"name": "w", "path": str(place)})).raise_for_status()
        yield Fleet(client, environment["ANTHROPIC_BASE_URL"], [], begin)


async def take_over(kept: Fleet, number: int) -> float:
    """Seconds from the kill of the worker that has the run to its next claim, with another one idle."""
    while len(kept.workers) < 2:
        name = f"worker{number}-{len(kept.workers)}"
        kept.workers.append(await asyncio.to_thread(kept.begin, name, "worker"))
    task = (await kept.client.post("/api/v1/tasks", json={"instructions": "x", "workspace": "w"})).json()
    path = f"/api/v1/conversations/{task['conversation_id']}/events"

    async def started() -> list[dict[str, Any]]:
        return [
            e
            for e in (await kept.client.get(path)).json()["items"]
            if e["type"] in ("run.started", "step.started")
        ]

    while len(await started()) < 2:  # noqa: ASYNC110 # others do it
        await asyncio.sleep(0.02)
    pids: dict[int, Process] = {w.child.pid: w for w in kept.workers}
    held = await busy(kept, pids)
    began = time.monotonic()
    os.kill(held, signal.SIGKILL)
    pids[held].child.wait()
    kept.workers.remove(pids[held])
    while len(await started()) < 3:  # noqa: ASYNC110 # others do it
        await asyncio.sleep(0.02)
    took = time.monotonic() - began
    await kept.client.post(f"/api/v1/tasks/{task['id']}/cancel")
    return took


async def busy(kept: Fleet, pids: dict[int, Process]) -> int:
    """The pid of the worker that is at the run: the one that is connected to the model's server."""
    port = int(kept.simulator.rsplit(":", 1)[1].strip("/"))
    while True:
        for pid in pids:
            connections = psutil.Process(pid).net_connections("tcp")
            if any(c.raddr and c.raddr.port == port and c.status == "ESTABLISHED" for c in connections):
                return pid
        await asyncio.sleep(0.05)


_FILL = text("""
WITH place AS (SELECT array_agg(id) AS ids FROM workspaces), made AS (
  INSERT INTO conversations (id, principal_id, workspace_id, agent, agent_version)
  SELECT gen_random_uuid(), (SELECT id FROM principals LIMIT 1), place.ids[1 + n % cardinality(place.ids)],
    'flynn-dev', '1'
  FROM generate_series(1, :n) n, place RETURNING id, principal_id, workspace_id
)
INSERT INTO runs (id, conversation_id, workspace_id, principal_id, state,
                  limit_turns, limit_nanodollars, limit_prompt_tokens)
SELECT gen_random_uuid(), id, workspace_id, principal_id, 'queued', 1, 1, 1 FROM made""")


async def admission(directory: Path) -> list[float]:
    """Milliseconds of an admission, its transaction included, with thousands of runs in line."""
    async with EmbeddedPostgres(directory / "postgres") as postgres:
        database = Database(postgres.url, pool_size=1)
        await migrate(database, queue_schema=schema_sql())
        async with database.begin() as connection:
            await connection.execute(
                text("INSERT INTO principals (id, name) VALUES (gen_random_uuid(), 'p')")
            )
            await connection.execute(
                text(
                    "INSERT INTO workspaces (id, name, path) "
                    "SELECT gen_random_uuid(), n::text, n::text FROM generate_series(1, 50) n"
                )
            )
            await connection.execute(_FILL, {"n": IN_LINE})
        took = []
        for _ in range(100):
            began = time.perf_counter()
            async with database.begin() as connection:
                # No principal is full, and the service is not: the statement looks at everybody in line.
                await admit(connection, AdmissionLimits(principal=1_000, everyone=1_000))
            took.append(milliseconds(began))
        await database.close()
        return took[5:]


async def main() -> None:
    """Measure and print."""
    print(HEAD)
    async with service(WORDS) as bench:
        took = await enqueue(bench)
    print(row("acknowledged to model request", took, "15 ms median"))
    print(f"| acknowledged to model request, p99 | {percentile(took, 0.99):.1f} ms | | {len(took)} | 40 ms |")
    async with service(steps_script(), FLYNN_RUN_MAX_TURNS="1000", FLYNN_RUN_MAX_DOLLARS="1000") as bench:
        for runs in (1, 8):
            found = await rate(bench, runs)
            name = f"steps a second of one worker, {runs} at once, no latency"
            print(f"| {name} | {found:.0f} | | {STEPS * runs} | |")
    with tempfile.TemporaryDirectory(prefix="flynn-bench-") as name:
        async with fleet(Path(name)) as kept:
            overs = [await take_over(kept, n) for n in range(TAKE_OVERS)]
    print(row("kill -9 to the next claim, lease 5 s", overs, "6 s", "s"))
    with tempfile.TemporaryDirectory(prefix="flynn-bench-") as name:
        print(row(f"admission with {IN_LINE:,} in line", await admission(Path(name)), "", "ms"))


if __name__ == "__main__":
    asyncio.run(main())
