"""The client of drill-compose.sh, run in a container beside the proxy: delegates, follows and compares.

python scripts/drill_client.py delegate WORDS      delegate a task; prints its id and that of its conversation
python scripts/drill_client.py follow CONVERSATION COUNT
                                                    follow it with so many Socket.IO clients, every third by
                                                    polling, until its run is over; all must have seen its log
python scripts/drill_client.py accompany WORDS COUNT
                                                    the same in a new conversation: WORDS are said in it when
                                                    all clients are there
python scripts/drill_client.py report TASK          what the report says that commands did
python scripts/drill_client.py status PATH          the status with which the service answers

The key to be somebody with is read from standard input. The status is 1, with a sentence, when something is
not as it has to be.
"""

import asyncio
import sys
from typing import Any

import aiohttp

from tests.drills.follower import Follower

URL = "http://proxy:8000"
KEY = sys.stdin.readline().strip()
PATIENCE = 240.0
"""Seconds within which a run has to be over, faults included."""
OVER = ("run.completed", "run.failed", "run.cancelled")


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        URL, headers={"Authorization": f"Bearer {KEY}"}, timeout=aiohttp.ClientTimeout(total=90)
    )


async def _json(session: aiohttp.ClientSession, method: str, path: str, **more: Any) -> dict[str, Any]:
    async with session.request(method, path, **more) as answer:
        if answer.status >= 400:
            raise SystemExit(f"{method} {path} was answered with {answer.status}: {await answer.text()}")
        found: dict[str, Any] = await answer.json()
        return found


async def delegate(words: str) -> None:
    """Delegate a task."""
    async with _session() as session:
        task = await _json(session, "POST", "/api/v1/tasks", json={"instructions": words})
    _say(f"{task['id']} {task['conversation_id']}")


async def follow(conversation: str, count: int, words: str | None = None) -> None:
    """Follow a conversation with `count` clients until its run is over, and compare what they saw.

    `words` are said by one of them when all are there.
    """
    followers = [
        Follower(URL, KEY, conversation, "polling" if number % 3 == 2 else "websocket")
        for number in range(count)
    ]
    if words is not None:
        await asyncio.gather(*(follower.connect() for follower in followers))
        await followers[0].say(words)
    await asyncio.gather(*(_until_over(follower) for follower in followers))
    log: list[dict[str, Any]] = []
    async with _session() as session:
        while True:
            page = await _json(
                session,
                "GET",
                f"/api/v1/conversations/{conversation}/events",
                params={"limit": 500, "after_seq": log[-1]["seq"] if log else 0},
            )
            if not page["items"]:
                break
            log += page["items"]
    ends = [event["type"] for event in log if event["type"] in OVER]
    if ends != ["run.completed"]:
        raise SystemExit(f"the run ended with {ends or 'nothing'}")
    for number, follower in enumerate(followers):
        seen = {event["seq"]: event for event in follower.events}
        missed = [event["seq"] for event in log if event["seq"] <= follower.last and event["seq"] not in seen]
        other = [event["seq"] for event in log if event["seq"] in seen and seen[event["seq"]] != event]
        if missed or other or follower.holes:
            raise SystemExit(f"client {number} missed {missed or follower.holes} and saw {other} otherwise")
    again = sum(len(follower.sessions) - 1 for follower in followers)
    await asyncio.gather(*(follower.close() for follower in followers))
    _say(
        f"{count} clients saw the same {max(follower.last for follower in followers)} events without a hole; "
        f"{again} times one connected again"
    )


async def accompany(words: str, count: int) -> None:
    """Say `words` in a new conversation that `count` clients follow, and compare what they saw of the run."""
    async with _session() as session:
        made = await _json(session, "POST", "/api/v1/conversations", json={})
    await follow(made["id"], count, words)


async def _until_over(follower: Follower) -> None:
    """Stay connected, as a client does, until the run is over."""
    async with asyncio.timeout(PATIENCE):
        while not any(follower.has(kind) for kind in OVER):
            if not follower.sessions or follower.gone.is_set():
                try:
                    await follower.connect()
                except (TimeoutError, AssertionError):
                    # Nobody is there, or who is there has no database: a client tries again.
                    follower.gone.set()
                    await asyncio.sleep(1)
                    continue
            while not follower.gone.is_set() and not any(follower.has(kind) for kind in OVER):  # noqa: ASYNC110  # told by a callback
                await asyncio.sleep(0.1)


async def report(task: str) -> None:
    """Wait for the end of a task, and tell what ran and what the agent says."""
    async with _session() as session:
        found = await _json(session, "GET", f"/api/v1/tasks/{task}", params={"wait": 60})
        if found["state"] != "completed":
            raise SystemExit(f"the task is {found['state']}: {found.get('detail')}")
        evidence = await _json(session, "GET", f"/api/v1/tasks/{task}/report")
        events = await _json(
            session, "GET", f"/api/v1/conversations/{found['conversation_id']}/events", params={"limit": 500}
        )
    commands = evidence["evidence"]["commands"]
    if not commands or any(command["exit_code"] != 0 for command in commands):
        raise SystemExit(f"the commands are {commands}")
    results = str([event["data"] for event in events["items"] if event["type"] == "tool.finished"])
    for refused in ("the owner's key: refused", "the database: refused"):
        if refused not in results:
            raise SystemExit(f"a command got at what it must not: {results}")
    if KEY in results:
        raise SystemExit("a command read the owner's key")
    _say(f"{len(commands)} command ended with 0; the owner's key and the database were refused to it")


async def status(path: str) -> None:
    """The status alone; 0 when nobody answers."""
    try:
        async with _session() as session, session.get(path) as answer:
            _say(str(answer.status))
    except aiohttp.ClientError:
        _say("0")


def main() -> None:
    """Do what is asked for."""
    match sys.argv[1:]:
        case ["delegate", words]:
            work = delegate(words)
        case ["follow", conversation, count]:
            work = follow(conversation, int(count))
        case ["accompany", words, count]:
            work = accompany(words, int(count))
        case ["report", task]:
            work = report(task)
        case ["status", path]:
            work = status(path)
        case _:
            raise SystemExit(__doc__)
    asyncio.run(work)


if __name__ == "__main__":
    main()
