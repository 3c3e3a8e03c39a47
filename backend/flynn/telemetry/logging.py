"""Logging: one JSON object a line, or lines for people, for our records and those of the libraries.

Every line has `timestamp` (UTC), `level`, `service`, `logger`, `message`, then, where there are any,
`context` (what `bind` bound and what the call named) and `exception` (the traceback). Both formats pass
through redaction; a file beside the stream is JSON always. Messages are constant sentences; what varies
goes into the context:

    log = get_logger(__name__)
    with bind(run_id=run.id):
        log.info("the run was claimed", worker=name)

A call whose level is off costs one look-up. `configure` is for the composition root alone; until it ran,
records go where the standard library sends them.
"""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TextIO

import structlog

from flynn.telemetry.log_counts import COUNTS
from flynn.telemetry.log_file import LogFile, LogFilePolicy
from flynn.telemetry.log_lines import ConsoleLines, JsonLines
from flynn.telemetry.redaction import register_secret

__all__ = [
    "LogFilePolicy",
    "Logger",
    "bind",
    "configure",
    "current_level",
    "get_logger",
    "override_levels",
    "register_secret",
]

NOISY = (
    "alembic",
    "anthropic",
    "asyncio",
    "engineio",
    "httpcore2",
    "httpx2",
    "mcp",
    "procrastinate",
    "psycopg",
    "redis",
    "socketio",
    "sqlalchemy",
    "uvicorn.access",
    "watchfiles",
    "websockets",
)
"""Libraries whose daily life is not ours: logged from WARNING, whatever the level."""

_LEAST = dict.fromkeys(NOISY, logging.WARNING) | {"uvicorn.error": logging.INFO}
"""From where on libraries are logged that are not named. At debug, uvicorn's WebSockets would have the
beginning of every frame in the log, and so what people write."""


class Logger:
    """Logs to the standard library's logger of the same name. Made by `get_logger`.

    Each keyword is a piece of context, but for `exc_info` (True or an exception): it adds a traceback.
    """

    __slots__ = ("_context", "_logger")

    def __init__(self, logger: logging.Logger, context: dict[str, object]) -> None:
        self._logger = logger
        self._context = context

    def bind(self, **context: object) -> "Logger":
        """A logger that adds `context` to each of its records."""
        return Logger(self._logger, self._context | context)

    @property
    def on_debug(self) -> bool:
        """Whether `debug` logs anything: for callers to whom making the context costs something."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def debug(self, message: str, /, **context: object) -> None:
        """What a developer looks for."""
        self._emit(logging.DEBUG, message, context)

    def info(self, message: str, /, **context: object) -> None:
        """What happened, as meant."""
        self._emit(logging.INFO, message, context)

    def warning(self, message: str, /, **context: object) -> None:
        """What went wrong and was dealt with."""
        self._emit(logging.WARNING, message, context)

    def error(self, message: str, /, **context: object) -> None:
        """What went wrong and needs somebody."""
        self._emit(logging.ERROR, message, context)

    def exception(self, message: str, /, **context: object) -> None:
        """An error, with the traceback of the exception that is being handled."""
        self._emit(logging.ERROR, message, {"exc_info": True, **context})

    def _emit(self, level: int, message: str, context: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            exc_info = context.pop("exc_info", None)
            extra = {"context": self._context | context}
            self._logger.log(level, message, exc_info=exc_info, extra=extra, stacklevel=3)


def get_logger(name: str) -> Logger:
    """The logger `name`, usually `__name__`. May be made before `configure` has run."""
    return Logger(logging.getLogger(name), {})


def current_level() -> int:
    """The least severity that is logged, as the standard library numbers it: 10 is debug, 40 error."""
    return logging.getLogger().level


@contextmanager
def bind(**context: object) -> Iterator[None]:
    """Add `context` (request_id, conversation_id, run_id, task_id, …) to every record made inside.

    Follows the task, and the tasks it starts, not the thread.
    """
    with structlog.contextvars.bound_contextvars(**context):
        yield


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to a stream. One that takes nothing more (a full disk, a closed pipe) costs lines, no more."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 # the standard library's name
        """Count a line that could not be written; a defect in what was logged is shown, as ever."""
        if isinstance(sys.exc_info()[1], OSError):
            COUNTS.lose()
        else:
            super().handleError(record)


_configured = logging.INFO
_overridden: dict[str, int] = {}
"""Loggers with a level of their own for now, and the one that they had before."""


def configure(
    level: str = "info",
    format: Literal["auto", "json", "console"] = "auto",
    stream: TextIO | None = None,
    *,
    file: LogFilePolicy | None = None,
    alone: bool = False,
) -> None:
    """Send every record from `level` on to `stream` (standard error), in `format`, and to `file` as JSON.

    With `alone` the file is all.

    `auto` is console on a terminal, else json. Loggers of libraries lose handlers of their own (start
    uvicorn with `log_config=None`). May be called again: the last call holds, for levels too.
    """
    global _configured  # noqa: PLW0603 -- a process has one log
    stream = stream or sys.stderr
    terminal = stream.isatty()
    people = format == "console" or (format == "auto" and terminal)
    handler = _Handler(stream)
    handler.setFormatter(ConsoleLines(colors=terminal) if people else JsonLines())

    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler | LogFile) or h is COUNTS]:
        root.removeHandler(old)
        if isinstance(old, LogFile):
            old.close()
    root.addHandler(COUNTS)
    if file is None or not alone:
        root.addHandler(handler)
    if file is not None:
        written = LogFile(file, COUNTS.lose)
        written.setFormatter(JsonLines())
        root.addHandler(written)
    _configured = logging.getLevelNamesMapping()[level.upper()]
    override_levels({})
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    logging.captureWarnings(True)


def override_levels(levels: Mapping[str, str]) -> None:
    """Log from these levels on, by loggers, in the place of what is configured; `""` is for all loggers.

    The last call holds: an empty mapping puts everything back. NOISY libraries stay quiet unless named.
    """
    for name, level in _overridden.items():
        logging.getLogger(name).setLevel(level)
    _overridden.clear()
    numbers = {name: logging.getLevelNamesMapping()[level.upper()] for name, level in levels.items()}
    threshold = numbers.pop("", _configured)
    logging.getLogger().setLevel(threshold)
    for name, least in _LEAST.items():
        logging.getLogger(name).setLevel(max(threshold, least))
    for name, number in numbers.items():
        logger = logging.getLogger(name)
        _overridden[name] = logger.level
        logger.setLevel(number)
