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
        if abs(process.create_time() - float(entry["started_at"])) > 1.0:
            return None
        key = (settings.data_dir / OWNER_KEY).read_text().strip()
        return Running(str(entry["url"]), process.pid, key)
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


@contextmanager
def own(settings: Settings) -> Iterator[Path]:
    """Own the data directory as its one service; gives the path of the record, removed at the end.

    Raises ConfigurationError when another process owns it.
    """
    directory = settings.data_dir
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"FLYNN_DATA_DIR {directory} cannot be used: {error.strerror}. Name one that can be written."
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
            record.unlink(missing_ok=True)
    finally:
        os.close(lock)


def _note(lock: int, directory: Path) -> None:
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        raise ConfigurationError(f"{directory} cannot be written: {error.strerror}.") from error


def write_record(record: Path, url: str) -> None:
    """Say where this process listens."""
    entry = {"pid": os.getpid(), "started_at": psutil.Process().create_time(), "url": url}
    draft = record.with_suffix(".draft")
    draft.write_text(json.dumps(entry))
    draft.replace(record)
