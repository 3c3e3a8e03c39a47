"""What this process has logged: records by level, and lines that could not be written."""

import logging
import threading

LEVELS = ("debug", "info", "warning", "error")


class LogCounts(logging.Handler):
    """Counts every record that reaches the root logger, and is told of lines that were lost."""

    def __init__(self) -> None:
        super().__init__()
        self.records = dict.fromkeys(LEVELS, 0)
        self.lost = 0
        self._losing = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Count one record."""
        number = min(max(record.levelno // 10 - 1, 0), len(LEVELS) - 1)
        self.records[LEVELS[number]] += 1

    def lose(self) -> None:
        """A line was lost."""
        with self._losing:
            self.lost += 1


COUNTS = LogCounts()
"""Those of this process: there is one log in it, however many services."""
