"""Barman's commands, run as processes, and what they say as documents."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.backup.keeping.place import SERVER, Place
from deploy.backup.keeping.program import run

WHOLE = ("DONE", "WAITING_FOR_WALS")
"""The states of bases that are complete; those of the second kind need log that is still to be archived."""

QUICK_SECONDS = 120.0
"""How long a command that only looks or tells may take."""


class BarmanFailed(Exception):
    """A command of Barman ended with an error; the message has its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A base backup that is whole."""

    id: str
    began_at: datetime
    ended_at: datetime
    """From then on the log gives back any second."""
    timeline: int
    system_identifier: str
    bytes: int


class Barman:
    """Barman over the directories of one place."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._known: dict[str, Base] = {}
        self.unfinished = False
        """Whether there were bases that are not whole when `bases` looked: under way, or cut off."""
        beside = Path(sys.executable).with_name("barman")
        self._program = str(beside) if beside.exists() else shutil.which("barman") or "barman"

    def run(self, *words: str, seconds: float | None = QUICK_SECONDS, codes: tuple[int, ...] = (0,)) -> str:
        """Run `barman WORDS…` and give what it said. Raises BarmanFailed unless it exits by `codes`."""
        try:
            status, output = run(
                self._program, "--config", str(self._place.configuration), *words, seconds=seconds
            )
        except subprocess.TimeoutExpired:
            raise BarmanFailed(f"barman {words[0]} did not end within {seconds:.0f} s") from None
        except OSError as error:
            raise BarmanFailed(f"barman cannot be started: {error.strerror}") from error
        if status not in codes:
            said = [line.strip() for line in output.splitlines() if line.strip()]
            raise BarmanFailed(f"barman {words[0]} failed: {' | '.join(said[-4:]) or status}")
        return output

    def document(self, *words: str) -> Any:
        """The JSON document that a command prints. Raises BarmanFailed."""
        said = self.run("--format", "json", *words)
        try:
            return json.loads(said)
        except ValueError:
            raise BarmanFailed(f"barman {words[0]} printed no document: {said[:200]}") from None

    def bases(self) -> list[Base]:
        """Those that are whole, the oldest first. Raises BarmanFailed."""
        found = self._listed()
        listed = [identity for identity, status in found if status in WHOLE]
        self.unfinished = len(listed) < len(found)
        # A base does not change any more, and each look at one is a process.
        self._known = {identity: self._known.get(identity) or self._show(identity) for identity in listed}
        return sorted(self._known.values(), key=lambda base: base.ended_at)

    def clear(self) -> list[str]:
        """Remove bases that were cut off, as by a kill or a full disk; their ids. Raises BarmanFailed.

        Barman keeps each for ever, up to a whole database of it, and its check stays bad. While its lock on
        taking bases is ours, none of those that are not whole can be under way.
        """
        with self._alone() as alone:
            found = self._listed() if alone else []
        gone = [identity for identity, status in found if status not in WHOLE]
        for identity in gone:
            self.run("delete", SERVER, identity)
        return gone

    def _listed(self) -> list[tuple[str, str]]:
        """The id and status of every base."""
        entries = self.document("list-backups", SERVER).get(SERVER, [])
        return [(entry["backup_id"], entry["status"]) for entry in entries]

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Hold Barman's lock on taking bases; gives whether it could be had."""
        path = self._place.home / "locks" / f".{SERVER}-backup.lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(lock)

    def _show(self, identity: str) -> Base:
        about = self.document("show-backup", SERVER, identity)[SERVER]
        base = about["base_backup_information"]
        return Base(
            id=about["backup_id"],
            began_at=datetime.fromisoformat(base["begin_time"]).astimezone(UTC),
            ended_at=datetime.fromisoformat(base["end_time"]).astimezone(UTC),
            timeline=int(base["timeline"]),
            system_identifier=str(about.get("system_id", "")),
            bytes=int(base["backup_size_bytes"]),
        )
