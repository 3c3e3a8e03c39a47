"""GET /metrics: open like /health, in Prometheus's format, there when the database is not, naming nobody."""

import re
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from flynn.domain.readiness import Part, Readiness
from flynn.model.breaker import Standing
from flynn.ops.readiness import model_part
from flynn.ops.scrape import Scrape
from flynn.store.database import Database
from flynn.telemetry.metrics import Metrics
from tests.api.served import Served, watching
from tests.eventually import eventually


def values(page: str) -> dict[str, float]:
    """The samples by `name{labels}`."""
    found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


async def scraped(served: Served) -> dict[str, float]:
    async with served.http(None) as http:
        answer = await http.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return values(answer.text)


async def test_metrics_need_no_key_and_show_parts_runs_and_the_queue(served: Served) -> None:
    found = await scraped(served)
    assert found["flynn_census_up{}"] == 1
    assert found["flynn_runs{state=queued}"] == found["flynn_queue_depth{}"] == 0
    assert found["flynn_pool_in_use{}"] >= 0
    assert found["process_resident_memory_bytes{}"] > 1_000_000


async def test_a_scrape_names_nobodys_work(served: Served) -> None:
    async with served.http() as http:
        made = await http.post("/api/v1/conversations", json={})
        conversation = made.json()["id"]
        await http.post(f"/api/v1/conversations/{conversation}/messages", json={"text": "secret words"})
    async with served.http(None) as http:
        page = (await http.get("/metrics")).text
    assert conversation not in page
    assert "secret words" not in page
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", page)
    assert values(page)["flynn_runs{state=queued}"] == 1
    assert values(page)["flynn_queue_age_seconds{}"] >= 0


async def test_open_sockets_are_counted(served: Served) -> None:
    async with watching(served):
        assert (await scraped(served))["flynn_sockets{}"] == 1

    async def gone() -> bool:
        return (await scraped(served))["flynn_sockets{}"] == 0

    await eventually(gone, what="the end of the connection")


async def test_without_a_database_the_scrape_says_so_and_is_there(tmp_path: Path) -> None:
    database = Database(f"postgresql+asyncpg://nobody@/none?host={tmp_path}")
    metrics = Metrics()
    metrics.runs.labels("queued").set(7)

    async def ready() -> Readiness:
        down = Part(name="database", state="down", detail="away")
        return Readiness(ok=False, parts=[down, Part(name="live", state="degraded")])

    page = (await Scrape(metrics, database=database, ready=ready).text()).decode()
    await database.close()
    found = values(page)
    assert found["flynn_census_up{}"] == 0
    assert "flynn_runs{state=queued}" not in found, "a figure from before is no figure"
    assert found["flynn_part_state{part=database,state=down}"] == 1
    assert found["flynn_part_state{part=database,state=ok}"] == 0
    assert found["flynn_part_state{part=live,state=degraded}"] == 1


async def test_the_database_is_asked_once_however_many_ask(served: Served) -> None:
    asked = 0

    async def ready() -> Readiness:
        nonlocal asked
        asked += 1
        return Readiness(ok=True, parts=[])

    scrape = Scrape(Metrics(), database=served.database, ready=ready, held=lambda: 3)
    pages = [await scrape.text() for _ in range(5)]
    assert asked == 1
    assert values(pages[-1].decode())["flynn_runs_held{}"] == 3


def test_a_model_that_does_not_answer_is_a_degraded_part() -> None:
    since = datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC)
    away = Standing("claude-haiku-5-5", "open", since, "HTTP 529 overloaded_error: busy")
    well = Standing("claude-sonnet-5-5", "closed")
    part = model_part(key="key of ANTHROPIC_API_KEY", address="https://api.example", standings=[well, away])
    assert part.state == "degraded"
    assert part.detail is not None
    assert "claude-haiku-5-5 has not answered since 2026-11-26 01:02:03 UTC (HTTP 529" in part.detail
    assert "sonnet" not in part.detail
    assert model_part(key="key of ANTHROPIC_API_KEY", address="x", standings=[well]).state == "ok"
    assert "ANTHROPIC_API_KEY" in (model_part(key=None, address="x", standings=[away]).detail or "")


async def test_the_breaker_of_each_model_is_shown(served: Served) -> None:
    async def ready() -> Readiness:
        return Readiness(ok=True, parts=[])

    standings = [Standing("claude-haiku-5-5", "open", datetime.now(UTC), "d")]
    scrape = Scrape(Metrics(), database=served.database, ready=ready, standings=lambda: standings)
    found = values((await scrape.text()).decode())
    assert found["flynn_model_breaker{model=claude-haiku-5-5,state=open}"] == 1
    standings[0] = Standing("claude-haiku-5-5", "closed")
    found = values((await scrape.text()).decode())
    assert found["flynn_model_breaker{model=claude-haiku-5-5,state=open}"] == 0
    assert found["flynn_model_breaker{model=claude-haiku-5-5,state=closed}"] == 1
