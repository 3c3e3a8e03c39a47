"""The record of a service that runs on a data directory: who it is and where it listens."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from flynn.app.seeding import OWNER_KEY
from flynn.domain.errors import ConfigurationError
from flynn.settings import Settings

RECORD = "serve.json"
LOCK = "serve.lock"

_SAME_TIME = 1.0
"""Seconds by which two readings of a process's creation may differ: the system's clock is adjusted."""


@dataclass(frozen=True, slots=True)
class Running:
    """A service that owns the data directory now."""

    url: str
    pid: int
    owner_key: str


def find_running(settings: Settings) -> Running | None:
    """The service that owns the data directory, if one does: known by pid and the time of its creation."""
    try:
        entry = json.loads((settings.data_dir / RECORD).read_text())
        process = psutil.Process(int(entry["pid"]))
        if abs(process.create_time() - float(entry["started_at"])) > _SAME_TIME:
            return None
        key = (settings.data_dir / OWNER_KEY).read_text().strip()
        return Running(str(entry["url"]), process.pid, key)
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


@contextmanager
def own(settings: Settings) -> Iterator[Path]:
    """Own the data directory; gives the path of the record, removed at the end if it is this process's.

    Whoever runs the database in it owns it alone. Services on a database of somebody else may share one,
    as several containers share a mount; the record is then that of the latest.
    Raises ConfigurationError when another process is in the way.
    """
    directory = settings.data_dir
    alone = settings.database_url is None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"FLYNN_DATA_DIR {directory} cannot be used: {error.strerror}. Name one that can be written."
        ) from error
    try:
        try:
            fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise ConfigurationError(
                f"The data directory {directory} belongs to a running service (pid {holder}): use that one, "
                "stop it, or set FLYNN_DATA_DIR to another directory."
            ) from None
        _note(lock, directory)
        record = directory / RECORD
        try:
            yield record
        finally:
            _remove(record)
    finally:
        os.close(lock)


def _note(lock: int, directory: Path) -> None:
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        raise ConfigurationError(f"{directory} cannot be written: {error.strerror}.") from error


def _remove(record: Path) -> None:
    try:
        entry = json.loads(record.read_text())
        ours = entry["pid"] == os.getpid() and abs(entry["started_at"] - _created()) <= _SAME_TIME
    except (OSError, ValueError, KeyError, TypeError):
        return
    if ours:
        record.unlink(missing_ok=True)


def _created() -> float:
    return psutil.Process().create_time()


def write_record(record: Path, url: str) -> None:
    """Say where this process listens."""
    entry = {"pid": os.getpid(), "started_at": _created(), "url": url}
    draft = record.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(entry))
    draft.replace(record)
