"""The scripted example beside a real service: its workers are killed, its service is killed, nothing is lost.

`flynn serve` on its embedded database without a key, and on a database of one's own with another model.
"""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from flynn.domain.example import INSTRUCTIONS
from flynn.simulator import SimulatorServer, parse_scenarios
from tests.drills.fleet import Fleet, Member
from tests.eventually import eventually
from tests.house import prepare
from tests.postgres import TestDatabases

pytestmark = [pytest.mark.slow, pytest.mark.needs("bubblewrap"), pytest.mark.timeout(400)]

EMBEDDED = {"DATABASE_URL": "", "FLYNN_VOLUMES": "", "ANTHROPIC_API_KEY": ""}
STEP = "- name: Run agent creation tests"
EXAMPLE = "/api/v1/example"

OWN = """
name: own
loop: true
turns: [{blocks: [{text: I am the service's own model.}]}]
"""


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with Fleet(tmp_path, "", "http://127.0.0.1:9") as found:
        yield found


class Play:
    """One task of the example, and what its log says."""

    def __init__(self, http: httpx2.AsyncClient, workspace: str, task: dict[str, Any]) -> None:
        self.http = http
        self.workspace = workspace
        self.task = task
        self.conversation = str(task["conversation_id"])

    async def events(self, *types: str) -> list[dict[str, Any]]:
        found = await self.http.get(f"/api/v1/conversations/{self.conversation}/events?limit=500")
        return [e for e in found.json()["items"] if not types or e["type"] in types]

    async def in_bash(self, nth: int) -> bool:
        """Whether the `nth` Bash call, counted from 1, is under way."""
        began = [e for e in await self.events("tool.started") if e["data"]["tool"] == "Bash"]
        ended = [e for e in await self.events("tool.finished") if e["data"]["tool"] == "Bash"]
        return len(began) == nth and len(ended) == nth - 1

    async def crash(self) -> dict[str, Any]:
        answer = await self.http.post(f"{EXAMPLE}/crash", json={"conversation_id": self.conversation})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def ended(self) -> dict[str, Any]:
        while True:
            answer = await self.http.get(f"/api/v1/tasks/{self.task['id']}", params={"wait": 60})
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            if found["state"] not in ("queued", "running"):
                return found


async def begin(http: httpx2.AsyncClient, *, quick: bool = False) -> Play:
    """Have the example prepared, twice since that changes nothing, and delegate its task.

    A `quick` one has no command that takes long enough to be cut off, and waits for its workers in the queue.
    Otherwise both are there before it begins: a command takes ten seconds, and they may take longer to start.
    """
    first = await http.post(EXAMPLE)
    assert first.status_code == 202, first.text
    order = (await http.post(EXAMPLE)).json()["task"]
    assert order == first.json()["task"]
    if quick:
        order["instructions"] = INSTRUCTIONS
    else:
        await eventually(lambda: are(http, "idle", "idle"), what="two workers", seconds=180, every=0.2)
    sent = await http.post("/api/v1/tasks", json=order)
    assert sent.status_code == 202, sent.text
    return Play(http, order["workspace"], sent.json())


async def are(http: httpx2.AsyncClient, *states: str) -> bool:
    """Whether the workers are in these states."""
    found = (await http.get(EXAMPLE)).json()
    assert found["state"] != "failed", found
    return sorted(worker["state"] for worker in found["workers"]) == sorted(states)


async def until_in_bash(play: Play, nth: int) -> None:
    await eventually(lambda: play.in_bash(nth), what=f"Bash call {nth}", seconds=120, every=0.1)


async def refusal(http: httpx2.AsyncClient, status: int, conversation: str) -> str:
    answer = await http.post(f"{EXAMPLE}/crash", json={"conversation_id": conversation})
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


async def check(play: Play, place: Path, *, lost: int) -> None:
    """The task was done once, `lost` calls have an unknown outcome, and the report proves it."""
    assert (place / play.workspace / ".github/workflows/ci.yml").read_text().count(STEP) == 1
    outcomes = [e["data"]["outcome"] for e in await play.events("tool.finished")]
    assert outcomes.count("unknown") == lost
    assert set(outcomes) <= {"ok", "unknown"}
    workers = [e["data"]["worker"] for e in await play.events("run.started")]
    assert len(workers) == len(set(workers)) == lost + 1
    report = (await play.http.get(f"/api/v1/tasks/{play.task['id']}/report")).json()
    assert [(f["path"], f["lines_added"]) for f in report["evidence"]["files"]] == [
        (".github/workflows/ci.yml", 3)
    ]
    commands = report["evidence"]["commands"]
    assert [c["outcome"] for c in commands].count("unknown") == lost
    assert (commands[-1]["outcome"], commands[-1]["exit_code"]) == ("ok", 0)


