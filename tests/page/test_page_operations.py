"""The operations view: the figures of the JSON, words and a table for each chart, outages, who sees it."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.eventually import eventually
from tests.page.journey import SCHEMES, begin, violations
from tests.page.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.needs("browser")]

SCRIPT = """
name: well
loop: true
turns: [{ blocks: [{ text: Here I am. }] }]
"""

SETTINGS = {"FLYNN_ALERT_LIMITS": "Disk=0.000001,PartDegraded=off", "FLYNN_ALERT_WINDOW_SECONDS": "15"}

CHARTS = (
    "Requests a second",
    "Errors a second",
    "Latency",
    "Cost a minute",
    "Queue and runs",
    "Longest wait in the queue",
)


def figure(name: str) -> str:
    return f'.figure:has(dt:text-is("{name}"))'


async def sampled(stage: Stage) -> None:
    """Wait until the service has told of its first steps: a sample is taken every 15 seconds."""

    async def told() -> bool:
        async with stage.http() as http:
            found = (await http.get("/api/v1/operations")).json()
        return bool(found["work"]["steps"]) and bool(found["history"])

    await eventually(told, what="a sample of the first steps", seconds=90, every=1)


async def test_the_figures_on_the_page_are_those_of_the_json(stage: Stage, page: Page) -> None:
    await begin(page, "say something")
    await expect(page.get_by_text("Here I am.")).to_be_visible()
    async with stage.http() as http:
        for _ in range(3):
            assert (await http.get("/api/v1/tasks/not-a-task")).status_code == 422
    await sampled(stage)

    async with page.expect_response(re.compile(r"/api/v1/operations\?minutes=60")) as seen:
        await page.get_by_role("button", name=re.compile("^Operations")).click()
    numbers = await (await seen.value).json()
    await expect(page).to_have_url(re.compile("#/operations$"))
    await expect(page).to_have_title("Operations · Flynn")
    requests = numbers["requests"]
    assert requests["refused"] >= 3
    assert requests["requests"] > requests["refused"]
    assert numbers["whole"] is True
    main = page.get_by_role("main", name="Operations")
    await expect(main.locator(figure("Requests"))).to_contain_text(f"{requests['requests']} in all")
    await expect(main.locator(figure("Errors"))).to_contain_text(
        f"{requests['errors']} failed, {requests['refused']} refused"
    )
    await expect(main.locator(figure("Latency"))).to_contain_text(
        f"{round(requests['p50_seconds'] * 1000)} ms"
    )
    await expect(main.locator(figure("Cost"))).to_contain_text(f"{numbers['work']['steps']} steps")
    assert numbers["model"]["dollars"] > 0

    # The disk is fuller than the limit that it was given here, which is as real as any.
    alert = main.get_by_role("listitem").filter(has_text="Disk").first
    await expect(alert).to_contain_text("warning")
    await alert.get_by_text("What to do").click()
    await expect(alert.get_by_text("Means")).to_be_visible()
    await expect(page.get_by_role("button", name=re.compile("^Operations"))).to_contain_text("alert")

    # Every chart has a name, words, and its values as a table.
    for title in CHARTS:
        chart = main.get_by_role("figure", name=title)
        await expect(
            chart.get_by_role("img", name=re.compile(f"^{title}[.] .+ last|not known|all the time"))
        ).to_be_visible()
        await chart.get_by_text("As a table").click()
        await expect(chart.locator("tbody tr")).to_have_count(len(numbers["history"]))
    parts = main.get_by_role("region", name="Parts")
    for part in numbers["parts"]:
        await expect(
            parts.get_by_role("row", name=re.compile(f"^{part['name']} {part['state']}"))
        ).to_be_visible()
    await expect(main.get_by_role("region", name="Processes")).to_contain_text("answers you")
    route = numbers["routes"][0]
    await expect(main.get_by_role("region", name="Routes")).to_contain_text(
        f"{route['method']} {route['route']}"
    )
    await expect(main.get_by_role("region", name="Backups")).to_contain_text(
        re.compile("none yet|old|keeps none")
    )

    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert await violations(page) == [], scheme
    await page.set_viewport_size({"width": 375, "height": 740})
    assert await page.evaluate("document.documentElement.scrollWidth") == 375

    # The address is kept, and leads back.
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.reload()
    await expect(main.locator(figure("Requests"))).to_contain_text("in all")
    await page.go_back()
    await expect(page.get_by_text("Here I am.")).to_be_visible()
    await expect(main).to_have_count(0)
    assert stage.complaints == []


async def test_an_outage_is_told_and_over_by_itself(stage: Stage, page: Page) -> None:
    await page.get_by_role("button", name=re.compile("^Operations")).click()
    main = page.get_by_role("main", name="Operations")
    await expect(main.locator(figure("Requests"))).to_be_visible()
    await stage.kill()
    trouble = main.get_by_role("alert").filter(has_text="The service does not answer")
    await expect(trouble).to_contain_text("what stands here is of before")
    await expect(main.locator(figure("Requests"))).to_be_visible()
    await stage.start()
    await expect(trouble).to_have_count(0)
    await expect(main.locator(figure("Requests"))).to_be_visible()


async def test_it_is_for_admins_alone(stage: Stage) -> None:
    async with stage.http() as http:
        made = await http.post("/api/v1/keys", json={"name": "reader", "scopes": ["chat", "read"]})
    page = await stage.visit(f"{stage.url}/?key={made.json()['key']}#/operations")
    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    main = page.get_by_role("main", name="Operations")
    await expect(main.get_by_role("alert")).to_contain_text(re.compile("scope|admin"))
    await expect(main.locator(".figure")).to_have_count(0)
    await expect(page.get_by_role("button", name=re.compile("^Operations"))).to_have_count(0)
