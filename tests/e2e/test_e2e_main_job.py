"""The main job, whole: processes, sockets, Postgres, sandbox and files are real; the model is scripted.

SEED's delegation goes in over REST with Quorra's key. A Socket.IO client joins half-way, is cut off twice,
and holds in the end the same sequence of events as the log.
"""

import asyncio
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import socketio
import yaml

from tests.loopback import free_port

ROOT = Path(__file__).parents[2]
DELEGATION = "Update CI pipeline to run agent creation tests"
WORKFLOW = ".github/workflows/ci.yml"

pytestmark = [pytest.mark.slow, pytest.mark.needs("bubblewrap")]


@contextmanager
def process(*arguments: str, environment: dict[str, str], directory: Path) -> Iterator[tuple[str, int]]:
    """A Python module as a process; gives the first line of its output, and its pid."""
    child = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=(directory / f"{arguments[0]}.log").open("ab"),
        env={**os.environ, **environment},
        cwd=directory,
        text=True,
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline().strip()
        assert line, (directory / f"{arguments[0]}.log").read_text()[-2000:]
        yield line, child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=60)


@asynccontextmanager
async def service(directory: Path, *, pace: int = 200) -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    """The simulator and the service, each a process; gives a client with the owner's key, and the URL."""
    scenario = ROOT / "examples" / "scenarios" / "update-ci.yaml"
    script = ("--scenario", str(scenario), "--tokens-per-second", str(pace))
    with process("flynn.simulator", *script, environment={}, directory=directory) as (simulator, _):
        model = re.search(r"http://\S+", simulator)
        assert model is not None
        environment = {
            "ANTHROPIC_API_KEY": "scripted",
            "ANTHROPIC_BASE_URL": model.group(),
            "FLYNN_DATA_DIR": str(directory / "data"),
            "FLYNN_WORKSPACE": str(directory / "reznet"),
            "LOG_LEVEL": "info",
        }
        port = free_port()
        environment["FLYNN_PORT"] = str(port)
        with process("flynn.cli", "serve", environment=environment, directory=directory) as (line, _):
            url = f"http://127.0.0.1:{port}"
            assert url in line
            key = (directory / "data" / "owner.key").read_text().strip()
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=70) as client:
                yield client, url


class Watcher:
    """A Socket.IO client that keeps what it is given, and can be cut off."""

    def __init__(self, url: str, key: str, conversation_id: str) -> None:
        self.url, self.key, self.conversation_id = url, key, conversation_id
        self.events: list[dict[str, Any]] = []
        self.deltas = 0
        self.reported = asyncio.Event()
        self.client = socketio.AsyncClient(reconnection=False)

    async def watch(self, *, until: int | None = None) -> None:
        """Follow from the last seq held on, until the report or until `until` events are held."""
        full = asyncio.Event()
        client = self.client = socketio.AsyncClient(reconnection=False)

        async def event(envelope: dict[str, Any]) -> None:
            self.events.append(envelope)
            if envelope["type"] == "task.reported":
                self.reported.set()
            if until is not None and len(self.events) >= until:
                full.set()

        async def delta(_: dict[str, Any]) -> None:
            self.deltas += 1

        client.on("event", event)
        client.on("delta", delta)
        await client.connect(self.url, auth={"token": self.key}, transports=["websocket"])
        after = self.events[-1]["seq"] if self.events else 0
        order = {"conversation_id": self.conversation_id, "after_seq": after}
        answer = await client.call("conversation.open", order)
        assert answer["ok"] is True, answer
        await asyncio.wait_for((full if until is not None else self.reported).wait(), 60)
        # Cut off without a word.
        transport = client.eio.ws
        if until is not None and transport is not None:
            await transport.close()
        await client.disconnect()


