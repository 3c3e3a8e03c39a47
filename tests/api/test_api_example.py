"""The doors to the scripted example where nobody plays it. Where it is played: tests/drills."""

from uuid import uuid4

import pytest

from tests.api.served import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_service_that_does_not_play_it_says_so_clearly(shared: Served) -> None:
    async with shared.http() as http:
        found = await http.get("/api/v1/example")
        assert found.status_code == 200
        assert found.json() == {
            "state": "not-offered",
            "detail": "There is nobody here who plays the scripted example.",
            "task": None,
            "workspaces": [],
            "workers": [],
            "lease_seconds": 0.0,
        }
        crash = {"conversation_id": str(uuid4())}
        for path, body in (("/api/v1/example", None), ("/api/v1/example/crash", crash)):
            refused = await http.post(path, json=body)
            assert refused.status_code == 409
            assert refused.json()["detail"] == found.json()["detail"]


async def test_it_is_for_admins_only(shared: Served) -> None:
    await shared.key("chatterbox", "chat", "delegate", "read")
    async with shared.http("chatterbox") as http:
        found = (await http.get("/api/v1/example")).json()
        assert found["state"] == "not-offered"
        assert "scope admin" in found["detail"]
        assert found["workspaces"] == found["workers"] == []
        crash = {"conversation_id": str(uuid4())}
        for path, body in (("/api/v1/example", None), ("/api/v1/example/crash", crash)):
            refused = await http.post(path, json=body)
            assert refused.status_code == 403, refused.text


async def test_a_crash_needs_to_know_where(shared: Served) -> None:
    async with shared.http() as http:
        for body in ({}, {"conversation_id": "here"}, {"conversation_id": str(uuid4()), "signal": "TERM"}):
            refused = await http.post("/api/v1/example/crash", json=body)
            assert refused.status_code == 422, refused.text
