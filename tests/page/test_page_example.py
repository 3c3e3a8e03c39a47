"""The scripted example on the page: played without a key, its worker killed in the middle of a command."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.eventually import eventually
from tests.page.journey import SCHEMES, violations
from tests.page.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.needs("browser", "bubblewrap")]

STEP = "- name: Run agent creation tests"


@pytest.fixture
async def stage(tmp_path: Path, browser: Browser) -> AsyncIterator[Stage]:
    """A service without a key, and with a model's address where nobody listens."""
    async with Stage(tmp_path, "http://127.0.0.1:9", browser, settings={"ANTHROPIC_API_KEY": ""}) as found:
        yield found


async def both_are_free(stage: Stage) -> None:
    """Have the example prepared, and wait for both workers: the second one may be long in coming."""

    async def both() -> bool:
        found = (await http.get("/api/v1/example")).json()
        return [worker["state"] for worker in found["workers"]] == ["idle", "idle"]

    async with stage.http() as http:
        assert (await http.post("/api/v1/example")).status_code == 202
        await eventually(both, what="two workers", seconds=120, every=0.2)


async def test_the_example_is_played_its_worker_killed_and_its_task_completed(
    stage: Stage, page: Page
) -> None:
    await both_are_free(stage)
    await page.get_by_role("button", name="Play the scripted example").click()
    banner = page.get_by_role("region", name="Scripted example")
    await expect(banner).to_contain_text("played by a simulator on this machine")
    # Its output is seen while the command runs, although another process runs it.
    running = page.get_by_role("region", name="Bash Run the agent creation tests", exact=True)
    await expect(running).to_contain_text("passed", timeout=90_000)
    await expect(running).to_contain_text("running…")
    await expect(banner).to_contain_text(re.compile(r"process \d+ \(at work\)"))
    # The other one can take over; without it the button does nothing.
    await expect(banner).to_contain_text("(free)")
    await banner.get_by_role("button", name="Kill the worker now (SIGKILL)").click()
    await expect(banner).to_contain_text("was killed in the middle of a command")
    await expect(running).to_contain_text("outcome unknown", timeout=60_000)
    await expect(page.get_by_text("Another worker took the run over.")).to_be_visible()
    await expect(banner).to_contain_text("looks at the state before it does anything again")
    await expect(page.get_by_text("Before I do anything again I look at the state")).to_be_visible()
    await page.emulate_media(reduced_motion="reduce")
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        assert await violations(page) == []
    report = page.get_by_role("region", name="Report of the task")
    await expect(report).to_contain_text("completed", timeout=90_000)
    await expect(report).to_contain_text("+3 −0")
    await expect(report).to_contain_text("unknown")
    (copy,) = (stage.place / "data" / "examples").glob("example-*")
    assert (copy / ".github" / "workflows" / "ci.yml").read_text().count(STEP) == 1
    # The workspace of the example is not one to begin other work in.
    await page.get_by_role("button", name="New chat").click()
    await expect(page.get_by_role("button", name="Play the scripted example")).to_be_visible()
    await expect(page.get_by_label("Workspace").locator("option")).to_have_count(1)
    assert stage.complaints == []
