"""`flynn backup` and `flynn backups`: through the running service, or with its data directory at rest."""

import asyncio
import sys

from flynn.app.backups import OFF, THEIRS, keeper_of, policy_of
from flynn.app.database import open_database
from flynn.cli.client import Client
from flynn.cli.record import find_running, own
from flynn.cli.screen import counted, safe
from flynn.domain.backup import BackupBegun, BackupsView, BackupView
from flynn.domain.errors import ConfigurationError, FlynnError
from flynn.ops.backup.catalogue import Catalogue
from flynn.ops.backup.keeper import open_keeper
from flynn.ops.backup.standing import at_rest
from flynn.settings import Settings
from flynn.telemetry import logging

_POLL_SECONDS = 0.5


class NotTaken(FlynnError):
    """The backup that was asked for was not taken."""

    code = "backup-failed"
    title = "The backup was not taken"


def need_embedded(settings: Settings) -> None:
    """Raise ConfigurationError when the database is the operator's."""
    if settings.database_url is not None:
        raise ConfigurationError(THEIRS)


async def take(settings: Settings, *, as_json: bool) -> int:
    """Take one and print it. Raises FlynnError when it was not taken."""
    need_embedded(settings)
    running = find_running(settings)
    if running is not None:
        async with Client(running.url, running.owner_key) as client:
            begun = BackupBegun.model_validate(await client.post("/backups", {}))
            found = await _wait(client, begun.id)
    else:
        found = await _take_here(settings)
    if as_json:
        print(found.model_dump_json(indent=1))
    else:
        print(f"The backup {found.id} was taken and verified: {_line(found)}")
        for name in found.skipped:
            print(f"  not in it: {safe(name)}")
    return 0


async def _take_here(settings: Settings) -> BackupView:
    """Start the server for as long as it takes."""
    if not settings.backups:
        raise ConfigurationError(OFF)
    logging.configure("error", settings.log_format)
    with own(settings):
        async with open_database(settings) as (database, _address, embedded):
            keeper = keeper_of(settings, database, embedded, scheduled=False)
            if keeper is None:
                raise ConfigurationError(OFF)
            async with open_keeper(keeper):
                await keeper.look()
                if keeper.under_way is None:
                    keeper.begin()
                await keeper.done()
                if keeper.last_failure is not None or not keeper.bases:
                    raise NotTaken(keeper.last_failure.detail if keeper.last_failure else "It was not taken.")
                return keeper.bases[-1].view()


async def _wait(client: Client, backup: str) -> BackupView:
    phase = ""
    while True:
        view = BackupsView.model_validate(await client.get("/backups"))
        for item in view.items:
            if item.id == backup:
                return item
        if view.last_failure is not None and view.last_failure.id == backup:
            raise NotTaken(view.last_failure.detail)
        if view.under_way is None:
            raise NotTaken("The service has forgotten it; its log says why.")
        if view.under_way.phase != phase:
            phase = view.under_way.phase
            print(f"{phase} …", file=sys.stderr, flush=True)
        await asyncio.sleep(_POLL_SECONDS)


async def show(settings: Settings, *, as_json: bool) -> int:
    """Print what there is, and what can be restored."""
    need_embedded(settings)
    running = find_running(settings)
    if running is not None:
        async with Client(running.url, running.owner_key) as client:
            view = BackupsView.model_validate(await client.get("/backups"))
    else:
        policy = policy_of(settings)
        view = await asyncio.to_thread(at_rest, Catalogue(policy.directory), policy)
    if as_json:
        print(view.model_dump_json(indent=1))
        return 0
    for item in view.items:
        print(f"{item.id}  {_line(item)}")
    if not view.items:
        print("There is no backup yet; `flynn backup` takes one.")
    for window in view.windows:
        print(f"Any second from {window.start:%Y-%m-%dT%H:%M:%SZ} to {window.end:%Y-%m-%dT%H:%M:%SZ}")
    if view.under_way is not None:
        print(f"{view.under_way.id} is being taken ({view.under_way.phase})")
    if view.last_failure is not None:
        print(
            f"The last attempt failed at {view.last_failure.at:%Y-%m-%dT%H:%M:%SZ}: "
            f"{safe(view.last_failure.detail)}"
        )
    if view.next_at is not None:
        print(f"The next is due at {view.next_at:%Y-%m-%dT%H:%M:%SZ}")
    if view.lag_seconds is not None:
        print(f"The kept log is {view.lag_seconds:.0f} s behind the database")
    print(f"All of it takes {size(view.bytes)}; days that are kept: {view.keep_days:g}")
    if view.items:
        print("Not included:")
        for name in view.not_included:
            print(f"  {safe(name)}")
    return 0


def size(count: int) -> str:
    """A size for people: `count` bytes with the unit in which it is not nought."""
    if count < 1_000:
        return f"{count} bytes"
    if count < 1_000_000:
        return f"{count / 1_000:,.1f} kB"
    return f"{count / 1_000_000:,.1f} MB"


def _line(item: BackupView) -> str:
    verified = "verified" if item.verified else "NOT VERIFIED"
    return (
        f"{item.finished_at:%Y-%m-%d %H:%M:%S} UTC  {size(item.bytes)} (database "
        f"{size(item.database_bytes)}; of workspaces {counted(item.workspace_entries, 'file')}, "
        f"{size(item.workspace_bytes)})  {verified}"
    )
