"""The commands of the container: `docker compose exec backup flynn-backup …`. docs/backup.md has them all.

serve                         the loop (what the container runs)
check                         what the health check asks
now                           a base and an archive of files, at once
list [--json]                 what there is, and what can be restored
plan --to TIME [--json]       how a time would be restored; changes nothing
recover --to TIME --into DIR  that state as a verified cluster in an empty directory
files --base ID --into DIR    the files of that base into a data directory, the old ones moved aside
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.backup.keeping import check, files, state
from deploy.backup.keeping.barman import Barman, BarmanFailed
from deploy.backup.keeping.place import SERVER, NotSet, Place
from deploy.backup.keeping.plan import Plan, described, make_plan, megabytes, need_room, spoken
from deploy.backup.keeping.recovery import recover
from deploy.backup.keeping.service import Service
from flynn.domain.errors import FlynnError
from flynn.telemetry import logging

PHASES = {
    "verification": "comparing the base with its checksums",
    "copy": "laying out the base and the log",
    "replay": "replaying the log",
    "examination": "reading every row and index",
    "checksums": "comparing every page with its checksum",
    "files": "unpacking workspaces",
}


def main() -> int:
    """Run the command that was asked for."""
    parser = argparse.ArgumentParser(prog="flynn-backup", description="Backups of the service's database.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("serve", "check", "now"):
        commands.add_parser(name)
    commands.add_parser("list").add_argument("--json", action="store_true")
    for name in ("plan", "recover"):
        command = commands.add_parser(name)
        command.add_argument("--to", required=True, metavar="TIME")
        command.add_argument("--json", action="store_true")
        if name == "recover":
            command.add_argument("--into", required=True, type=Path)
    command = commands.add_parser("files")
    command.add_argument("--base", required=True)
    command.add_argument("--into", required=True, type=Path)
    asked = parser.parse_args()
    try:
        place = Place.of(os.environ)
        return _run(asked, place)
    except (NotSet, BarmanFailed) as error:
        print(f"flynn-backup: {error}", file=sys.stderr)
    except FlynnError as error:
        print(f"flynn-backup: {error.detail}", file=sys.stderr)
    except OSError as error:
        print(f"flynn-backup: {error.filename or 'the disk'}: {error.strerror or error}", file=sys.stderr)
    return 1


def _run(asked: argparse.Namespace, place: Place) -> int:
    match asked.command:
        case "check":
            return check.main()
        case "serve":
            return _serve(place)
        case "now":
            return _now(place)
        case "list":
            return _list(place, as_json=asked.json)
        case "plan":
            _show(make_plan(place, Barman(place), asked.to), as_json=asked.json)
            return 0
        case "recover":
            return asyncio.run(_recover(place, asked.to, asked.into, as_json=asked.json))
        case _:
            told = _progress()
            aside = files.bring_back(
                place, asked.base, asked.into, lambda done, whole: told("files", done / max(1, whole))
            )
            told("files", 1)
            print("Workspaces were put back." + (f" What was there: {aside.name}" if aside else ""))
            return 0


def _serve(place: Place) -> int:
    os.umask(0o077)
    logging.configure("info", "json")
    place.lay_out()
    # From here on no child of ours knows the superuser's password.
    os.environ.pop("POSTGRES_PASSWORD", None)

    async def serve() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        await Service(place).run(stopped)

    asyncio.run(serve())
    return 0


def _now(place: Place) -> int:
    barman = Barman(place)
    print("taking a base …", flush=True)
    barman.run("backup", "--wait", "--wait-timeout", "120", SERVER, seconds=None)
    base = barman.bases()[-1]
    print("comparing it with its checksums …", flush=True)
    barman.run("verify-backup", SERVER, base.id, seconds=None)
    print("archiving workspaces …", flush=True)
    bundled = files.archive(place, base.id)
    print(
        f"The base {base.id} was taken and verified: database {megabytes(base.bytes)}, {bundled.entries} "
        f"files of workspaces {megabytes(bundled.content_bytes)}"
    )
    for name in bundled.skipped:
        print(f"  not in it: {name!r}")
    return 0


def _list(place: Place, *, as_json: bool) -> int:
    bases = Barman(place).bases()
    windows = state.read(place).windows(bases)
    if as_json:
        document = {
            "bases": [
                {
                    "id": base.id,
                    "ended_at": base.ended_at.isoformat(),
                    "timeline": base.timeline,
                    "bytes": base.bytes,
                    "files": files.has_archive(place, base.id),
                }
                for base in bases
            ],
            "windows": [{"start": one.start.isoformat(), "end": one.end.isoformat()} for one in windows],
        }
        print(json.dumps(document, indent=1))
        return 0
    for base in reversed(bases):
        beside = "with workspaces" if files.has_archive(place, base.id) else "WITHOUT workspaces"
        print(f"{base.id}  {base.ended_at:%Y-%m-%d %H:%M:%S} UTC  {megabytes(base.bytes)}  {beside}")
    for window in windows:
        print(f"Any second from {spoken([window])}")
    if not bases:
        print("There is no backup yet.")
    return 0


def _show(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        document = {
            "base": plan.base.id,
            "target": plan.target.isoformat() if plan.target else None,
            "bytes": plan.bytes,
            "files": plan.files is not None,
            "window": {"start": plan.window.start.isoformat(), "end": plan.window.end.isoformat()},
        }
        print(json.dumps(document, indent=1))
    else:
        print("\n".join(described(plan)))


async def _recover(place: Place, to: str, into: Path, *, as_json: bool) -> int:
    barman = Barman(place)
    plan = make_plan(place, barman, to)
    need_room(plan, into)
    recovered = await recover(place, barman, plan, into, _progress())
    found = recovered.examination
    if as_json:
        document = {
            "base": plan.base.id,
            "reached": recovered.reached.isoformat() if recovered.reached else None,
            "rows": found.rows,
            "indexes": found.indexes,
            "amcheck": found.amcheck,
            "checksums": found.checksums,
        }
        print(json.dumps(document, indent=1))
        return 0
    if recovered.reached:
        print(f"The last transaction in it ended at {recovered.reached:%Y-%m-%d %H:%M:%S.%f} UTC.")
    print("Every row was read:")
    for table, rows in found.rows.items():
        print(f"  {rows:>12,}  {table}")
    by = "by amcheck" if found.amcheck else "by reading through them"
    pages = {True: "every page has its checksum", False: "", None: "its pages have no checksums"}
    print(f"{found.indexes} indexes were compared with their tables, {by}; {pages[found.checksums]}.")
    return 0


def _progress() -> Callable[[str, float], None]:
    """Says each phase, and its parts in tenths: a line each, which any log and terminal shows."""
    last = ["", -1]

    def told(phase: str, part: float) -> None:
        tenth = int(part * 10)
        if [phase, tenth] != last:
            last[:] = [phase, tenth]
            print(f"{PHASES[phase]}: {tenth * 10:3d} %", file=sys.stderr, flush=True)

    return told


if __name__ == "__main__":
    sys.exit(main())
