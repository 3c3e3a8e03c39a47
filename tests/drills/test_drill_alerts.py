"""Each alert fires by a real fault and is over when the fault is, in real processes.

The service's own evaluation, with everything that lasts at a twentieth: a webhook is told of both, signed;
connections of operators hear of both; of what two processes see, the webhook hears once.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import psutil
import pytest
import socketio
from standardwebhooks import Webhook

from flynn.domain.callback import new_secret
from flynn.simulator import SimulatorServer, parse_scenarios
from flynn.store.embedded import EmbeddedPostgres
from tests.drills.fleet import Fleet, Member
from tests.eventually import eventually
from tests.house import prepare
from tests.live.redis_server import RedisServer
from tests.postgres import TestDatabases
from tests.worker.receiver import Receiver, receiving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WINDOW_SECONDS = 15
"""A twentieth of the usual: what lasts a minute lasts three seconds."""

PATIENT = 150.0
"""Seconds that an alert may take on a machine that does much else."""

TALK = "name: talk\nloop: true\nturns: [{blocks: [{text: Here I am.}]}]\n"
GONE = "name: gone\nturns: [{faults: [{kind: overloaded}], blocks: [{text: never}]}]\n"
LONG = """
name: long
turns:
  - blocks: [{tool: Bash, input: {command: "echo begun > begun.txt; sleep 300"}}]
  - blocks: [{text: I looked.}]
"""


@dataclass
class Duty:
    """An operator: the receiver of webhooks, and a connection to one server."""

    receiver: Receiver
    secret: str
    notices: list[dict[str, Any]]

    def told(self, state: str, name: str) -> list[dict[str, Any]]:
        """What the webhook was told of an alert, each message once."""
        found = {got.id: got for got in self.receiver.got}
        bodies = [Webhook(self.secret).verify(got.body, got.headers) for got in found.values()]
        return [
            body["data"]
            for body in bodies
            if body["type"] == f"alert.{state}" and body["data"]["alert"] == name
        ]

    def heard(self, state: str, name: str) -> list[dict[str, Any]]:
        """What the connection heard of it."""
        return [
            notice["alert"]
            for notice in self.notices
            if notice["kind"] == "alert" and notice["state"] == state and notice["alert"]["alert"] == name
        ]

    async def sees(self, state: str, name: str) -> dict[str, Any]:
        """Wait for it at the webhook and on the connection; gives the alert."""
        for what, found in ((f"webhook of {name}", self.told), (f"notice of {name}", self.heard)):
            await eventually(
                lambda found=found: bool(found(state, name)),  # type: ignore[misc] # bound here
                what=f"the {what}, {state}",
                seconds=PATIENT,
                every=0.1,
            )
        alert = self.told(state, name)[-1]
        assert alert["runbook"] == f"docs/runbook.md#{name.lower()}"
        return alert

    def once(self, *names: str) -> None:
        """Of these the webhook heard once, from the beginning to the end, under one id."""
        for name in names:
            firing, resolved = self.told("firing", name), self.told("resolved", name)
            assert len(firing) == len(resolved) == 1, (name, firing, resolved)
            assert firing[0]["id"] == resolved[0]["id"], name


@asynccontextmanager
async def on_duty(fleet: Fleet, **limits: float) -> AsyncIterator[Duty]:
    """A receiver for what the fleet's processes post; they are to be started after this."""
    secret = new_secret()
    async with receiving() as receiver:
        fleet.settings |= {
            "FLYNN_ALERT_URL": f"{receiver.url}/alerts",
            "FLYNN_ALERT_SECRET": secret,
            "FLYNN_ALERT_WINDOW_SECONDS": str(WINDOW_SECONDS),
            "FLYNN_ALERT_LIMITS": ",".join(f"{name}={limit:g}" for name, limit in limits.items()),
        }
        yield Duty(receiver, secret, [])


@asynccontextmanager
async def connected(duty: Duty, server: Member) -> AsyncIterator[None]:
    """The operator is connected to `server`."""
    client = socketio.AsyncClient(reconnection=True, handle_sigint=False)
    client.on("notice", duty.notices.append)
    await client.connect(server.url, auth={"token": server.key}, transports=["websocket"], wait_timeout=60)
    try:
        yield
    finally:
        await client.disconnect()


async def delegate(client: httpx2.AsyncClient, fleet: Fleet, name: str) -> Path:
    """Delegate a task in a workspace of its own; gives its directory."""
    place = fleet.shared / name
    await asyncio.to_thread(place.mkdir)
    made = await client.post("/api/v1/workspaces", json={"name": name, "path": str(place)})
    assert made.status_code == 201, made.text
    sent = await client.post("/api/v1/tasks", json={"instructions": "go", "workspace": name})
    assert sent.status_code == 202, sent.text
    return place


