"""`flynn restore`: what would be done, a yes, a bar, and what was there is moved aside, never deleted."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from flynn.app.backups import TREES, directory_of
from flynn.cli.backup import need_embedded, size
from flynn.cli.program import called_as
from flynn.cli.record import own
from flynn.cli.screen import counted, safe
from flynn.domain.errors import ConfigurationError, Conflict
from flynn.ops.backup.base import CLUSTER
from flynn.ops.backup.catalogue import Catalogue
from flynn.ops.backup.exchange import check, exchange, prepare, replaced
from flynn.ops.backup.plan import Plan, make_plan, target_of
from flynn.ops.backup.recovery import POSTGRES, Phase, Recovered, need_room, recover
from flynn.settings import Settings
from flynn.telemetry import logging

_WORDS: dict[Phase, str] = {
    "unpacking": "unpacking the database",
    "verification": "comparing every file with its checksum",
    "log": "laying out the log",
    "replay": "replaying the log",
    "examination": "reading every row and index",
    "files": "unpacking workspaces",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for, as the command line has it."""

    to: str
    into: Path | None = None
    dry_run: bool = False
    keep_workspaces: bool = False
    yes: bool = False


async def restore(
    settings: Settings, order: Order, *, reached: Callable[[str], None] = lambda _step: None
) -> int:
    """Restore; 0 when it is done, 1 when the answer to the question was no.

    `reached` is told of each step of the exchange. Raises FlynnError; then nothing was replaced.
    """
    need_embedded(settings)
    logging.configure("error", settings.log_format)
    target = target_of(order.to)
    data = order.into or settings.data_dir
    trees = () if order.keep_workspaces else TREES
    if order.into is not None:
        _need_empty(order.into)
    into = settings.model_copy(update={"data_dir": data})
    catalogue = Catalogue(directory_of(settings))
    if not catalogue.directory.is_dir():
        raise ConfigurationError(f"There are no backups: {catalogue.directory} is not there.")
    # Whoever only wants to know may ask beside a running service.
    with nullcontext() if order.dry_run else own(into), catalogue.reading():
        cluster = settings.data_dir / POSTGRES / CLUSTER
        plan = await asyncio.to_thread(make_plan, catalogue, target, cluster=cluster)
        check(data, trees)
        for line in _described(plan, data, trees, keep=order.keep_workspaces):
            print(line)
        need_room(plan, data if data.is_dir() else data.parent)
        if order.dry_run:
            print("Nothing was done (--dry-run).")
            return 0
        old = replaced(data, trees)
        if old and not order.yes and not _confirmed():
            print("Nothing was done.")
            return 1
        place = await asyncio.to_thread(prepare, data)
        with _bar() as progress:
            recovered = await recover(plan, place, progress, files=not order.keep_workspaces)
        aside = await asyncio.to_thread(exchange, data, trees, now=datetime.now(UTC), reached=reached)
    for line in _told(plan, recovered, aside, old, order):
        print(line)
    return 0


def _need_empty(directory: Path) -> None:
    try:
        taken = directory.exists() and any(directory.iterdir())
        if not taken:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{directory} cannot be used: {error.strerror}.") from error
    if taken:
        raise Conflict(f"{directory} is not empty: name a new directory, so that nothing is overwritten.")


def _described(plan: Plan, data: Path, trees: tuple[str, ...], *, keep: bool) -> Iterator[str]:
    base = plan.base
    wanted = f"{plan.target:%Y-%m-%d %H:%M:%S} UTC" if plan.target else "the latest that is kept"
    yield f"Restore into {data}: {wanted}"
    yield f"  from the backup {base.id} of {base.finished_at:%Y-%m-%d %H:%M:%S} UTC"
    yield (
        f"  database: {size(base.database.content_bytes)}, then up to "
        f"{counted(len(plan.segments), 'segment')} of the log ({size(plan.replay_bytes)}) to replay"
    )
    if keep:
        yield "  workspaces: stay as they are (--keep-workspaces)"
    else:
        files = f"{counted(base.workspaces.entries, 'file')} ({size(base.workspaces.content_bytes)})"
        yield (
            f"  workspaces: {files} as they were at {base.finished_at:%Y-%m-%d %H:%M:%S} UTC, "
            "which is not the second asked for"
        )
    for name in base.workspaces.skipped if not keep else ():
        yield f"    not in it: {safe(name)}"
    if base.elsewhere:
        yield f"  not in backups, so not touched: {', '.join(safe(name) for name in base.elsewhere)}"
    old = replaced(data, trees)
    yield (
        f"  moved aside, not deleted: {', '.join(old)}" if old else "  nothing is there that it would replace"
    )


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "Something would be replaced, and nobody is there to ask: repeat with --yes."
        )
    return input("Type restore to go on: ").strip() == "restore"


def _told(
    plan: Plan, recovered: Recovered, aside: Path | None, old: list[str], order: Order
) -> Iterator[str]:
    found = recovered.examination
    for table, rows in found.rows.items():
        yield f"  {rows:>10,} rows  {safe(table)}"
    how = "amcheck" if found.amcheck else "reading the tables through them"
    yield f"Every row was read; {found.indexes} indexes were checked by {how}; no conversation has a gap."
    match found.checksums:
        case True:
            yield "Every page has the checksum that it should have."
        case _:
            yield "Pages have no checksums: the database was made before there were any."
    if recovered.reached is not None:
        yield f"The last transaction in it is of {recovered.reached:%Y-%m-%d %H:%M:%S.%f} UTC."
    if not order.keep_workspaces:
        yield f"Workspaces are as they were at {plan.base.finished_at:%Y-%m-%d %H:%M:%S} UTC."
    if aside is not None:
        yield f"What was there ({', '.join(old)}) is in {aside}; remove it when you do not need it any more."
    yield (
        "Runs that were in hand then are taken over as after a crash, and callbacks since then are sent "
        f"again. A new backup is taken when `{called_as()} serve` starts."
    )


@contextmanager
def _bar() -> Iterator[Callable[[Phase, int, int], None]]:
    """Progress: a bar on a terminal, a line for each phase otherwise."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        tasks: dict[Phase, TaskID] = {}

        def show(phase: Phase, done: int, whole: int) -> None:
            if phase not in tasks:
                for task in tasks.values():
                    bar.update(task, completed=bar.tasks[task].total)
                tasks[phase] = bar.add_task(_WORDS[phase], total=max(whole, 1))
            bar.update(tasks[phase], completed=min(done, whole))

        yield show


class _Lines:
    def __init__(self) -> None:
        self._phase = ""

    def __call__(self, phase: Phase, done: int, whole: int) -> None:
        """Say that a phase has begun."""
        del done, whole
        if phase != self._phase:
            self._phase = phase
            print(f"{_WORDS[phase]} …", file=sys.stderr, flush=True)
