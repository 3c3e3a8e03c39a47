"""How a record of the log is written: as JSON or for people, bounded, redacted, whoever has made it."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from flynn.domain.content import clean
from flynn.telemetry.redaction import MARK, redact

SERVICE = "flynn"

MAX_TEXT = 16_384
"""Longest text of a record, in characters; the rest is cut and counted."""

MAX_DEPTH = 8
MAX_ITEMS = 200

_SECRET_NAMES = frozenset(
    {"access_token", "api_key", "apikey", "authorization", "cookie", "passwd", "password", "private_key"}
    | {"proxy-authorization", "refresh_token", "secret", "set-cookie", "token", "x-api-key"}
)
_FIELDS = "flynn_fields"
_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {
    *("message", "asctime", "color_message", "context", _FIELDS)
}
_PLACES = frozenset(
    {"timestamp", "level", "event", "logger", "logger_name", "stack", "exception", "exc_info"}
)
_CONTROL = {c: f"\\x{c:02x}" for c in (*range(0x20), *range(0x7F, 0xA0)) if chr(c) not in "\n\t"}


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
        # Made once, however many handlers write the record.
        found: dict[str, Any] | None = getattr(record, _FIELDS, None)
        if found is None:
            found = self._read(record)
            setattr(record, _FIELDS, found)
        return found

    def _read(self, record: logging.LogRecord) -> dict[str, Any]:
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
