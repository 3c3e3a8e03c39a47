"""Backups: for each database something makes them, and something starts that."""

import re
from collections.abc import Iterator
from itertools import islice

from flynn.domain.checklist import ChecklistItem, Proof, passed, undecided
from flynn.workspace.checklist.compose import words
from flynn.workspace.checklist.language import is_test
from flynn.workspace.checklist.literals import Literals
from flynn.workspace.checklist.look import Look
from flynn.workspace.checklist.traces import Place, Trace, traces
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
_LOOKS = re.compile(
    r"(?:\bcommand\s+-v|\bwhich|\btype|\bhash|\bp?grep\b[^|;&]*|\becho\b[^|;&]*|\bprintf\b[^|;&]*|"
    r"\b(?:install|add)\b[^|;&]*)[\s(\"']+$"
)
"""What stands before a program that is asked for, installed or spoken of, and not run."""
_ASKS = re.compile(r"[\"']?\)?,?\s*[\"']?(?:--version|--help|in\b|not\s+in\b)")
_ARGUMENTS = re.compile(r"(?:[\"'],?)?\s*[\"'`]?(?:-|\$|\{)")
_STARTS = re.compile(
    r"\bsubprocess\b|\bPopen\b|\bcreate_subprocess|\bos\.(?:system|exec|spawn|posix_spawn)|\bpexpect\b|"
    r"\bchild_process\b|\bexeca?\b|\bspawn(?:Sync)?\s*\(|\bzx\b|exec\.Command|Command::new|ProcessBuilder|"
    r"Process\.Start|\bsystem\s*\(|\bshell_exec\b|\bproc_open\b|\bpassthru\b|System\.cmd|\bOpen3\b|"
    r"\b(?:c|ctx|conn|session)\.run\s*\("
)
"""How programs start others."""
_MOST_STARTS = 200
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
            why = f"Nothing backs up {service.name}."
            yield look.lacking(why, service.path, service.line, "compose", "workflow", "code", "script")
        return
    yield undecided("No database is declared here; one that is run elsewhere is backed up there.")


def _scripts(look: Look) -> Iterator[Trace]:
    """Where scripts and programs make a backup, the first place of each."""
    code = frozenset(look.code)
    paths = [
        path
        for path in look.sources.deployed
        if path in code
        or name_of(path).lower() in ("makefile", "justfile")
        or (is_script(path, look.sources) and not is_test(path))
    ]
    last = ""
    for trace in traces(look.sources, paths, _MAKES, _TOOLS, counts=_makes):
        if trace.path != last:
            last = trace.path
            yield trace


def _makes(place: Place) -> bool:
    """Whether the tool that is named is run: with arguments, or by a program that starts others. Not where it
    is asked for, installed or written about.
    """
    if _LOOKS.search(place.line[: place.start]) or _ASKS.match(place.line, place.stop):
        return False
    if place.piece.kind == "text":
        return bool(_ARGUMENTS.match(place.line, place.stop)) or _starts(place)
    return True


def _starts(place: Place) -> bool:
    """Whether the code around starts programs."""
    found = _STARTS.finditer(place.whole)
    return any(place.literals.at(start.start()).kind == "code" for start in islice(found, _MOST_STARTS))


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
        if text is None or is_test(path) or not (path in own or any(name in text for name in names)):
            continue
        literals: Literals | None = None
        offset = 0
        for number, line in enumerate(text.split("\n"), 1):
            plain = len(line) < 1_000 and not line.lstrip().startswith(("#", "//"))
            if plain and (clock := _CLOCKS.search(line)):
                literals = literals or Literals(text, path)
                if literals.at(offset + clock.start()).kind not in ("pattern", "comment"):
                    return Trace(path, number, line.strip())
            offset += len(line) + 1
    return None
