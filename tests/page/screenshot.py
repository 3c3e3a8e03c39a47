"""Takes the picture of the page that README.md shows: docs/images/page.png.

    scripts/build-page.sh && .venv/bin/python -m tests.page.screenshot [FILE]

It starts a service of its own on a copy of examples/reznet, with the scripted model in the place of Claude,
delegates what Quorra delegates, and looks at the conversation in a real Chromium. Needs what scripts/setup.sh
--dev and --servers bring. Nothing of it stays behind but the picture.
"""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
from playwright.async_api import Page, async_playwright

from flynn.simulator import SimulatorServer, load_scenarios

ROOT = Path(__file__).resolve().parents[2]
INSTRUCTIONS = "Update CI pipeline to run agent creation tests"
LAST_WORDS = "make the job a required status check"
"""The end of the scripted answer: when it is on the page, all of it is."""
TITLE = "Run the agent creation tests in CI"
SIZE = {"width": 1280, "height": 860}
MOST_BYTES = 300_000
SECONDS = 120
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
)


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def service(place: Path, model: str) -> AsyncIterator[str]:
    """A service in `place` whose model is at the URL `model`; gives the address that it prints."""
    workspace = place / "reznet"
    generated = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache")
    shutil.copytree(ROOT / "examples" / "reznet", workspace, ignore=generated)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FLYNN_", "ANTHROPIC_"))}
    for name in ("DATABASE_URL", "REDIS_URL", "POSTGRES_PASSWORD"):
        kept.pop(name, None)
    given = {
        "ANTHROPIC_API_KEY": "scripted",
        "ANTHROPIC_BASE_URL": model,
        "FLYNN_DATA_DIR": str(place / "data"),
        "FLYNN_PORT": str(free_port()),
        "FLYNN_WORKSPACE": str(workspace),
    }
    process = start(place, {**kept, **given})
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), SECONDS)
        found = re.search(r"http://\S+\?key=\S+", line.decode())
        if found is None:
            raise SystemExit(f"screenshot: the service did not start:\n{(place / 'serve.log').read_text()}")
        yield found.group()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, 30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start(place: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start `flynn serve`; its log goes into `place`."""
    with (place / "serve.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "flynn.cli", "serve"],
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )


async def delegate(address: str) -> str:
    """Delegate the task with a key of Quorra's and wait for its end; gives its conversation's id."""
    url, _, owner = address.partition("/?key=")
    async with httpx2.AsyncClient(base_url=f"{url}/api/v1", timeout=90, trust_env=False) as client:
        order = {"name": "quorra", "scopes": ["delegate"]}
        made = await client.post("/keys", json=order, headers={"Authorization": f"Bearer {owner}"})
        made.raise_for_status()
        headers = {"Authorization": f"Bearer {made.json()['key']}"}
        order = {"instructions": INSTRUCTIONS, "title": TITLE}
        answer = await client.post("/tasks", json=order, headers=headers)
        answer.raise_for_status()
        path = f"/tasks/{answer.json()['id']}"
        async with asyncio.timeout(SECONDS):
            while (task := (await client.get(path, params={"wait": 60}, headers=headers)).json())[
                "state"
            ] in ("queued", "running"):
                pass
        if task["state"] != "completed":
            raise SystemExit(f"screenshot: the task is {task['state']}: {task['detail']}")
        return str(task["conversation_id"])


async def look(page: Page, address: str, conversation: str) -> bytes:
    """Open the conversation by the printed address, and take the picture when all of it is there."""
    page.set_default_timeout(SECONDS * 1000)
    await page.goto(address)
    await page.get_by_text(TITLE).first.wait_for()
    await page.goto(f"{address.partition('?')[0]}#/c/{conversation}")
    await page.get_by_text(LAST_WORDS).first.wait_for()
    # The change that was made and the command that proves it, above the words that sum them up.
    await page.get_by_text("I'll add a step").first.scroll_into_view_if_needed()
    await page.evaluate("document.fonts.ready")
    await page.wait_for_timeout(500)
    return await page.screenshot(animations="disabled")


async def take() -> bytes:
    """Put everything up, take the picture, and take everything down."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("screenshot: Chromium is missing; scripts/setup.sh --servers installs it")
    scenarios = load_scenarios(ROOT / "examples" / "scenarios" / "update-ci.yaml")
    with tempfile.TemporaryDirectory(prefix="flynn-screenshot-") as place:
        # A server that is root lets commands of other uids walk here.
        os.chmod(place, 0o755)  # noqa: PTH101  # pathlib's is refused in what is asynchronous
        async with (
            SimulatorServer(scenarios) as simulator,
            service(Path(place), simulator.url) as address,
            async_playwright() as playwright,
        ):
            conversation = await delegate(address)
            browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            context = await browser.new_context(
                viewport={"width": SIZE["width"], "height": SIZE["height"]},
                color_scheme="light",
                reduced_motion="reduce",
            )
            picture = await look(await context.new_page(), address, conversation)
            await browser.close()
    return picture


def main(target: Path) -> None:
    """Write the picture to `target`."""
    picture = asyncio.run(take())
    if len(picture) > MOST_BYTES:
        raise SystemExit(f"screenshot: {len(picture):,} bytes are too many; make the window smaller")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(picture)
    sys.stdout.write(f"screenshot: {target}, {len(picture):,} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "page.png")
