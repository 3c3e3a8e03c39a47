"""The OpenAPI document and the JSON Schema: valid, complete, and true of what is sent."""

import json
from uuid import uuid4

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from flynn.api import schema
from flynn.domain.delta import Delta
from flynn.domain.events import EVENT_TYPES
from tests.api.served import Served

PROBLEM = {"$ref": "#/components/schemas/Problem"}


@pytest.mark.slow
async def test_the_openapi_document_is_valid_and_complete(served: Served) -> None:
    async with served.http(None) as http:
        document = (await http.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/health",
        "/metrics",
        "/ready",
        *(
            f"/api/v1/{path}"
            for path in (
                "agents",
                "agents/{name}",
                "alerts",
                "backups",
                "callbacks",
                "conversations",
                "conversations/{conversation_id}",
                "conversations/{conversation_id}/approvals",
                "conversations/{conversation_id}/approvals/{approval_id}",
                "conversations/{conversation_id}/blobs/{sha256}",
                "conversations/{conversation_id}/budget",
                "conversations/{conversation_id}/diff",
                "conversations/{conversation_id}/events",
                "conversations/{conversation_id}/interrupt",
                "conversations/{conversation_id}/messages",
                "conversations/{conversation_id}/undo",
                "example",
                "example/crash",
                "keys",
                "keys/{key_id}",
                "log-level",
                "model-key",
                "operations",
                "queue",
                "schema",
                "tasks",
                "tasks/{task_id}",
                "tasks/{task_id}/budget",
                "tasks/{task_id}/callback/replay",
                "tasks/{task_id}/cancel",
                "tasks/{task_id}/diff",
                "tasks/{task_id}/messages",
                "tasks/{task_id}/report",
                "usage",
                "workspaces",
                "workspaces/{workspace_id}",
                "workspaces/{workspace_id}/files",
                "workspaces/{workspace_id}/files/content",
                "workspaces/{workspace_id}/members",
                "workspaces/{workspace_id}/members/{name}",
            )
        ),
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            assert ("security" in operation) == path.startswith("/api/"), where
            for status, response in operation["responses"].items():
                if status.startswith(("4", "5")) and (path, status) != ("/ready", "503"):
                    assert response["content"] == {"application/problem+json": {"schema": PROBLEM}}, where
            assert "403" in operation["responses"], where
            assert not operation.get("deprecated"), where
            for status, answer in operation["responses"].items():
                assert answer.get("content") or status == "304", f"{where} {status}"
                if status >= "400" and (path, status) != ("/ready", "503"):
                    assert "application/problem+json" in answer["content"], f"{where} {status}"
    names = document["components"]["schemas"]
    assert "Problem" in names
    assert "HTTPValidationError" not in names


async def test_what_is_sent_fits_the_schema(served: Served) -> None:
    async with served.http() as http:
        found = (await http.get("/api/v1/schema")).json()
        conversation = await served.conversation(http)
        await served.say(conversation, "one", "two")
        await http.post(f"/api/v1/conversations/{conversation}/interrupt")
    jsonschema.Draft202012Validator.check_schema(found)
    envelope = jsonschema.Draft202012Validator(
        {"oneOf": found["oneOf"], "$defs": found["$defs"]},
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    assert len(served.published) >= 4
    for recorded in served.published:
        envelope.validate(json.loads(json.dumps(recorded.envelope())))
    wrong = {**served.published[0].envelope(), "type": "message.seen"}
    assert not envelope.is_valid(wrong)
    delta = Delta(
        conversation_id=uuid4(), epoch=1, step=1, block=0, offset=0, kind="text", text="x"
    ).model_dump(mode="json", exclude_none=True)
    jsonschema.validate(delta, {**found["sent"]["delta"], "$defs": found["$defs"]})
    assert set(found["calls"]) == set(schema.CALLS)
    assert len(found["oneOf"]) == len(EVENT_TYPES)