async def firing(client: httpx2.AsyncClient) -> set[str]:
    """The keys of what fires, by the door."""
    found = (await client.get("/api/v1/alerts")).json()
    return {alert["key"] for alert in found["items"]}


@pytest.mark.needs("bubblewrap", "redis-server")
async def test_no_worker_no_model_no_redis_and_a_frozen_worker(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(TALK)))
        redis = RedisServer(tmp_path)
        redis.start()
        stack.callback(redis.stop)
        fleet = Fleet(tmp_path, postgres.url, simulator.url, redis_url=redis.url)
        duty = await stack.enter_async_context(on_duty(fleet, QueueAge=3))
        await stack.enter_async_context(fleet)
        server = await fleet.serve("server")
        await stack.enter_async_context(connected(duty, server))
        client = await stack.enter_async_context(server.http())

        # Nobody works.
        await delegate(client, fleet, "first")
        aged = await duty.sees("firing", "QueueAge")
        assert (aged["severity"], aged["unit"], aged["threshold"]) == ("warning", "seconds", 3)
        assert aged["value"] > 3
        assert "A run has waited" in aged["sentence"]
        assert await firing(client) == {"QueueAge"}
        worker = await fleet.work("worker")
        await duty.sees("resolved", "QueueAge")
        assert await firing(client) == set()
        assert "an alert fires" in server.said()
        assert "an alert is resolved" in server.said()

        # The model answers nobody. The worker alone knows it, and yet the server's door shows it.
        simulator.stage.load(parse_scenarios(GONE), replace=True)
        for number in range(6):
            await delegate(client, fleet, f"gone-{number}")
        away = await duty.sees("firing", "ModelAway")
        assert (away["subject"], away["severity"]) == ("claude-haiku-5-5", "critical")
        assert ":worker-" in away["process"]
        assert "ModelAway:claude-haiku-5-5" in await firing(client)
        simulator.stage.load(parse_scenarios(TALK), replace=True)
        await duty.sees("resolved", "ModelAway")

        # Redis is killed.
        redis.kill()
        part = await duty.sees("firing", "PartDegraded")
        assert part["subject"] in {"live", "model"}
        redis.start()

        async def live_is_well() -> bool:
            return not any(key.startswith("PartDegraded") for key in await firing(client))

        await duty.sees("resolved", "PartDegraded")
        await eventually(live_is_well, what="the end of what was degraded", seconds=PATIENT)
        assert {alert["subject"] for alert in duty.told("firing", "PartDegraded")} >= {"live"}

        # The only worker freezes with a run in its hands.
        simulator.stage.load(parse_scenarios(LONG), replace=True)
        place = await delegate(client, fleet, "frozen")
        await eventually((place / "begun.txt").exists, what="the command", seconds=PATIENT)
        worker.send(signal.SIGSTOP)
        try:
            stuck = await duty.sees("firing", "RunsStuck")
        finally:
            worker.send(signal.SIGCONT)
        assert stuck["severity"] == "critical"
        await duty.sees("resolved", "RunsStuck")
        duty.once("ModelAway", "RunsStuck")


async def ask(client: httpx2.AsyncClient, times: int) -> list[int]:
    """So many requests at a time; gives the statuses."""
    found = await asyncio.gather(*(client.get("/api/v1/conversations") for _ in range(times)))
    return [answer.status_code for answer in found]


