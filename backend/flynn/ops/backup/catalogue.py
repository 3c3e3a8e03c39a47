"""What backups there are: one JSON document for each, beside what it describes.

DIRECTORY/lock                   held by whoever takes backups
DIRECTORY/reading                held, shared, by whoever restores; alone, by whoever deletes
DIRECTORY/base/ID/               one base: backup.json, database.tar.gz, workspaces.tar.gz, password
DIRECTORY/line/ID/               one line: line.json, covered.json, wal/
DIRECTORY/draft-ID/              a base that is being taken; worth nothing
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from flynn.domain.backup import BackupView, Window
from flynn.domain.errors import ConfigurationError, Conflict
from flynn.ops.backup.segments import sync
from flynn.telemetry.logging import get_logger

DRAFT = "draft-"

_log = get_logger("flynn.backup")


class Bundled(BaseModel):
    """A packed tree: the file it is in, and what comes out of it."""

    model_config = ConfigDict(frozen=True)

    file: str
    bytes: int
    sha256: str
    entries: int
    content_bytes: int
    skipped: tuple[str, ...] = ()


class Base(BaseModel):
    """One base backup, as backup.json has it."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    id: str
    line: str
    started_at: datetime
    finished_at: datetime
    """From then on, the line gives back any second."""
    system_identifier: str
    timeline: int
    start_lsn: str
    end_lsn: str
    postgres: str
    version: str
    verified: bool
    database: Bundled
    workspaces: Bundled
    elsewhere: tuple[str, ...] = ()
    """Names of workspaces that are not the service's own, and so not in it."""

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        return self.database.bytes + self.workspaces.bytes

    def view(self) -> BackupView:
        """As it is shown."""
        return BackupView(
            id=self.id,
            started_at=self.started_at,
            finished_at=self.finished_at,
            bytes=self.bytes,
            database_bytes=self.database.content_bytes,
            workspace_bytes=self.workspaces.content_bytes,
            workspace_entries=self.workspaces.entries,
            skipped=list(self.workspaces.skipped),
            postgres=self.postgres,
            version=self.version,
            verified=self.verified,
        )


class Line(BaseModel):
    """A stretch of the log without a break, of one server on one timeline."""

    model_config = ConfigDict(frozen=True)

    id: str
    began_at: datetime
    system_identifier: str
    timeline: int


class Covered(BaseModel):
    """Up to when a line holds everything that was committed."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    lsn: str


class Catalogue:
    """The directory of backups. Its methods block."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def bases(self) -> list[Base]:
        """The bases, the oldest first. One whose description cannot be read is logged and left out."""
        found = []
        for path in _children(self.directory / "base"):
            try:
                found.append(Base.model_validate_json((path / "backup.json").read_bytes()))
            except (OSError, ValidationError) as error:
                _log.error("a backup cannot be read", backup=path.name, error=type(error).__name__)
        return sorted(found, key=lambda base: (base.finished_at, base.id))

    def lines(self) -> dict[str, Line]:
        """The lines by their ids."""
        found = {}
        for path in _children(self.directory / "line"):
            try:
                line = Line.model_validate_json((path / "line.json").read_bytes())
            except (OSError, ValidationError):
                continue  # a kill came before it was described: nothing depends on it
            found[line.id] = line
        return found

    def covered(self, line: str) -> Covered | None:
        """Up to when the line goes; None when nobody has said so yet."""
        try:
            return Covered.model_validate_json((self.directory / "line" / line / "covered.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def wal(self, line: str) -> Path:
        """The directory of a line's segments."""
        return self.directory / "line" / line / "wal"

    def base(self, backup: str) -> Path:
        """The directory of a base."""
        return self.directory / "base" / backup

    def windows(self, bases: Sequence[Base]) -> list[Window]:
        """What can be restored, the newest first: for each line, from its first base to its end."""
        found = []
        for line in dict.fromkeys(base.line for base in bases):
            first = min(base.finished_at for base in bases if base.line == line)
            last = max(base.finished_at for base in bases if base.line == line)
            covered = self.covered(line)
            found.append(Window(start=first, end=max(last, covered.at) if covered else last))
        return sorted(found, key=lambda window: window.end, reverse=True)

    def bytes(self) -> int:
        """What everything takes on the disk."""
        total = 0
        for folder, _, names in os.walk(self.directory):
            for name in names:
                try:
                    total += Path(folder, name).lstat().st_blocks * 512
                except FileNotFoundError:
                    continue  # removed or packed meanwhile
        return total

    def add_line(self, line: Line) -> None:
        """Describe a new line."""
        self.wal(line.id).mkdir(mode=0o700, parents=True, exist_ok=True)
        write(self.directory / "line" / line.id / "line.json", line)
        sync(self.directory / "line")

    def cover(self, line: str, covered: Covered) -> None:
        """Say up to when the line goes."""
        write(self.directory / "line" / line / "covered.json", covered)

    def add_base(self, draft: Path, base: Base) -> None:
        """Give a finished draft its name: from then on it is a backup."""
        for path in draft.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        write(draft / "backup.json", base)
        home = self.directory / "base"
        home.mkdir(mode=0o700, exist_ok=True)
        draft.rename(home / base.id)
        sync(home)
        sync(self.directory)

    def remove_base(self, backup: str) -> None:
        """Remove a base. It stops being one before anything of it is gone."""
        doomed = self.directory / f"{DRAFT}{backup}"
        shutil.rmtree(doomed, ignore_errors=True)
        self.base(backup).rename(doomed)
        sync(self.directory / "base")
        shutil.rmtree(doomed, ignore_errors=True)

    def remove_line(self, line: str) -> None:
        """Remove a line on which no base stands."""
        shutil.rmtree(self.directory / "line" / line, ignore_errors=True)

    def clear(self) -> None:
        """Remove drafts that a kill left; for whoever holds the lock."""
        for draft in self.directory.glob(f"{DRAFT}*"):
            shutil.rmtree(draft, ignore_errors=True)
        for password in self.directory.glob(".pass-*"):
            password.unlink(missing_ok=True)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Be the one who takes backups here. Raises ConfigurationError when it cannot be."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"Backups cannot be kept in {self.directory} ({error.strerror}): make it writable, or name "
                "another directory in FLYNN_BACKUP_DIR."
            ) from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigurationError(
                    f"Another service keeps its backups in {self.directory}: name another directory in "
                    "FLYNN_BACKUP_DIR."
                ) from None
            yield
        finally:
            os.close(lock)

    @contextmanager
    def reading(self, *, alone: bool = False) -> Iterator[None]:
        """See that nothing is deleted while the block lasts, or (`alone`) that nobody reads.

        Raises Conflict when that cannot be had now.
        """
        try:
            lock = os.open(self.directory / "reading", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"The backups in {self.directory} cannot be used: {error.strerror}."
            ) from error
        try:
            try:
                fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(
                    f"The backups in {self.directory} are in use: try again in a moment."
                ) from None
            yield
        finally:
            os.close(lock)


def write(path: Path, document: BaseModel | str) -> None:
    """Write a JSON document: whole or not at all, and on the disk."""
    text = document.model_dump_json(indent=1) if isinstance(document, BaseModel) else document
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync(path.parent)


def _children(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []
