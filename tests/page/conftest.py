"""The page in a real browser: the built files, a real service, a scripted model."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from flynn.simulator import SimulatorServer, parse_scenarios
from tests.conftest import ROOT
from tests.page.stage import Stage

expect.set_options(timeout=30_000)

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


@asynccontextmanager
async def _open_browser() -> AsyncIterator[Browser]:
    await _built()
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield found
        await found.close()


@asynccontextmanager
async def _open_stage(place: Path, browser: Browser, module: ModuleType) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(module.SCRIPT)))
        found = Stage(place, simulator.url, browser, settings=getattr(module, "SETTINGS", {}))
        await stack.enter_async_context(found)
        yield found


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A Chromium of its own."""
    async with _open_browser() as found:
        yield found


@pytest.fixture
async def stage(tmp_path: Path, browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A service whose model plays the module's SCRIPT, and pages that look at it."""
    async with _open_stage(tmp_path, browser, request.module) as found:
        yield found


@pytest.fixture
async def page(stage: Stage) -> Page:
    """A page that came by the address that the service printed."""
    return await stage.visit()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_stage(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Stage]:
    """A service as `stage` is, shared by the module's tests, which run on the module's loop."""
    place = tmp_path_factory.mktemp("stage")
    async with _open_browser() as browser, _open_stage(place, browser, request.module) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(open_stage: Stage) -> AsyncIterator[Page]:
    """A page that came to the shared service; its console has to stay silent, whatever is done with it."""
    open_stage.complaints.clear()
    page = await open_stage.visit()
    yield page
    for context in open_stage.browser.contexts:
        await context.close()
    assert open_stage.complaints == []
