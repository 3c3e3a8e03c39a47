"""GET /api/v1/operations: for admins, the same from every process, and there while the database is away."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flynn.api import authentication
from flynn.store.database import Database
from tests.api.served import Served, serve
from tests.api.test_api_refusals import problem

AT = "/api/v1/operations"


async def numbers(served: Served, **query: Any) -> dict[str, Any]:
    async with served.http() as http:
        answer = await http.get(AT, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def lose_database(served: Served) -> None:
    """Let everything in this process find nobody where the database was."""
    await served.database.close()
    served.database.__dict__.update(
        vars(Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", pool_size=1))
    )


async def test_the_numbers_are_for_admins(served: Served) -> None:
    await served.key("quorra", "delegate", "chat", "read")
    async with served.http("quorra") as http:
        problem(await http.get(AT), 403, "forbidden")
    async with served.http(None) as http:
        problem(await http.get(AT), 401, "unauthenticated")
    async with served.http() as http:
        for minutes in (4, 121):
            problem(await http.get(AT, params={"minutes": minutes}), 422, "invalid-input")


async def test_a_service_that_just_began_says_nothing_it_does_not_know(served: Served) -> None:
    found = await numbers(served)
    assert found["whole"] is True
    assert found["requests"]["requests"] == 0
    assert found["requests"]["p95_seconds"] is None
    assert found["requests"]["error_ratio"] is None
    assert found["runs"] is None
    assert found["history"] == found["processes"] == []


async def test_two_processes_give_the_same_answer(tmp_path: Path) -> None:
    async with serve(tmp_path) as one, serve(tmp_path / "two", beside=one) as two:
        conversation = ""
        async with one.http() as http:
            conversation = await one.conversation(http)
            await one.say(conversation, "words that nobody else reads")
        two.clock.at = one.clock.at
        for served in (one, two):
            served.clock.forward()
            await served.sampler.sample()
            served.clock.forward(6)
        here, there = await numbers(one), await numbers(two)
        answers = [[p.pop("answers") for p in each["processes"]] for each in (here, there)]
        assert sorted(map(tuple, answers)) == [(False, True), (True, False)]
        assert here == there
        assert len(here["processes"]) == 2
        assert here["runs"]["queued"] == here["history"][-1]["queued"] == 1
        text = str(here)
        assert conversation not in text
        assert "words that nobody" not in text


async def test_during_an_outage_a_key_that_was_good_sees_this_processs_own(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await served.key("stranger", "admin")
    served.clock.forward()
    await served.sampler.sample()
    served.clock.forward(6)
    assert (await numbers(served))["whole"] is True
    await lose_database(served)
    monkeypatch.setattr("flynn.ops.scrape.FRESH_SECONDS", 0.0)
    served.clock.forward()
    await served.sampler.sample()
    served.clock.forward(6)
    # Past the moment for which a key is remembered anyway.
    now = time.monotonic() + authentication.REMEMBER + 1
    monkeypatch.setattr("flynn.api.authentication.time", SimpleNamespace(monotonic=lambda: now))
    found = await numbers(served)
    assert found["whole"] is False
    assert "does not answer" in found["detail"]
    assert len(found["history"]) == 2
    assert len(found["processes"]) == 1
    assert found["runs"] is None
    assert found["processes"][0]["answers"] is True
    # Nobody else comes in, and nobody gets further.
    async with served.http("stranger") as http:
        problem(await http.get(AT), 503, "unavailable")
    async with served.http() as http:
        problem(await http.get("/api/v1/conversations"), 503, "unavailable")
    # Not for ever.
    now += authentication.REMEMBER_AWAY
    async with served.http() as http:
        problem(await http.get(AT), 503, "unavailable")
