"""What an order may name beside its instructions, and what its agent is told of it."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import jsonschema
import pytest
import pytest_asyncio

from flynn.domain.report import Report
from flynn.domain.report_markdown import markdown
from tests.api.served import Served, serve
from tests.house import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serve(tmp_path_factory.mktemp("tasks")) as found:
        await found.key("quorra", "delegate")
        yield found


async def post(served: Served, **more: Any) -> dict[str, Any]:
    async with served.http("quorra") as http:
        answer = await http.post("/api/v1/tasks", json={"instructions": "work", **more})
    return {"status": answer.status_code, **answer.json()}


async def told(served: Served, task: dict[str, Any]) -> list[str]:
    """The blocks of the task's first message, without the one that opens every conversation."""
    first = (await served.views.envelopes(UUID(task["conversation_id"]), 0))[0]
    assert first["data"]["text"] == "work"
    return [block["text"] for block in first["data"]["content"]][1:]


async def test_what_an_order_names_stands_behind_its_instructions(served: Served) -> None:
    context = {"files": ["docker-compose.yml", "a b/c.txt"], "links": ["https://team.example/x?y=1"]}
    criteria = ["  Every service has a health check ", "`docker compose config` is quiet"]
    task = await post(served, context=context, acceptance_criteria=criteria)
    assert task["status"] == 202, task
    assert task["context"] == {**context, "tasks": []}
    assert task["acceptance_criteria"] == [criterion.strip() for criterion in criteria]
    words, brief = await told(served, task)
    assert words == "work"
    assert brief == (
        "<task>\n"
        "The task is done when all of this holds. Check each before you say so, and say of each how you "
        "know:\n"
        "1. Every service has a health check\n"
        "2. `docker compose config` is quiet\n"
        "Files of the workspace that it is about; look at them first:\n"
        "- docker-compose.yml\n"
        "- a b/c.txt\n"
        "Links that belong to it. You cannot open them; name them where they matter:\n"
        "- https://team.example/x?y=1\n"
        "</task>"
    )


async def test_an_order_that_names_nothing_more_is_its_instructions(served: Served) -> None:
    task = await post(served, context={}, acceptance_criteria=[])
    assert await told(served, task) == ["work"]
    assert task["context"] == {"files": [], "links": [], "tasks": []}


async def test_an_earlier_task_is_told_of_as_the_log_has_it(served: Served) -> None:
    earlier = await post(served, title="The first")
    async with served.http("quorra") as http:
        assert (await http.post(f"/api/v1/tasks/{earlier['id']}/cancel")).status_code == 200
    task = await post(served, context={"tasks": [earlier["id"]]})
    _, brief = await told(served, task)
    assert f'An earlier task, "The first" ({earlier["id"]}), cancelled. It changed no files.' in brief


async def test_secrets_do_not_get_in_by_the_side_door(served: Served) -> None:
    secret = "ghp_" + "a1B2" * 9
    task = await post(
        served,
        acceptance_criteria=[f"It works with {secret}"],
        context={"links": [f"https://x.example/?token={secret}"]},
    )
    log = str(await served.views.envelopes(UUID(task["conversation_id"]), 0))
    assert secret not in log
    assert secret not in str(task)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"context": {"files": ["/etc/passwd"]}}, "context.files.0"),
        ({"context": {"files": ["a", "b/../../c"]}}, "context.files.1"),
        ({"context": {"files": ["~/x"]}}, "context.files.0"),
        ({"context": {"files": ["a\nb"]}}, "context.files.0"),
        ({"context": {"links": ["file:///etc/passwd"]}}, "context.links.0"),
        ({"context": {"links": ["https://x.example/ and more"]}}, "context.links.0"),
        ({"context": {"tasks": ["7"]}}, "context.tasks.0"),
        ({"context": {"pages": []}}, "context.pages"),
        ({"context": "all"}, "context"),
        ({"acceptance_criteria": "it works"}, "acceptance_criteria"),
        ({"acceptance_criteria": [" "]}, "acceptance_criteria.0"),
        ({"acceptance_criteria": ["x"] * 51}, "acceptance_criteria"),
    ],
)
async def test_what_cannot_be_told_is_named(served: Served, given: dict[str, Any], field: str) -> None:
    answer = await post(served, **given)
    assert answer["status"] == 422
    assert answer["errors"][0]["field"] == field, answer


async def test_earlier_tasks_have_to_be_visible_and_over_or_come_first(served: Served) -> None:
    absent = str(uuid4())
    answer = await post(served, context={"tasks": [absent]})
    assert answer["errors"] == [{"field": "context.tasks.0", "message": f"there is no task {absent}"}]
    running = await post(served)
    answer = await post(served, context={"tasks": [running["id"]]})
    assert answer["errors"][0] == {
        "field": "context.tasks.0",
        "message": "is not over: name it in `after` too, or wait for it",
    }
    later = await post(served, context={"tasks": [running["id"]]}, after=[running["id"]])
    assert later["status"] == 202
    assert await told(served, later) == ["work"], "there is nothing to tell yet"


async def test_a_report_is_json_or_markdown_as_is_asked(served: Served) -> None:
    task = await post(served, acceptance_criteria=["# it holds"])
    place = f"/api/v1/tasks/{task['id']}/report"
    async with served.http("quorra") as http:
        early = await http.get(place, params={"format": "markdown"})
        assert (early.status_code, early.headers["content-type"]) == (404, "application/problem+json")
        stopped = await http.post(f"/api/v1/tasks/{task['id']}/cancel")
        assert stopped.json()["state"] == "cancelled"
        told = (await http.get(place)).json()
        assert told["account"] is None
        assert told["account_missing"] == "The agent came to no end of its own."
        assert told["criteria"] == [
            {"criterion": "# it holds", "said": "unsaid", "how": "", "judgement": "unverified", "why": ""}
        ]
        for query, accept in (
            ({"format": "markdown"}, "*/*"),
            ({}, "text/markdown"),
            ({}, "text/html, text/markdown;q=0.9, */*;q=0.1"),
        ):
            answer = await http.get(place, params=query, headers={"accept": accept})
            assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.text.startswith("# Report of a task: cancelled\n")
            assert "- \\# it holds: nothing is said\n" in answer.text
        for query, accept in (
            ({"format": "json"}, "text/markdown"),
            ({}, "application/json, text/markdown"),
            ({}, "*/*"),
        ):
            answer = await http.get(place, params=query, headers={"accept": accept})
            assert answer.json() == told
        assert (await http.get(place, params={"format": "html"})).status_code == 422


async def test_the_schema_in_the_documents_is_that_of_the_report(served: Served) -> None:
    written = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    assert written == Report.model_json_schema(mode="serialization")
    task = await post(served)
    async with served.http("quorra") as http:
        await http.post(f"/api/v1/tasks/{task['id']}/cancel")
        report = (await http.get(f"/api/v1/tasks/{task['id']}/report")).json()
    jsonschema.validate(report, written)


async def test_reports_of_before_can_still_be_read() -> None:
    evidence = {"files": [], "commands": [], "steps": 1, "tool_calls": 0, "usage": {}, "cost_dollars": 0.0}
    old = {
        "task_id": str(uuid4()),
        "state": "completed",
        "prose": "Done.",
        "evidence": {**evidence, "duration_ms": 1, "stop_reason": "end_turn", "last_seq": 3},
    }
    report = Report.model_validate(old)
    assert (report.account, report.claims, report.evidence.checks) == (None, [], None)
    assert "There is no account of the task" in markdown(report)
