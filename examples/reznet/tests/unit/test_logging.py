"""Logs: one JSON object a line with the fields that the requirements name."""

import json
import logging
import sys
import unittest
from datetime import datetime, timedelta

from core.logging_config import JsonLines


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("reznet.test", logging.INFO, __file__, 1, message, None, None)
    made.__dict__.update(extra)
    return made


class Lines(unittest.TestCase):
    def test_a_line_holds_the_required_fields(self) -> None:
        line = json.loads(JsonLines().format(record("ready")))
        self.assertEqual(line["level"], "INFO")
        self.assertEqual(line["service"], "reznet-backend")
        self.assertEqual(line["message"], "ready")
        self.assertEqual(datetime.fromisoformat(line["timestamp"]).utcoffset(), timedelta(0))

    def test_context_is_kept_and_the_line_stays_one_line(self) -> None:
        line = JsonLines().format(record("two\nlines", context={"agent": "scout"}))
        self.assertNotIn("\n", line)
        self.assertEqual(json.loads(line)["context"], {"agent": "scout"})

    def test_an_exception_comes_with_its_trace(self) -> None:
        try:
            raise RuntimeError("derezzed")
        except RuntimeError:
            line = json.loads(JsonLines().format(record("failed", exc_info=sys.exc_info())))
        self.assertIn("RuntimeError: derezzed", line["exception"])
