"""The lines of docs/logs.md that ask a log file: each with the real jq, over what the real logger wrote."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = [pytest.mark.needs("jq"), pytest.mark.slow]

DOCUMENT = (ROOT / "docs" / "logs.md").read_text()
LINES = re.findall(r"^jq .*$", DOCUMENT, re.MULTILINE)
REQUEST, CONVERSATION = "4bf92f3577b34da6", "0198c2…"
"""As the document has them."""

PROGRAM = f"""
import io
from pathlib import Path
from flynn.api.counting import Counting
from flynn.telemetry.logging import LogFilePolicy, bind, configure, get_logger
from flynn.telemetry.metrics import Metrics
from flynn.telemetry.request_metrics import RequestMetrics

policy = LogFilePolicy(Path("data/logs/app.log"), most_bytes=70_000)
configure("debug", "json", io.StringIO(), file=policy)
log, counting = get_logger("flynn.worker"), Counting(RequestMetrics(Metrics()))
for number in range(300):
    log.info("a line that has nothing to do with it", number=number, ballast="x" * 200)
    if number in (1, 298):
        with bind(request_id="{REQUEST}", conversation_id="{CONVERSATION}"):
            log.info("run started", number=number)
            log.error("the disk is full")
for status in (200, 404, 500, 503):
    scope = {{"type": "http", "method": "GET", "path": f"/at/{{status}}"}}
    counting.begin(scope).answered(status)
log.error("nobody answers")
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data/logs/app.log.1").exists(), "it is in two files"
    return tmp_path


def ask(line: str, place: Path) -> list[str]:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_each_line_finds_what_it_says(place: Path) -> None:
    request, conversation, errors, failed = LINES
    found = [json.loads(line) for line in ask(request, place)]
    assert [line["message"] for line in found].count("run started") == 2
    assert len(found) == 4
    assert all(line["context"]["request_id"] == REQUEST for line in found)
    said = [json.loads(line) for line in ask(conversation, place)]
    expected = [["error", "the disk is full"]] * 2 + [["info", "run started"]] * 2
    assert sorted(line[1:] for line in said) == expected
    assert [line.split(maxsplit=1) for line in ask(errors, place)] == [
        ["2", "the disk is full"],
        ["1", "nobody answers"],
    ]
    assert [json.loads(line)["status"] for line in ask(failed, place)] == [500, 503]


def test_a_line_that_was_cut_off_is_passed_over_as_the_document_says(place: Path) -> None:
    (sieve,) = re.findall(r"`(jq -R [^`]+)` in front", DOCUMENT)
    with (place / "data/logs/app.log").open("a") as file:
        file.write('{"timestamp":"2026-01-01T0\n')
    for line in LINES:
        query, _, rest = line.partition(" data/logs/app.log*")
        piped = f"{sieve} data/logs/app.log* | {query}{rest}"
        assert ask(piped, place), line
    with pytest.raises(AssertionError, match="parse error"):
        ask(LINES[0], place)