def family(member: Member) -> list[psutil.Process]:
    """The processes of the example below a service: the warm one, and its workers."""
    found = []
    for process in psutil.Process(member.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # a command's, which has just ended
            if "flynn.cli.example.warm_program" in process.cmdline():
                found.append(process)
    return found


def variables(process: psutil.Process) -> set[str]:
    """The names of the variables that a process was started with, as far as they can be known here."""
    try:
        return set(process.environ())
    except psutil.AccessDenied:
        # It is undumpable, as it should be: nobody but root reads them.
        assert os.geteuid() != 0
        return set()


async def test_two_workers_are_lost_in_one_play_then_the_service_in_another_and_it_ends_unneeded(
    fleet: Fleet,
) -> None:
    server = await fleet.serve("service", worker=True, **EMBEDDED)
    place = fleet.place / "service" / "examples"
    async with server.http() as http:
        assert (await http.get(EXAMPLE)).json()["state"] == "off"
        assert family(server) == []
        elsewhere = (await http.post("/api/v1/conversations", json={})).json()["id"]
        assert "not one of the scripted example" in await refusal(http, 404, elsewhere)

        play = await begin(http)
        await until_in_bash(play, 2)
        killed = await play.crash()
        await eventually(lambda: not psutil.pid_exists(killed["pid"]), what="its death")
        assert "No worker of this instance" in await refusal(http, 409, play.conversation)
        # Who comes in its place is there before the run is taken over.
        await until_in_bash(play, 3)
        again = await play.crash()
        assert again["pid"] != killed["pid"]
        assert (await play.ended())["state"] == "completed"
        await check(play, place, lost=2)
        assert "No Bash call is running" in await refusal(http, 409, play.conversation)

        # Members see that the model is scripted, and nothing else of it.
        shown = await member_sees(http, play.workspace)
        assert shown[0]["workspaces"] == []
        assert len(shown[1]["workspaces"]) == 1
        assert all(s["state"] == "not-offered" and s["workers"] == [] and s["task"] is None for s in shown)

        play = await begin(http)
        await until_in_bash(play, 2)
        left = family(server)
        assert len(left) >= 3
        server.kill()
    await eventually(lambda: are_gone(left), what="the workers' end", seconds=30)

    # Another service on the same data goes on with what was left, unasked.
    server = await fleet.serve("service", worker=True, **EMBEDDED, FLYNN_EXAMPLE_IDLE_MINUTES="0.1")
    async with server.http() as http:
        play.http = http
        await eventually(lambda: len(family(server)) >= 3, what="workers", seconds=120, every=0.2)
        running = family(server)
        assert (await play.ended())["state"] == "completed"
        await check(play, place, lost=1)

        # It ends when nobody needs it, and comes back for words.
        await eventually(lambda: is_in(http, "off"), what="its end", seconds=60)
        await eventually(lambda: are_gone(running), what="the workers' end", seconds=30)
        said = {"text": "Now deploy it to production."}
        await http.post(f"/api/v1/conversations/{play.conversation}/messages", json=said)
        await eventually(lambda: answered(play, "This is a scripted model"), what="an answer", seconds=120)
        running = family(server)
        assert len(running) >= 2
        server.send(signal.SIGTERM)
        assert await server.ended() == 0
        await eventually(lambda: are_gone(running), what="the workers' end", seconds=30)


async def member_sees(http: httpx2.AsyncClient, workspace: str) -> list[dict[str, Any]]:
    """What another principal is told of the example before and after it is a member of `workspace`."""
    made = (await http.post("/api/v1/keys", json={"name": "quorra", "scopes": ["delegate"]})).json()
    found = (await http.get("/api/v1/workspaces")).json()["items"]
    place = next(w["id"] for w in found if w["name"] == workspace)
    headers = {"Authorization": f"Bearer {made['key']}"}
    before = (await http.get(EXAMPLE, headers=headers)).json()
    assert (await http.put(f"/api/v1/workspaces/{place}/members/quorra")).status_code == 200
    return [before, (await http.get(EXAMPLE, headers=headers)).json()]


async def answered(play: Play, words: str) -> bool:
    last = (await play.events("message.completed"))[-1]["data"]["content"]
    return any(words in block.get("text", "") for block in last)


async def is_in(http: httpx2.AsyncClient, state: str) -> bool:
    return bool((await http.get(EXAMPLE)).json()["state"] == state)


def are_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() for process in processes)


async def test_it_leaves_other_work_alone_and_the_loss_of_all_its_processes_is_mended(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        model = await stack.enter_async_context(SimulatorServer(parse_scenarios(OWN)))
        fleet = await stack.enter_async_context(Fleet(tmp_path, postgres.url, model.url))
        offers = await fleet.serve("offers", worker=True, FLYNN_EXAMPLE="on")
        async with offers.http() as http:
            play = await begin(http, quick=True)
            await http.post("/api/v1/workspaces", json={"name": "own"})
            own = (await http.post("/api/v1/conversations", json={"workspace": "own"})).json()
            mine = Play(http, "own", {"id": "", "conversation_id": own["id"]})
            await http.post(f"/api/v1/conversations/{mine.conversation}/messages", json={"text": "Who?"})
            await eventually(
                lambda: answered_at_all(mine, "I am the service's own model"), what="an answer", seconds=60
            )
            assert (await play.ended())["state"] == "completed"
            await check(play, tmp_path / "offers" / "examples", lost=0)
            await http.post(f"/api/v1/conversations/{mine.conversation}/messages", json={"text": "And now?"})
            await eventually(lambda: ran(mine, 2), what="a second answer", seconds=60)
            assert await answered(mine, "I am the service's own model")
            await eventually(lambda: are(http, "idle", "idle"), what="two workers", seconds=120, every=0.2)
            assert len(family(offers)) >= 3
            for process in family(offers):
                assert not {"ANTHROPIC_API_KEY", "DATABASE_URL"} & variables(process)
            # What it was forked from is gone: said when a worker is needed, and mended when asked for.
            warm = next(p for p in family(offers) if p.ppid() == offers.pid)
            workers = [p for p in family(offers) if p.ppid() == warm.pid]
            for process in (warm, *workers):
                process.kill()
            await eventually(lambda: is_in(http, "failed"), what="the trouble", seconds=30)
            assert (await http.post(EXAMPLE)).status_code == 202
            await eventually(lambda: is_in(http, "ready"), what="new workers", seconds=90)


async def answered_at_all(play: Play, words: str) -> bool:
    return bool(await play.events("message.completed")) and await answered(play, words)


async def ran(play: Play, times: int) -> bool:
    return len(await play.events("run.completed")) == times
