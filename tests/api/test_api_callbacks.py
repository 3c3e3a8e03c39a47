"""Callbacks at the doors: what an order may name, what is shown of it, and who may revive it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from flynn.domain.destination import Destinations
from tests.api.served import Served, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    place: Path = tmp_path_factory.mktemp("callbacks")
    async with serve(place, destinations=Destinations.of(["quorra:8080"])) as found:
        await found.key("quorra", "delegate")
        await found.key("reader", "read")
        yield found


async def order(served: Served, **more: Any) -> dict[str, Any]:
    async with served.http("quorra") as http:
        answer = await http.post("/api/v1/tasks", json={"instructions": "look", **more})
    return {"status": answer.status_code, **answer.json()}


async def test_a_task_shows_its_callback_and_a_task_without_one_shows_none(served: Served) -> None:
    made = await order(served, callback_url="https://quorra.example/x?token=secret")
    assert made["status"] == 202
    assert made["callback"] == {
        "task_id": made["id"],
        "url": "https://quorra.example/x?…",
        "events": [
            "budget.reached",
            "run.cancelled",
            "run.completed",
            "run.failed",
            "run.waiting",
            "task.reported",
        ],
        "state": "active",
        "delivered_seq": 0,
        "attempts": 0,
        "last_error": None,
        "last_attempt_at": None,
        "next_attempt_at": None,
        "dead_at": None,
    }
    plain = await order(served)
    assert plain["callback"] is None
    assert plain["callback_secret"] is None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"callback_url": "http://quorra.example/"}, "callback_url"),
        ({"callback_url": "http://quorra:8081/"}, "callback_url"),
        ({"callback_url": "https://169.254.169.254/latest"}, "callback_url"),
        ({"callback_url": "https://[::ffff:127.0.0.1]/"}, "callback_url"),
        ({"callback_url": "https://localhost:8000/api/v1/keys"}, "callback_url"),
        ({"callback_url": "quorra"}, "callback_url"),
        ({"callback_url": 7}, "callback_url"),
        ({"callback_url": "https://x/", "callback_events": ["run.done"]}, "callback_events.0"),
        ({"callback_url": "https://x/", "callback_events": []}, "callback_events"),
        ({"callback_url": "https://x/", "callback_secret": "whsec_c2hvcnQ="}, "callback_secret"),
        ({"callback_events": ["run.failed"]}, "body"),
        ({"callback_secret": "whsec_" + "a" * 32}, "body"),
    ],
)
async def test_what_cannot_be_called_back_is_named(served: Served, given: dict[str, Any], field: str) -> None:
    answer = await order(served, **given)
    assert answer["status"] == 422
    assert answer["errors"][0]["field"] == field, answer
    assert str(given.get("callback_secret", "not said")) not in str(answer)


async def test_a_named_host_may_be_called_over_http(served: Served) -> None:
    assert (await order(served, callback_url="http://quorra:8080/"))["status"] == 202


async def test_only_who_may_delegate_revives_and_only_what_is_there(served: Served) -> None:
    made = await order(served, callback_url="https://quorra.example/")
    plain = await order(served)
    async with served.http("reader") as http:
        assert (await http.post(f"/api/v1/tasks/{made['id']}/callback/replay")).status_code == 403
    async with served.http("quorra") as http:
        revived = await http.post(f"/api/v1/tasks/{made['id']}/callback/replay")
        assert (revived.status_code, revived.json()["state"]) == (200, "active")
        missing = await http.post(f"/api/v1/tasks/{plain['id']}/callback/replay")
        assert (missing.status_code, missing.json()["code"]) == (409, "conflict")
        assert "without a callback_url" in missing.json()["detail"]


async def test_callbacks_are_listed_in_pages(served: Served) -> None:
    made = [(await order(served, callback_url=f"https://quorra.example/{n}"))["id"] for n in range(3)]
    async with served.http("quorra") as http:
        first = (await http.get("/api/v1/callbacks?limit=2")).json()
        rest = (await http.get("/api/v1/callbacks", params={"cursor": first["next"]})).json()
        seen = [item["task_id"] for item in first["items"] + rest["items"]]
        assert seen[:3] == made[::-1]
        assert len(seen) == len(set(seen))
        assert (await http.get("/api/v1/callbacks?state=lost")).status_code == 422


async def test_a_resend_across_an_upgrade_is_the_same_order(served: Served) -> None:
    async with served.http("quorra") as http:

        async def post(**body: Any) -> tuple[int, Any]:
            headers = {"idempotency-key": "upgrade"}
            answer = await http.post("/api/v1/tasks", json={"instructions": "x", **body}, headers=headers)
            return answer.status_code, answer.json().get("id")

        first = await post()
        assert first == await post(callback_url=None, callback_events=None)
        assert (await post(callback_url="https://quorra.example/"))[0] == 422
