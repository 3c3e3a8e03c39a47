"""The commands and their options. Each body is in the file of its noun."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from flynn import __version__
from flynn.cli.memory import nothing_collected
from flynn.domain.errors import FlynnError
from flynn.settings import Settings

app = typer.Typer(
    name="flynn",
    help="Flynn-Dev as a service: a DevOps agent with a durable log, a sandbox and evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys_app = typer.Typer(help="Keys of clients.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
workspaces_app = typer.Typer(help="Workspaces and their members.", no_args_is_help=True)
app.add_typer(workspaces_app, name="workspaces")
volumes_app = typer.Typer(help="Volumes that several machines mount.", no_args_is_help=True)
app.add_typer(volumes_app, name="volumes")

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Data directory; else FLYNN_DATA_DIR or ./data.")
]


def _command(noun: str) -> Any:
    """The module behind a command. Only what is asked for is imported: a service that carried the
    simulator and the clients too would start later and stay larger.
    """
    with nothing_collected():
        return import_module(f"flynn.cli.{noun}")


def _do(work: Coroutine[Any, Any, int]) -> None:
    code = uvloop.run(work)
    if code:
        raise typer.Exit(code)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; else FLYNN_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; else FLYNN_PORT.")] = None,
    data_dir: DataDir = None,
    worker: Annotated[bool, typer.Option(help="Whether this process runs the agent too.")] = True,
) -> None:
    """Serve the API, the socket and (unless --no-worker) the agent."""
    settings = Settings.load(host=host, port=port, data_dir=data_dir)
    _do(_command("serve").serve(settings, worker=worker))


@app.command()
def worker(
    concurrency: Annotated[
        int | None, typer.Option(help="Runs that it drives at a time; else FLYNN_CONCURRENCY.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Port for /health, /ready and /metrics of this process; else none."
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Run the agent without doors, beside `flynn serve` and other workers on the same database."""
    settings = Settings.load(concurrency=concurrency, data_dir=data_dir)
    _do(_command("worker").work(settings, port=port))


