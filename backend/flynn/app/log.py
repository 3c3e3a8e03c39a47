"""The log of a process, as the settings say: to standard error, and to a file where nobody collects that."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from flynn.domain.errors import ConfigurationError
from flynn.settings import Settings
from flynn.telemetry import logging
from flynn.telemetry.logging import LogFilePolicy

NAME = Path("logs", "app.log")
"""The log file, in the data directory."""

ASIDE = "run.log"
"""File in the data directory with the log of a service that runs below a command."""

_MARKS = ("/.dockerenv", "/run/.containerenv")
"""Files that container engines put in each container: Docker's, and Podman's and CRI-O's."""


def begin_log(settings: Settings, *, aside: bool = False) -> None:
    """Log from now on as the settings say; with `aside` to the file ASIDE alone, within the same bounds."""
    file = _policy(settings, settings.data_dir / ASIDE) if aside else file_of(settings)
    logging.configure(settings.log_level, settings.log_format, file=file, alone=aside)


@contextmanager
def log_aside(settings: Settings) -> Iterator[TextIO]:
    """Log to ASIDE while the block lasts, so that the terminal stays readable, then to standard error.

    Gives the file, for what is no record: the last words of processes. Raises ConfigurationError when it
    cannot be written.
    """
    path = settings.data_dir / ASIDE
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error
    with file:
        begin_log(settings, aside=True)
        try:
            yield file
        finally:
            logging.configure(settings.log_level, settings.log_format)


def file_of(settings: Settings) -> LogFilePolicy | None:
    """The file that the log is written to as well; None without one."""
    match settings.log_file:
        case "off":
            return None
        case "auto":
            if in_container():
                return None
            path = settings.data_dir / NAME
        case Path() as path:
            pass
    return _policy(settings, path)


def _policy(settings: Settings, path: Path) -> LogFilePolicy:
    return LogFilePolicy(path, most_bytes=settings.log_file_bytes, keep=settings.log_files)


def in_container(root: Path = Path("/")) -> bool:
    """Whether this process runs in a container: by the engine's mark, or by the root being an overlay."""
    if any((root / mark.lstrip("/")).exists() for mark in _MARKS):
        return True
    try:
        mounts = (root / "proc/self/mountinfo").read_text()
    except OSError:
        return False
    # proc(5): the mount point is the fifth field, the kind of the file system the first behind the dash.
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) > 4 and fields[4] == "/":
            return after.split(" ")[0] == "overlay"
    return False
