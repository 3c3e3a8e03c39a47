"""The log of this process in a stream, for tests that read what was logged."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flynn.telemetry.logging import configure


@contextmanager
def log_stream(level: str) -> Iterator[io.StringIO]:
    """Log from `level` on, as JSON, to a stream while the block lasts; then as before."""
    root = logging.getLogger()
    handlers, before = list(root.handlers), root.level
    stream = io.StringIO()
    configure(level, "json", stream)
    try:
        yield stream
    finally:
        configure("warning", "json", io.StringIO())
        root.handlers[:] = handlers
        root.setLevel(before)


def said(stream: io.StringIO) -> list[dict[str, Any]]:
    """The records so far."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]
