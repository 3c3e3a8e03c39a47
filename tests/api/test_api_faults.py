"""The doors when something behind them is away or broken."""

from pathlib import Path

from flynn.store.database import Database
from tests.api.served import Served, serve
from tests.api.test_api_refusals import problem


async def test_a_database_that_is_away_is_503_and_comes_back(served: Served) -> None:
    async with served.http() as http:
        conversation = await served.conversation(http)
        served.views._database = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none", pool_size=1)
        answer = await http.get(f"/api/v1/conversations/{conversation}")
        body = problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "2"
        assert body["retry_after"] == 2
        assert (await http.get("/health")).status_code == 200
        served.views._database = served.database
        assert (await http.get(f"/api/v1/conversations/{conversation}")).status_code == 200


async def test_a_defect_is_500_without_its_details(served: Served) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the secret detail")

    served.views.task = broken  # type: ignore[method-assign, assignment]
    async with served.http() as http:
        answer = await http.get("/api/v1/tasks/00000000-0000-0000-0000-000000000000")
        body = problem(answer, 500, "internal-error")
        assert "secret" not in answer.text
        assert body["request_id"] in body["detail"]


async def test_in_the_open_any_host_will_do_and_pages_of_that_host(tmp_path: Path) -> None:
    async with serve(tmp_path, host="0.0.0.0") as served, served.http() as http:
        headers = {"Host": "flynn.example", "Origin": "https://flynn.example"}
        answer = await http.get("/api/v1/agents", headers=headers)
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers
