"""The page in a real browser: the built files, a real service, a scripted model."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

from flynn.simulator import SimulatorServer, parse_scenarios
from tests.conftest import ROOT
from tests.page.stage import Stage

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


async def _built() -> None:
    process = await asyncio.create_subprocess_exec(
        str(ROOT / "scripts" / "build-page.sh"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-3000:]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A Chromium of its own."""
    await _built()
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield found
        await found.close()


@pytest.fixture
async def stage(tmp_path: Path, browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A service whose model plays the module's SCRIPT, and pages that look at it."""
    async with AsyncExitStack() as stack:
        scenarios = parse_scenarios(request.module.SCRIPT)
        simulator = await stack.enter_async_context(SimulatorServer(scenarios))
        found = Stage(tmp_path, simulator.url, browser)
        await stack.enter_async_context(found)
        yield found


@pytest.fixture
async def page(stage: Stage) -> Page:
    """A page that came by the address that the service printed."""
    return await stage.visit()