def send_all(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


async def test_a_database_that_is_locked_that_freezes_and_that_dies(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(EmbeddedPostgres(tmp_path / "postgres"))
        await prepare(postgres.url)
        fleet = Fleet(tmp_path, postgres.url, "http://127.0.0.1:1")
        fleet.settings |= {"FLYNN_POOL_SIZE": "8", "FLYNN_POOL_OVERFLOW": "0"}
        duty = await stack.enter_async_context(on_duty(fleet, QueueAge=3))
        await stack.enter_async_context(fleet)
        server = await fleet.serve("server")
        await stack.enter_async_context(connected(duty, server))
        client = await stack.enter_async_context(server.http(timeout=120))
        assert set(await ask(client, 3)) == {200}

        # Connections are really held: by requests that wait for a lock.
        holder = await asyncpg.connect(postgres.superuser_dsn)
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE")
        held = [asyncio.create_task(ask(client, 8))]
        try:
            pool = await duty.sees("firing", "Pool")
        finally:
            await transaction.rollback()
            await holder.close()
        assert pool["value"] > 0.8
        await asyncio.gather(*held)
        await duty.sees("resolved", "Pool")

        # It freezes, and what was asked is answered late.
        await asyncio.sleep(WINDOW_SECONDS)  # what was slow just now is to be forgotten
        frozen = [postgres.pid or 0, *(c.pid for c in psutil.Process(postgres.pid).children(recursive=True))]
        before = len(duty.told("firing", "Latency"))
        send_all(frozen, signal.SIGSTOP)
        asked = asyncio.create_task(ask(client, 24))
        await asyncio.sleep(8)
        send_all(frozen, signal.SIGCONT)
        await asked
        await eventually(
            lambda: len(duty.told("firing", "Latency")) > before, what="the alert of latency", seconds=PATIENT
        )
        slow = await duty.sees("firing", "Latency")
        assert slow["value"] > 5
        assert slow["unit"] == "seconds"
        await duty.sees("resolved", "Latency")

        # It is killed, again and again, while clients ask.
        statuses: set[int] = set()
        while not (duty.told("firing", "ErrorRate") and duty.told("firing", "DatabaseAway")):
            if postgres.pid is not None:
                os.kill(postgres.pid, signal.SIGKILL)
            statuses |= set(await ask(client, 4))
            await asyncio.sleep(0.2)
        assert 503 in statuses
        errors = await duty.sees("firing", "ErrorRate")
        assert (errors["severity"], errors["unit"]) == ("critical", "ratio")
        assert errors["value"] > 0.05
        await duty.sees("firing", "DatabaseAway")
        await duty.sees("resolved", "DatabaseAway")
        await duty.sees("resolved", "ErrorRate")
        assert "an alert is resolved" in server.said()


async def test_no_new_backup_and_a_log_that_is_not_received(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        fleet = Fleet(tmp_path, "", "http://127.0.0.1:1")
        fleet.settings |= {"FLYNN_BACKUP_FIRST_MINUTES": "0", "FLYNN_VOLUMES": "", "FLYNN_EXAMPLE": "off"}
        duty = await stack.enter_async_context(on_duty(fleet, BackupAge=20, BackupLag=10))
        await stack.enter_async_context(fleet)
        server = await fleet.serve("server")
        await stack.enter_async_context(connected(duty, server))
        client = await stack.enter_async_context(server.http())

        # The only backup grows old; another one makes up for it.
        old = await duty.sees("firing", "BackupAge")
        assert old["value"] > 20
        assert old["severity"] == "critical"
        done = await asyncio.to_thread(
            subprocess.run,
            [*fleet.program, "alerts"],
            env=fleet.environment("server", {}),
            cwd=fleet.place,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert f"critical  {old['since'][:10]}" in done.stdout
        assert "BackupAge, first seen by" in done.stdout
        assert (await client.post("/api/v1/backups")).status_code == 202
        await duty.sees("resolved", "BackupAge")

        # What receives the log freezes while there is something to receive.
        [receiver] = [
            child
            for child in psutil.Process(server.pid).children(recursive=True)
            if child.name() == "pg_receivewal"
        ]
        receiver.suspend()
        try:
            await eventually(
                lambda: _wrote(client, duty), what="the alert of the lag", seconds=PATIENT, every=0.5
            )
            behind = await duty.sees("firing", "BackupLag")
        finally:
            receiver.resume()
        assert behind["value"] > 10
        await duty.sees("resolved", "BackupLag")


async def _wrote(client: httpx2.AsyncClient, duty: Duty) -> bool:
    assert (await client.post("/api/v1/conversations", json={})).status_code == 201
    return bool(duty.told("firing", "BackupLag"))


@pytest.mark.needs("mounts")
async def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = 'mount -t tmpfs -o size=16m none "$0" && exec "$@"'
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        fleet = Fleet(tmp_path, postgres.url, "http://127.0.0.1:1")
        fleet.program = (
            *("unshare", "--mount", "--propagation", "private", "sh", "-c", mounted, str(small)),
            *(sys.executable, "-m", "flynn.cli"),
        )
        # The disk of this machine may be as full as it is.
        duty = await stack.enter_async_context(on_duty(fleet))
        await stack.enter_async_context(fleet)
        server = await fleet.serve("server", FLYNN_WORKSPACE=str(small))
        await stack.enter_async_context(connected(duty, server))
        seen = Path(f"/proc/{server.pid}/root{small}")
        (seen / "ballast").write_bytes(bytes(15 * 2**20))

        def about_the_small_one(state: str) -> list[dict[str, Any]]:
            return [alert for alert in duty.told(state, "Disk") if alert["subject"] == "workspaces"]

        await eventually(
            lambda: bool(about_the_small_one("firing")), what="the alert", seconds=PATIENT, every=0.1
        )
        [full] = about_the_small_one("firing")
        assert full["value"] > 0.85
        assert "The disk of workspaces is 9" in full["sentence"]
        (seen / "ballast").unlink()
        await eventually(
            lambda: bool(about_the_small_one("resolved")), what="its end", seconds=PATIENT, every=0.1
        )
