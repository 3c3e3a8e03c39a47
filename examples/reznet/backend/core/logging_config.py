"""Logs as JSON, one object a line."""

import json
import logging
from datetime import UTC, datetime

SERVICE = "reznet-backend"
QUIET = ("httpx2", "httpcore2")


class JsonLines(logging.Formatter):
    """Writes timestamp, level, service, logger and message, with context and exception if any."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "service": SERVICE,
            "logger": record.name,
            "message": record.getMessage(),
        }
        context = getattr(record, "context", None)
        if context is not None:
            line["context"] = context
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logging(level: str) -> None:
    """Send everything from `level` up to the console; HTTP clients speak from WARNING up."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
