"""One name for a request: in its answer, and in every record that is logged of it, with what it is about."""

import io
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from flynn.api.addresses import Doorkeeper
from flynn.api.authentication import Authenticator
from flynn.api.counting import Counting
from flynn.api.gate import Gate
from flynn.store.database import Database
from flynn.store.views import Views
from flynn.telemetry.metrics import Metrics
from flynn.telemetry.request_metrics import RequestMetrics
from tests.api.served import Served, watching
from tests.log_stream import log_stream, said


@pytest.fixture(autouse=True)
def stream() -> Iterator[io.StringIO]:
    with log_stream("debug") as stream:
        yield stream


async def test_a_request_and_its_records_have_one_name(served: Served, stream: io.StringIO) -> None:
    async with served.http() as http:
        conversation = await served.conversation(http)
        stream.truncate(0)
        stream.seek(0)
        answer = await http.get(
            f"/api/v1/conversations/{conversation}?key=fly_secret", headers={"X-Request-ID": "quorra:17"}
        )
    assert answer.status_code == 422
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "quorra:17"
    (record,) = [line for line in said(stream) if line["logger"] == "flynn.access"]
    assert record["message"] == "answered"
    context = record["context"]
    assert context.pop("milliseconds") >= 0
    assert context == {
        "request_id": "quorra:17",
        "principal": "owner",
        "conversation_id": conversation,
        "method": "GET",
        "path": f"/api/v1/conversations/{conversation}",
        "status": 422,
    }
    assert "fly_secret" not in stream.getvalue()


async def test_a_defect_is_logged_with_what_it_was_about(
    served: Served, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(served.views, "conversation", broken)
    conversation = str(uuid4())
    async with served.http() as http:
        answer = await http.get(f"/api/v1/conversations/{conversation}")
    async with watching(served) as watcher:
        told = await watcher.call("conversation.open", {"conversation_id": conversation, "after_seq": 0})
    over_rest, over_socket = [line for line in said(stream) if line["message"] == "a request met a defect"]
    assert over_rest["context"]["request_id"] == answer.json()["request_id"]
    assert over_socket["context"]["request_id"] == told["error"]["request_id"]
    for line in (over_rest, over_socket):
        assert line["context"]["conversation_id"] == conversation
        assert "ZeroDivisionError" in line["exception"]


async def test_an_outage_at_the_gate_is_logged_under_the_requests_name(
    stream: io.StringIO, tmp_path: Path
) -> None:
    async def nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError("the gate lets nobody through")

    database = Database(f"postgresql+asyncpg://nobody@/none?host={tmp_path}")
    gate = Gate(
        nothing,
        doorkeeper=Doorkeeper(host="127.0.0.1", allowed_origins=()),
        authenticator=Authenticator(Views(database)),
        max_bytes=1_000,
        counting=Counting(RequestMetrics(Metrics())),
    )
    transport = httpx2.ASGITransport(app=gate)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        answer = await http.get("/api/v1/tasks", headers={"Authorization": f"Bearer fly_{'x' * 43}"})
    await database.close()
    assert answer.status_code == 503
    (line,) = [line for line in said(stream) if line["message"] == "the database does not answer"]
    assert line["context"]["request_id"] == answer.headers["x-request-id"] == answer.json()["request_id"]
