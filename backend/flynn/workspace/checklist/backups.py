"""Backups: for each database something makes them, and something starts that."""

import re
from collections.abc import Iterator
from itertools import islice

from flynn.domain.checklist import ChecklistItem, Proof, failed, passed, undecided
from flynn.workspace.checklist.compose import words
from flynn.workspace.checklist.look import Look
from flynn.workspace.checklist.traces import Trace, traces
from flynn.workspace.checks.shellcheck import is_script
from flynn.workspace.checks.source import name_of

_TOOLS = (
    *(
        "pg_dump",
        "pg_basebackup",
        "wal-g",
        "wal-e",
        "pgbackrest",
        "pgBackRest",
        "barman",
        "mysqldump",
        "mariadb-dump",
    ),
    *("xtrabackup", "mariabackup", "mongodump", "restic", "borg", "litestream", "velero", "redis-cli --rdb"),
    *("clickhouse-backup", "pgbackups", "postgres-backup", "mysql-backup", "offen/docker-volume-backup"),
)
_MAKES = re.compile("|".join(f"(?<![\\w-]){re.escape(tool)}" for tool in _TOOLS))
_CLOCKS = re.compile(
    r"\b(?:OnCalendar|OnUnitActiveSec)=|^\s*(?:[\d*/,-]+\s+){4}[\d*/,A-Za-z-]+\s+\S|@(?:daily|hourly|weekly)\b|"
    r"\bcrond?\b|\bcrontab\b|kind:\s*CronJob|\bschedule\b|\bsleep\s+(?:\d{4,}|\$|\d+[hd])|archive_command|"
    r"\bSCHEDULE\b|\bBACKUP_(?:CRON|INTERVAL)"
)
_MOST_SCRIPTS = 20
_IMAGES = re.compile(r"backup|pgbackrest|wal-g|litestream|barman", re.IGNORECASE)


def backups(look: Look) -> ChecklistItem:
    """A service, a timer or a scheduled workflow that runs a program for backups."""
    return ChecklistItem.of("backups", "Database backups are configured", list(_proofs(look)))


def _proofs(look: Look) -> Iterator[Proof]:
    databases = [service for service in look.services if service.is_database]
    found = list(islice(_scripts(look), _MOST_SCRIPTS))
    for service in look.services:
        command = service.find("command") or service.find("entrypoint")
        told = words(command[1]) if command else ""
        if _IMAGES.search(service.image) or _MAKES.search(told) or _runs(told, found):
            yield passed(f"{service.name} makes backups.", service.path, service.line)
            return
    for step in look.pipelines.steps:
        scheduled = step.path in look.pipelines.scheduled
        if scheduled and (_MAKES.search(step.command) or _runs(step.command, found)):
            yield passed("A scheduled workflow makes backups.", step.path, step.line)
            return
    if found:
        clock = _clock(look, found)
        if clock is not None:
            yield passed("Something starts the backup.", clock.path, clock.line)
            yield passed("A script makes a backup.", found[0].path, found[0].line)
        else:
            why = "A script makes a backup; what starts it is not to be seen here."
            yield undecided(why, found[0].path, found[0].line)
        return
    if databases:
        for service in databases:
            yield failed(f"Nothing backs up {service.name}.", service.path, service.line)
        return
    yield undecided("No database is declared here; one that is run elsewhere is backed up there.")


def _scripts(look: Look) -> Iterator[Trace]:
    """Where scripts and programs make a backup, the first place of each."""
    code = frozenset(look.code)
    paths = [
        path
        for path in look.sources.deployed
        if path in code or name_of(path).lower() in ("makefile", "justfile") or is_script(path, look.sources)
    ]
    last = ""
    for trace in traces(look.sources, paths, _MAKES, _TOOLS):
        if trace.path != last:
            last = trace.path
            yield trace


def _runs(command: str, found: list[Trace]) -> bool:
    return any(name_of(trace.path) in command for trace in found)


def _clock(look: Look, found: list[Trace]) -> Trace | None:
    """A line that starts one of the scripts in `found` again and again."""
    names = {name_of(trace.path) for trace in found}
    own = {trace.path for trace in found}
    for path in look.sources.deployed:
        if path.endswith((".md", ".rst", ".txt")) and "cron" not in path.lower():
            continue
        text = look.sources.text(path)
        if text is None or not (path in own or any(name in text for name in names)):
            continue
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) < 1_000 and not line.lstrip().startswith(("#", "//")) and _CLOCKS.search(line):
                return Trace(path, number, line.strip())
    return None
