"""The log of a process, as the settings say: to standard error, and to a file where nobody collects that."""

from pathlib import Path

from flynn.settings import Settings
from flynn.telemetry import logging
from flynn.telemetry.logging import LogFilePolicy

NAME = Path("logs", "app.log")
"""The log file, in the data directory."""

_MARKS = ("/.dockerenv", "/run/.containerenv")
"""Files that container engines put in each container: Docker's, and Podman's and CRI-O's."""


def begin_log(settings: Settings) -> None:
    """Log from now on as the settings say."""
    logging.configure(settings.log_level, settings.log_format, file=file_of(settings))


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
