"""A service that prints, and is to write JSON lines."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.e2e.delegation import Delegation, attempt, run, script_beside

FILES = {
    "README.md": "# Importer\n\n`python3 -m importer FILE…` adds up the numbers in each file.\n",
    "importer/__init__.py": "",
    "importer/__main__.py": '''\
"""Adds up the numbers in files: one sum a line on stdout; what happens on the way goes to stderr."""

import sys

from importer.sums import sum_of


def main() -> int:
    failed = 0
    for name in sys.argv[1:]:
        try:
            print(sum_of(name))
        except ValueError as error:
            print(f"ERROR {name} could not be read: {error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
''',
    "importer/sums.py": '''\
"""The sum of a file's numbers."""

import sys
from pathlib import Path


def sum_of(name: str) -> int:
    """Raises ValueError where a line is no number."""
    numbers = [int(line) for line in Path(name).read_text().splitlines()]
    print(f"{name}: {len(numbers)} numbers", file=sys.stderr)
    return sum(numbers)
''',
    "tests/__init__.py": "",
    "tests/test_sums.py": """\
import tempfile
import unittest
from pathlib import Path

from importer.sums import sum_of


class Sums(unittest.TestCase):
    def test_numbers_are_added_up(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            file = Path(place, "numbers")
            file.write_text("1\\n2\\n39\\n")
            self.assertEqual(sum_of(str(file)), 42)
""",
}


def verify(before: Path, after: Path, place: Path) -> None:
    (place / "good").write_text("1\n2\n39\n")
    (place / "bad").write_text("forty-two\n")
    files = (str(place / "good"), str(place / "bad"))
    was = attempt(before, "python3", "-m", "importer", *files)
    now = attempt(after, "python3", "-m", "importer", *files)
    assert (now.returncode, now.stdout) == (was.returncode, was.stdout) == (1, "42\n")
    read, failed = (json.loads(line) for line in now.stderr.splitlines())
    for line in (read, failed):
        assert {"timestamp", "level", "service", "message", "context"} <= set(line)
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)
        assert line["service"] == "importer"
    assert (read["level"], read["context"]) == ("INFO", {"file": files[0], "numbers": 3})
    assert (failed["level"], failed["context"]) == ("ERROR", {"file": files[1]})
    assert "ValueError: invalid literal" in failed["exception"]
    assert [line["level"] for line in _lines(after, "error", files)] == ["ERROR"]
    assert len(_lines(after, "info", files)) == 2
    assert (
        "Ran 3 tests" in run(after, "python3", "-m", "unittest", "discover", "-s", "tests", "-t", ".").stderr
    )


def _lines(after: Path, level: str, files: tuple[str, ...]) -> list[dict[str, Any]]:
    ran = attempt(after, "python3", "-m", "importer", *files, environment={"LOG_LEVEL": level})
    return [json.loads(line) for line in ran.stderr.splitlines()]


DELEGATION = Delegation(
    name="structured-logging",
    files=FILES,
    order={
        "title": "Structured logs",
        "instructions": "Let the importer write structured logs: JSON, one object a line, without a new "
        "dependency.",
        "acceptance_criteria": [
            "each line has timestamp, level, service, message and context",
            "an exception stays within its line",
            "what is written to stdout does not change",
        ],
    },
    script=script_beside(__file__),
    changed=frozenset(
        {
            "importer/__main__.py",
            "importer/json_lines.py",
            "importer/sums.py",
            "tests/test_json_lines.py",
        }
    ),
    verify=verify,
    exit_codes=(0, 0, 0, 1),
)