async def log_of(client: httpx2.AsyncClient, conversation_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = await client.get(
            f"/api/v1/conversations/{conversation_id}/events", params={"after_seq": after, "limit": 10}
        )
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        after = page.json()["next"]
    return found


def repository(directory: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
    return Path(shutil.copytree(ROOT / "examples" / "reznet", directory / "reznet", ignore=ignored))


@pytest.mark.timeout(180)
async def test_a_delegation_changes_the_repository_and_leaves_evidence(tmp_path: Path) -> None:
    workspace = repository(tmp_path)
    before = (workspace / WORKFLOW).read_bytes()
    async with service(tmp_path) as (owner, url):
        made = await owner.post("/api/v1/keys", json={"name": "quorra", "scopes": ["delegate"]})
        assert made.status_code == 201, made.text
        quorra = made.json()["key"]
        headers = {"Authorization": f"Bearer {quorra}", "Idempotency-Key": "e2e"}
        posted = await owner.post("/api/v1/tasks", json={"instructions": DELEGATION}, headers=headers)
        assert posted.status_code == 202, posted.text
        assert posted.headers["location"] == f"/api/v1/tasks/{posted.json()['id']}"
        again = await owner.post("/api/v1/tasks", json={"instructions": DELEGATION}, headers=headers)
        assert again.json()["id"] == posted.json()["id"]

        conversation_id = posted.json()["conversation_id"]
        async with asyncio.timeout(30):
            while (await owner.get(f"/api/v1/conversations/{conversation_id}")).json()["last_seq"] < 8:  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # the service is another process
        watcher = Watcher(url, quorra, conversation_id)
        await watcher.watch(until=6)
        await watcher.watch(until=14)
        await watcher.watch()

        location = posted.headers["location"]
        done = await owner.get(location, params={"wait": 60}, headers={"Authorization": f"Bearer {quorra}"})
        assert done.json()["state"] == "completed", done.text
        log = await log_of(owner, conversation_id)

    assert [e["seq"] for e in log] == list(range(1, len(log) + 1))
    assert watcher.events == log
    assert watcher.deltas > 0

    after = (workspace / WORKFLOW).read_bytes()
    steps = [s.get("run", "") for j in yaml.safe_load(after)["jobs"].values() for s in j["steps"]]
    assert "pytest tests/agents" in steps
    report = done.json()["report"]
    [changed] = report["evidence"]["files"]
    assert changed["path"] == WORKFLOW
    assert changed["before"] == hashlib.sha256(before).hexdigest()
    assert changed["after"] == hashlib.sha256(after).hexdigest()
    assert [c["exit_code"] for c in report["evidence"]["commands"]] == [0, 0]
    assert "pytest" in report["evidence"]["commands"][1]["command"]
    assert report["evidence"]["stop_reason"] == "end_turn"
    assert report["evidence"]["usage"]["output"] > 0
    assert report["evidence"]["cost_dollars"] > 0
    assert "agent creation tests" in report["prose"]
    assert report["account"]["files_changed"] == [WORKFLOW]
    assert [c["judgement"] for c in report["claims"] if c["kind"] == "file"] == ["supported"]
    assert {c["said"]: c["why"] for c in report["claims"] if c["judgement"] != "supported"} == {}
    assert report["unmentioned"] == []

    kinds = [e["type"] for e in log]
    assert kinds[0] == "message.sent"
    assert kinds[-2:] == ["run.completed", "task.reported"]
    tools = [e["data"]["tool"] for e in log if e["type"] == "tool.started"]
    assert tools[:1] == ["Glob"]
    assert {"Glob", "Grep", "Read", "Edit", "Bash"} == set(tools)
    assert kinds.count("tool.started") == kinds.count("tool.finished")


@pytest.mark.timeout(180)
async def test_another_repository_gives_another_result(tmp_path: Path) -> None:
    workspace = repository(tmp_path)
    moved = workspace / ".github" / "workflows" / "checks.yaml"
    text = (workspace / WORKFLOW).read_text().replace("pytest tests/unit", "pytest -q tests/unit")
    (workspace / WORKFLOW).unlink()
    moved.write_text(text)
    broken = workspace / "tests" / "agents" / "test_agent_creation.py"
    broken.write_text(broken.read_text() + "\n\ndef test_planted() -> None:\n    raise AssertionError\n")
    async with service(tmp_path, pace=2000) as (owner, _):
        posted = await owner.post("/api/v1/tasks", json={"prompt": DELEGATION, "subagent_type": "flynn-dev"})
        done = await owner.get(posted.headers["location"], params={"wait": 60})
    report = done.json()["report"]
    assert [f["path"] for f in report["evidence"]["files"]] == [".github/workflows/checks.yaml"]
    assert "pytest -q tests/unit" in moved.read_text()
    assert report["evidence"]["commands"][-1]["exit_code"] == 1
    assert "they do not pass" in report["prose"]
    assert report["account"]["verification"][-1]["result"] == "failed"
    assert {c["said"]: c["why"] for c in report["claims"] if c["judgement"] != "supported"} == {}
