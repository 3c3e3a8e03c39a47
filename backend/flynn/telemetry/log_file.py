"""The log in a file, for services whose output nobody collects: bounded, and shared by several processes.

Every line is one write at the file's end, so lines of several processes do not tear each other. Whoever
finds the file full moves it aside (`app.log.1`, the older ones one further, the oldest goes), under a lock
that nobody waits for; the others notice by the file's identity, as the standard library's
WatchedFileHandler does. Nothing that goes wrong here is anybody else's matter: a line that cannot be
written is counted and lost.
"""

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LogFilePolicy:
    """Where the log is written, and what it may take: `most_bytes` for each of `keep` + 1 files."""

    path: Path
    most_bytes: int = 10_485_760
    keep: int = 5


class LogFile(logging.Handler):
    """Appends records to a file. `lost` is called for each one that could not be written."""

    def __init__(self, policy: LogFilePolicy, lost: Callable[[], None]) -> None:
        super().__init__()
        self._policy = policy
        self._lost = lost
        self._file: int | None = None
        self._identity = (0, 0)
        self._torn = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. Raises nothing."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
        except Exception:  # a defect in what was logged is told where defects of logging are told
            self.handleError(record)
            return
        try:
            file = self._ready(len(line))
            # Behind a line that the full disk cut off there has to be an end first.
            data = b"\n" + line if self._torn else line
            self._torn = os.write(file, data) < len(data)
        except OSError:
            self._lost()
            return
        if self._torn:
            self._lost()

    def close(self) -> None:
        """Let go of the file."""
        self.acquire()
        try:
            self._let_go()
        finally:
            self.release()
        super().close()

    def _ready(self, size: int) -> int:
        """The file that a line of `size` bytes goes to. Raises OSError."""
        file = self._current()
        if os.fstat(file).st_size + size > self._policy.most_bytes:
            # Where that cannot be done (another has just moved the file, the directory is read-only), the
            # line goes to the file that there is.
            with contextlib.suppress(OSError):
                self._rotate()
            file = self._current()
        return file

    def _current(self) -> int:
        """The file that has the name now, opened anew when it is another than before. Raises OSError."""
        path = self._policy.path
        if self._file is not None:
            try:
                found = path.stat()
            except FileNotFoundError:
                found = None
            if found is not None and (found.st_dev, found.st_ino) == self._identity:
                return self._file
            self._let_go()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        opened = os.fstat(file)
        self._file, self._identity, self._torn = file, (opened.st_dev, opened.st_ino), False
        return file

    def _rotate(self) -> None:
        """Move the full file aside, unless another process does. Raises OSError."""
        path = self._policy.path
        lock = os.open(f"{path}.lock", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # the line goes to the file that there is: better too long a file than a wait
            found = path.stat()
            if (found.st_dev, found.st_ino) != self._identity:
                return  # somebody has done it meanwhile
            names = [path, *(Path(f"{path}.{number}") for number in range(1, self._policy.keep + 1))]
            free = next((n for n, name in enumerate(names) if not name.exists()), self._policy.keep)
            for number in range(free, 0, -1):
                names[number - 1].replace(names[number])
        finally:
            os.close(lock)

    def _let_go(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
