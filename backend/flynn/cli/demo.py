"""`flynn demo`: the scripted example on the terminal; everything but the model's words is real.

The service is the one of `flynn serve`, and the example is played as its page plays it.
"""

import asyncio
import difflib
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from flynn.app.example_copy import EXAMPLES, source
from flynn.app.log import log_aside
from flynn.app.service import open_service
from flynn.cli.client import Client
from flynn.cli.connection import Connection
from flynn.cli.example.cast import ForkingCast
from flynn.cli.example.killing import Killing
from flynn.cli.example.warm_process import WarmProcess
from flynn.cli.listening import listen, port_of, url_of
from flynn.cli.memory import settle_memory
from flynn.cli.record import own, write_record
from flynn.cli.run import conclude
from flynn.cli.screen import Screen, safe
from flynn.cli.serve import serving
from flynn.cli.signals import answering
from flynn.cli.task import Ending, perform
from flynn.domain.errors import Unavailable
from flynn.domain.example import INSTRUCTIONS, PATIENT, ExampleView
from flynn.settings import Settings

CLIENT = "quorra"


async def demo(settings: Settings, *, stay: bool, crash: bool, again: bool, warm: WarmProcess) -> int:
    """Play the task on a fresh copy of the example repository; 0 completed, 1 failed, 130 cancelled.

    With `crash` its worker is killed in the middle of a command. With `stay` it goes on serving until a
    signal asks it to end. Without `again` nothing is played, and 0 given, where an earlier demo on this data
    was: each start would add another. Raises ConfigurationError when the service cannot start.
    """
    screen = Screen()
    screen.line("The model of this demo is scripted: its words come from a file, and no key is needed.")
    screen.line("All else is real: the queue, the log, the tools, the sandbox, the files and the checks.")
    screen.line()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        record = stack.enter_context(own(settings))
        log = stack.enter_context(log_aside(settings))

        cast = ForkingCast(watchable=sys.stdout.isatty(), warm=warm, log=log)
        service = await stack.enter_async_context(open_service(settings, cast=cast))
        closed = await stack.enter_async_context(serving(service, listener))
        url = url_of(settings.host, port_of(listener))
        write_record(record, url)

        ending: Ending | None = None
        async with Client(url, service.owner_key) as owner:
            if not again and await _was_played(owner):
                screen.line(
                    "Quorra's task was played here before: the page has it, and `flynn demo` another."
                )
            else:
                workspace, key = await _prepare(owner)
                place = settings.data_dir / EXAMPLES / workspace
                instructions = PATIENT if crash else INSTRUCTIONS
                screen.line(f"Quorra delegates: {instructions}", style="1")
                screen.line(f"  over REST at {url}, in {place}")
                screen.line()
                order = {
                    "title": INSTRUCTIONS,
                    "instructions": instructions,
                    "workspace": workspace,
                    "checkout": "workspace",
                }
                async with Killing(owner, screen, wanted=crash) as killing:
                    ending = await perform(url, key, order, screen, onlooker=killing.see)
        if ending is not None:
            conclude(ending, screen, Connection(url, service.owner_key, service), settings)
            _show_differences(ending, screen, place)
        if stay and (ending is None or not ending.left):
            settle_memory()
            await _stay(screen, url, service.owner_key, closed, keyed=service.model_key.source != "none")
    return ending.exit_code if ending is not None else 0


async def _was_played(owner: Client) -> bool:
    """Whether a task in one of the example's workspaces was completed."""
    example = ExampleView.model_validate(await owner.get("/example"))
    ids = {str(workspace) for workspace in example.workspaces}
    names = {w["name"] for w in (await owner.get("/workspaces"))["items"] if w["id"] in ids}
    tasks = (await owner.get("/tasks?state=completed&limit=500"))["items"]
    return any(task["workspace"] in names for task in tasks)


async def _prepare(owner: Client) -> tuple[str, str]:
    """Have the example prepared, and let Quorra in; gives the workspace's name and Quorra's key."""
    made = await owner.post("/keys", {"name": CLIENT, "scopes": ["delegate"]})
    view = ExampleView.model_validate(await owner.post("/example", {}))
    if view.task is None:
        raise Unavailable(f"The example was not prepared: {view.detail}")
    found = await owner.get("/workspaces")
    workspace = next(w for w in found["items"] if w["name"] == view.task.workspace)
    await owner.put(f"/workspaces/{workspace['id']}/members/{CLIENT}")
    return view.task.workspace, str(made["key"])


def _show_differences(ending: Ending, screen: Screen, place: Path) -> None:
    """Print what became of the files of the example that were changed."""
    for file in ending.report.evidence.files if ending.report is not None else []:
        before, after = source() / file.path, place / file.path
        screen.line()
        names = f"a/{file.path}", f"b/{file.path}"
        for line in difflib.unified_diff(_lines(before), _lines(after), *names, lineterm=""):
            style = {"+": "32", "-": "31", "@": "36"}.get(line[:1])
            screen.line(safe(line), style=style)


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []


async def _stay(screen: Screen, url: str, key: str, closed: "asyncio.Task[None]", *, keyed: bool) -> None:
    ended = asyncio.Event()
    screen.line()
    screen.line(f"Flynn goes on serving at {url}/?key={key}")
    screen.line("  The page shows this task, plays it again, and lets you kill the worker in the middle.")
    if not keyed:
        screen.line("  For Claude's own answers give a key on the page, which has a field for it, or put")
        screen.line("  ANTHROPIC_API_KEY=… in .env and start again.")
    screen.line("  Ctrl-C ends it.")
    with answering({signal.SIGINT: ended.set, signal.SIGTERM: ended.set}):
        waiting = asyncio.create_task(ended.wait())
        await asyncio.wait({waiting, closed}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
