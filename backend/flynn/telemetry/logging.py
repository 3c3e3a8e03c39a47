"""Logging: one JSON object a line, or lines for people, for our records and those of the libraries.

Every line has `timestamp` (UTC), `level`, `service`, `logger`, `message`, then, where there are any,
`context` (what `bind` bound and what the call named) and `exception` (the traceback). Both formats pass
through redaction. Messages are constant sentences; what varies goes into the context:

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
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import orjson
import structlog

from flynn.domain.content import clean
from flynn.telemetry.redaction import MARK, redact, register_secret

__all__ = ["Logger", "bind", "configure", "get_logger", "register_secret"]

SERVICE = "flynn"

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

MAX_TEXT = 16_384
"""Longest text of a record, in characters; the rest is cut and counted."""

MAX_DEPTH = 8
MAX_ITEMS = 200

_SECRET_NAMES = frozenset(
    {"access_token", "api_key", "apikey", "authorization", "cookie", "passwd", "password", "private_key"}
    | {"proxy-authorization", "refresh_token", "secret", "set-cookie", "token", "x-api-key"}
)
_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "context"}
_PLACES = frozenset(
    {"timestamp", "level", "event", "logger", "logger_name", "stack", "exception", "exc_info"}
)
_CONTROL = {c: f"\\x{c:02x}" for c in (*range(0x20), *range(0x7F, 0xA0)) if chr(c) not in "\n\t"}


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


def _text(text: str) -> str:
    text = clean(redact(text))
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]}… ({len(text) - MAX_TEXT} more characters)"


def _plain(value: object, depth: int = 0) -> object:
    """`value` as plain, bounded, redacted JSON."""
    match value:
        case str():
            return _text(value)
        case None | bool():
            return value
        case int():
            return value if -(2**63) <= value < 2**63 else str(value)
        case float():
            return value
        case Mapping() if depth < MAX_DEPTH:
            return {
                _text(str(k)): MARK if str(k).lower() in _SECRET_NAMES and v else _plain(v, depth + 1)
                for k, v in list(value.items())[:MAX_ITEMS]
            }
        case list() | tuple() | set() | frozenset() if depth < MAX_DEPTH:
            return [_plain(item, depth + 1) for item in list(value)[:MAX_ITEMS]]
        case _:
            return _text(str(value))


class _Fields(logging.Formatter):
    """Reads a record, ours or a library's, into the fields of a line."""

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        context = structlog.contextvars.get_contextvars()
        context |= {name: value for name, value in vars(record).items() if name not in _RECORD}
        context |= getattr(record, "context", None) or {}
        fields: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": SERVICE,
            "logger": record.name,
            "message": _text(record.getMessage()),
        }
        if context:
            fields["context"] = _plain(context)
        exception = self.formatException(record.exc_info) if record.exc_info else record.exc_text
        if exception:
            fields["exception"] = _text(exception)
        return fields


class JsonLines(_Fields):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, without a line break."""
        return orjson.dumps(self.fields(record)).decode()


class ConsoleLines(_Fields):
    """Lines for people, with colours on a terminal."""

    def __init__(self, *, colors: bool) -> None:
        super().__init__()
        self._render = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, sort_keys=False)

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, and its traceback below; control characters are spelt out."""
        fields = self.fields(record)
        # The renderer gives some names a place of their own; context must not take it.
        context = {f"{k}_" if k in _PLACES else k: v for k, v in fields.get("context", {}).items()}
        event = {
            "timestamp": fields["timestamp"][11:-1],
            "level": fields["level"],
            "event": fields["message"].translate(_CONTROL),
            **context,
        }
        if "exception" in fields:
            event["exception"] = fields["exception"].translate(_CONTROL)
        return str(self._render(None, record.levelname, event))


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, to be known again by the next `configure`."""


def configure(
    level: str = "info",
    format: Literal["auto", "json", "console"] = "auto",
    stream: TextIO | None = None,
) -> None:
    """Send every record from `level` on to `stream` (standard error), in `format`.

    `auto` is console on a terminal, else json. Loggers of libraries lose handlers of their own (start
    uvicorn with `log_config=None`). May be called again: the last call holds.
    """
    stream = stream or sys.stderr
    terminal = stream.isatty()
    people = format == "console" or (format == "auto" and terminal)
    handler = _Handler(stream)
    handler.setFormatter(ConsoleLines(colors=terminal) if people else JsonLines())

    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(threshold)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    logging.captureWarnings(True)