@app.command()
def run(
    instructions: Annotated[str, typer.Argument(help="What is to be done in this directory.")],
    *,
    agent: Annotated[str, typer.Option(help="The agent that does it.")] = "flynn-dev",
    directory: Annotated[Path, typer.Option(help="The directory; else this one.")] = Path(),
    max_turns: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Model calls before it waits and asks.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1_000, help="Tokens of all prompts and answers, likewise.")
    ] = None,
    max_dollars: Annotated[float | None, typer.Option(min=0.01, max=1_000, help="Dollars, likewise.")] = None,
    max_minutes: Annotated[
        float | None, typer.Option(min=0.05, max=10_080, help="Minutes at work, likewise.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Run one task in a directory and stream it to the terminal."""
    settings = Settings.load(data_dir=data_dir)
    limits = {"turns": max_turns, "tokens": max_tokens, "dollars": max_dollars, "minutes": max_minutes}
    budget = {name: limit for name, limit in limits.items() if limit is not None}
    _do(
        _command("run").run(settings, instructions, agent=agent, directory=directory.resolve(), budget=budget)
    )


@app.command()
def review(
    path: Annotated[Path, typer.Argument(help="The directory; else this one.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document.")] = False,
    as_sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0.")] = False,
    fail_on: Annotated[
        str, typer.Option(help="Least severity to exit with 1: error, warning, note or never.")
    ] = "error",
) -> None:
    """Check a repository with the linters and the deployment checklist: no key, no network."""
    if as_json and as_sarif:
        raise typer.BadParameter("--json and --sarif exclude each other")
    command = _command("review")
    if fail_on not in set(command.FailOn):
        raise typer.BadParameter(f"{fail_on} is none of error, warning, note, never", param_hint="--fail-on")
    wanted = "json" if as_json else "sarif" if as_sarif else "table"
    _do(command.review(path, format=command.Format(wanted), fail_on=command.FailOn(fail_on)))


@app.command()
def demo(
    port: Annotated[int | None, typer.Option(help="Port to listen on; else FLYNN_PORT.")] = None,
    data_dir: DataDir = None,
    stay: Annotated[bool, typer.Option(help="Go on serving when the task is done.")] = True,
    crash: Annotated[
        bool, typer.Option(help="Kill the worker in the middle of a command, and see another take over.")
    ] = False,
    again: Annotated[bool, typer.Option(help="Play it also where it was played to its end before.")] = True,
) -> None:
    """Play a delegated task with a scripted model: real queue, tools, sandbox and log, no key needed."""
    settings = Settings.load(port=port, data_dir=data_dir, example="on", backups=False)
    _command("listening").need_free(settings.host, settings.port)
    command = _command("demo")
    # Its workers need what the service needs: both import it once.
    serve_orders = _command("example.warm_program").serve
    with _command("example.warm_process").WarmProcess.forked(serve_orders) as warm:
        _do(command.demo(settings, stay=stay, crash=crash, again=again, warm=warm))


@app.command()
def doctor(
    live: Annotated[bool, typer.Option("--live", help="Make one cheap call to the model's API too.")] = False,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Try to get out of every sandbox of this machine, and no more.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --sandbox: say it as JSON.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Say how this machine and these settings are, part by part."""
    if as_json and not sandbox:
        raise typer.BadParameter("it goes with --sandbox", param_hint="--json")
    settings = Settings.load(data_dir=data_dir)
    if sandbox:
        _do(_command("sandbox_table").sandbox_table(settings, as_json=as_json))
    else:
        _do(_command("doctor").doctor(settings, live=live))


@app.command()
def agents(data_dir: DataDir = None) -> None:
    """List the agents that can be served, and the files that cannot."""
    raise typer.Exit(_command("agents").list_agents(Settings.load(data_dir=data_dir)))


@app.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database's schema to this version."""
    _do(_command("serve").migrate_only(Settings.load(data_dir=data_dir)))


@app.command()
def backup(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Take a backup of the embedded database and the service's own workspaces now."""
    _do(_command("backup").take(Settings.load(data_dir=data_dir), as_json=as_json))


@app.command()
def alerts(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document.")] = False,
    data_dir: DataDir = None,
) -> None:
    """What is wrong with the running service; the exit code is 1 when something is."""
    _do(_command("alerts").show(Settings.load(data_dir=data_dir), as_json=as_json))


@app.command()
def backups(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document.")] = False,
    data_dir: DataDir = None,
) -> None:
    """List the backups, and what can be restored."""
    _do(_command("backup").show(Settings.load(data_dir=data_dir), as_json=as_json))


@app.command()
def restore(
    to: Annotated[str, typer.Option("--to", help="A time with its zone (2026-01-31T14:05:00Z), or latest.")],
    into: Annotated[
        Path | None, typer.Option(help="Another data directory, empty; else that of the service.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    keep_workspaces: Annotated[
        bool, typer.Option("--keep-workspaces", help="Restore the database alone; leave files as they are.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before anything is replaced.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Bring back the embedded database as it was at a second, and workspaces from the backup before it."""
    settings = Settings.load(data_dir=data_dir)
    where = into.absolute() if into is not None else None
    command = _command("restore")
    order = command.Order(to=to, into=where, dry_run=dry_run, keep_workspaces=keep_workspaces, yes=yes)
    _do(command.restore(settings, order))


@app.command("log-level")
def log_level(
    level: Annotated[
        str | None, typer.Argument(help="debug, info, warning or error; left out, it is shown.")
    ] = None,
    *,
    logger: Annotated[str | None, typer.Option(help="Of this logger alone, such as flynn.access.")] = None,
    minutes: Annotated[float | None, typer.Option(help="For so long; else until --reset.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Let LOG_LEVEL hold again.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show or change how much all processes of the service log, while they run."""
    if reset and (level is not None or minutes is not None):
        raise typer.BadParameter("it goes without a level and without --minutes", param_hint="--reset")
    if level is None and not reset and (logger is not None or minutes is not None):
        raise typer.BadParameter("they need a level", param_hint="--logger, --minutes")
    settings = Settings.load(data_dir=data_dir)
    command = _command("log_level")
    if reset:
        _do(command.reset(settings, logger=logger))
    elif level is not None:
        _do(command.change(settings, command.order_of(level, logger=logger, minutes=minutes)))
    else:
        _do(command.show(settings))


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Whose key it is; a new name makes a new principal.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="chat, delegate, read or admin; may be given several times.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and show, once, how to use it."""
    settings = Settings.load(data_dir=data_dir)
    _do(_command("keys").create(settings, name, scope or ["chat", "delegate"]))


@keys_app.command("list")
def keys_list(data_dir: DataDir = None) -> None:
    """List keys, without their secrets."""
    _do(_command("keys").show(Settings.load(data_dir=data_dir)))


@keys_app.command("revoke")
def keys_revoke(key_id: str, data_dir: DataDir = None) -> None:
    """Close a key for good."""
    _do(_command("keys").revoke(Settings.load(data_dir=data_dir), key_id))


@workspaces_app.command("list")
def workspaces_list(data_dir: DataDir = None) -> None:
    """List workspaces: id, name, directory, quota."""
    _do(_command("workspaces").show(Settings.load(data_dir=data_dir)))


@workspaces_app.command("create")
def workspaces_create(
    name: Annotated[str, typer.Argument(help="Its name.")],
    path: Annotated[
        Path | None, typer.Argument(help="The directory to serve; left out, an empty one is made.")
    ] = None,
    quota: Annotated[int | None, typer.Option(help="Most bytes that it may take on the disk.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Make an empty workspace, or serve a directory of this machine."""
    where = path.resolve() if path is not None else None
    _do(_command("workspaces").create(Settings.load(data_dir=data_dir), name, where, quota))


@workspaces_app.command("members")
def workspaces_members(
    name: Annotated[str, typer.Argument(help="The workspace's name or id.")],
    add: Annotated[list[str] | None, typer.Option(help="A principal to let in.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="A principal to shut out.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Show who sees a workspace, after letting in and shutting out."""
    settings = Settings.load(data_dir=data_dir)
    _do(_command("workspaces").members(settings, name, add=add or [], remove=remove or []))


@volumes_app.command("add")
def volumes_add(
    path: Annotated[Path, typer.Argument(help="The root of the mounted tree.")], data_dir: DataDir = None
) -> None:
    """Make a directory a volume, so that workspaces in it can be served by every machine that mounts it."""
    raise typer.Exit(_command("volumes").add(Settings.load(data_dir=data_dir), path))


@volumes_app.command("list")
def volumes_list(data_dir: DataDir = None) -> None:
    """List the volumes that a process with these settings has."""
    raise typer.Exit(_command("volumes").show(Settings.load(data_dir=data_dir)))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def simulator(context: typer.Context) -> None:
    """Serve scripted models over the Messages API (--help lists its options)."""
    raise typer.Exit(import_module("flynn.simulator.__main__").main(context.args))


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Run a command. What is wrong is said in one line; a stack trace is for bugs only."""
    try:
        app(standalone_mode=True)
    except FlynnError as error:
        for line in error.detail.splitlines():
            print(f"flynn: {line}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    except asyncio.CancelledError:
        raise SystemExit(1) from None
