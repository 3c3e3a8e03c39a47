"""`flynn demo`: one delegated task with a scripted model; everything but the model's words is real."""

import asyncio
import difflib
import shutil
import signal
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from flynn.app.agents import asset
from flynn.app.service import open_service
from flynn.cli.client import Client
from flynn.cli.connection import LOG, Connection
from flynn.cli.record import own, write_record
from flynn.cli.run import conclude
from flynn.cli.screen import Screen, safe
from flynn.cli.serve import listen, port_of, serving, url_of
from flynn.cli.signals import answering
from flynn.cli.task import perform
from flynn.domain.errors import ConfigurationError
from flynn.settings import Settings
from flynn.simulator import Options, Pacing, SimulatorServer, load_scenarios
from flynn.telemetry import logging

INSTRUCTIONS = "Update CI pipeline to run agent creation tests"
"""What Quorra delegates."""

CLIENT = "quorra"
WATCHABLE = Pacing(first_token_ms=400, tokens_per_second=60)
"""The pace of the scripted model where somebody watches; elsewhere it does not wait."""

GENERATED = ("__pycache__", "*.pyc", ".pytest_cache")


async def demo(settings: Settings, *, stay: bool) -> int:
    """Play the task on a fresh copy of the example repository; 0 completed, 1 failed, 130 cancelled.

    With `stay` it goes on serving until a signal asks it to end. Raises ConfigurationError when the
    service cannot start.
    """
    screen = Screen()
    screen.line("The model of this demo is scripted: its words come from a file, and no key is needed.")
    screen.line("All else is real: the queue, the log, the tools, the sandbox, the files and the checks.")
    screen.line()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        record = stack.enter_context(own(settings))
        workspace = copy_example(settings.data_dir)
        log = stack.enter_context((settings.data_dir / LOG).open("a", encoding="utf-8"))
        logging.configure(settings.log_level, settings.log_format, log)
        stack.callback(logging.configure, settings.log_level, settings.log_format)

        scripted = asset("examples") / "scenarios"
        scenarios = [
            s for name in ("update-ci", "fallback") for s in load_scenarios(scripted / f"{name}.yaml")
        ]
        pacing = WATCHABLE if sys.stdout.isatty() else Pacing()
        simulator = await stack.enter_async_context(SimulatorServer(scenarios, Options(pacing=pacing)))
        settings = for_demo(settings, simulator.url, workspace)
        service = await stack.enter_async_context(open_service(settings))
        closed = await stack.enter_async_context(serving(service, listener))
        url = url_of(settings.host, port_of(listener))
        write_record(record, url)

        async with Client(url, service.owner_key) as client:
            made = await client.post("/keys", {"name": CLIENT, "scopes": ["delegate"]})
        screen.line(f"Quorra delegates: {INSTRUCTIONS}", style="1")
        screen.line(f"  over REST at {url}, in {workspace}")
        screen.line()
        ending = await perform(url, made["key"], {"instructions": INSTRUCTIONS}, screen)
        conclude(ending, screen, Connection(url, service.owner_key, service), settings)
        if ending.report is not None:
            for file in ending.report.evidence.files:
                show_difference(screen, file.path, workspace)
        if stay and not ending.left:
            await _stay(screen, url, service.owner_key, closed)
    return ending.exit_code


def copy_example(data_dir: Path) -> Path:
    """A fresh copy of the example repository in the data directory. Raises ConfigurationError."""
    place = (data_dir / "workspaces" / f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}").resolve()
    try:
        shutil.copytree(asset("examples") / "reznet", place, ignore=shutil.ignore_patterns(*GENERATED))
    except (OSError, shutil.Error) as error:
        raise ConfigurationError(f"The example cannot be copied to {place}: {error}.") from error
    return place


def for_demo(settings: Settings, url: str, workspace: Path) -> Settings:
    """`settings` with the scripted model at `url` in the place of Claude, in `workspace` by default."""
    scripted = {
        "workspace": workspace,
        "anthropic_base_url": url,
        "anthropic_api_key": SecretStr("scripted"),
        "endpoint_auth": "x-api-key",
        "endpoint_cache": True,
        "endpoint_effort": True,
        "endpoint_count_tokens": True,
    }
    return settings.model_copy(update=scripted)


def show_difference(screen: Screen, path: str, workspace: Path) -> None:
    """Print what became of a file of the example."""
    before, after = asset("examples") / "reznet" / path, workspace / path
    screen.line()
    lines = difflib.unified_diff(_lines(before), _lines(after), f"a/{path}", f"b/{path}", lineterm="")
    for line in lines:
        style = {"+": "32", "-": "31", "@": "36"}.get(line[:1])
        screen.line(safe(line), style=style)


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []


async def _stay(screen: Screen, url: str, key: str, closed: asyncio.Task[None]) -> None:
    ended = asyncio.Event()
    screen.line()
    screen.line(f"Flynn goes on serving at {url}/?key={key}")
    screen.line("  For Claude's own answers put ANTHROPIC_API_KEY=… in .env and start `flynn serve`.")
    screen.line("  Ctrl-C ends it.")
    with answering({signal.SIGINT: ended.set, signal.SIGTERM: ended.set}):
        waiting = asyncio.create_task(ended.wait())
        await asyncio.wait({waiting, closed}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
