"""The log file: bounded, shared by processes, and never in anybody's way."""

import contextlib
import fcntl
import io
import json
import logging
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.telemetry.log_counts import COUNTS
from flynn.telemetry.log_file import LogFile
from flynn.telemetry.logging import NOISY, LogFilePolicy, configure, get_logger, register_secret
from flynn.telemetry.metrics import Metrics
from flynn.telemetry.redaction import MARK

WRITER = (sys.executable, "-m", "tests.telemetry.log_writer")

log = get_logger("flynn.tests")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in NOISY}
    yield
    for handler in root.handlers:
        if isinstance(handler, LogFile):
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(*files: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def files(path: Path) -> list[Path]:
    """All log files, the oldest first."""
    found = [p for p in path.parent.iterdir() if p.name.startswith(path.name) and p.suffix != ".lock"]
    return sorted(found, key=lambda p: -int(p.suffix[1:]) if p.suffix[1:].isdigit() else 0)


def test_the_file_is_json_beside_a_console_that_is_not(tmp_path: Path) -> None:
    path, stream = tmp_path / "logs" / "app.log", io.StringIO()
    configure("info", "console", stream, file=LogFilePolicy(path))
    register_secret("geheim-und-lang")
    log.info("said geheim-und-lang", run_id="r")
    logging.getLogger("uvicorn.error").info("Started %s", "well")
    logging.getLogger("a.library").error("broke", exc_info=ValueError("with geheim-und-lang"))
    one, two, three = lines(path)
    assert one["message"] == f"said {MARK}"
    assert one["context"] == {"run_id": "r"}
    assert (two["logger"], two["message"]) == ("uvicorn.error", "Started well")
    assert three["exception"].endswith(f"ValueError: with {MARK}")
    assert "geheim" not in path.read_text() + stream.getvalue()
    assert stream.getvalue().count("Started well") == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@given(
    sizes=st.lists(st.integers(0, 600), max_size=60),
    most_bytes=st.integers(300, 3_000),
    keep=st.integers(1, 4),
)
@settings(deadline=None, max_examples=60)
def test_whatever_is_written_the_newest_lines_are_there_in_order_within_the_bound(
    sizes: list[int], most_bytes: int, keep: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "app.log")
        handler = LogFile(LogFilePolicy(path, most_bytes=most_bytes, keep=keep), lambda: None)
        written = [f"{number} {'x' * size}" for number, size in enumerate(sizes)]
        for line in written:
            handler.handle(logging.makeLogRecord({"msg": line}))
        handler.close()
        found = files(path)
        kept = [line for file in found for line in file.read_text().splitlines()]
        assert kept == written[len(written) - len(kept) :]
        assert len(found) <= keep + 1
        for file in found:
            one = file.read_text().splitlines()
            assert file.stat().st_size <= most_bytes or len(one) == 1, "only a longer line makes it longer"
        if len(found) <= keep:
            assert kept == written, "nothing goes while there is room"


@pytest.mark.slow
def test_two_processes_on_one_file_tear_and_lose_nothing(tmp_path: Path) -> None:
    path, count, most_bytes = tmp_path / "app.log", 1_500, 30_000
    writers = [
        subprocess.Popen(
            [*WRITER, str(path), str(most_bytes), "500", name, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two", "three")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    found = files(path)
    assert len(found) > 10, "it was rotated again and again"
    seen = [(line["context"]["writer"], line["context"]["number"]) for line in lines(*found)]
    assert sorted(seen) == sorted((name, n) for name in ("one", "two", "three") for n in range(count))
    # Whoever writes while another is just rotating makes one longer: here, where nobody does anything else.
    assert statistics.median(file.stat().st_size for file in found) < 2 * most_bytes


def test_a_lock_that_somebody_holds_for_ever_stops_no_line(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    configure("info", "json", io.StringIO(), file=LogFilePolicy(path, most_bytes=1_000, keep=2))
    with Path(f"{path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for number in range(20):
            log.info("a line", number=number)
        assert [line["context"]["number"] for line in lines(path)] == list(range(20))
    log.info("the lock is free")
    assert [line["message"] for line in lines(path)] == ["the lock is free"]


def test_a_file_that_somebody_moved_or_removed_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    configure("info", "json", io.StringIO(), file=LogFilePolicy(path))
    log.info("one")
    path.rename(tmp_path / "elsewhere")
    log.info("two")
    assert [line["message"] for line in lines(path)] == ["two"]
    path.unlink()
    log.info("three")
    assert [line["message"] for line in lines(path)] == ["three"]


def test_a_full_disk_costs_lines_and_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = COUNTS.lost
    full = Path("/dev/full").open("w")  # noqa: SIM115  # closing it fails, too
    configure("info", "json", full, file=LogFilePolicy(Path("/dev/full")))
    for _ in range(3):
        log.error("nowhere to go")
    configure("info", "json", io.StringIO())
    with contextlib.suppress(OSError):
        full.close()
    assert COUNTS.lost == before + 6, "three lines of the stream and three of the file"
    assert capsys.readouterr().err == ""
    shown = Metrics().text().decode()
    assert f"flynn_log_lines_lost_total {float(COUNTS.lost)}" in shown
    assert f'flynn_log_records_total{{level="error"}} {float(COUNTS.records["error"])}' in shown


def test_a_directory_that_cannot_be_made_costs_lines_and_no_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before, stream = COUNTS.lost, io.StringIO()
    configure("info", "json", stream, file=LogFilePolicy(tmp_path / "file" / "app.log"))
    log.info("still said")
    assert "still said" in stream.getvalue()
    assert COUNTS.lost == before + 1


_CUT = """
import io, resource, sys
from pathlib import Path
from flynn.telemetry.log_counts import COUNTS
from flynn.telemetry.logging import LogFilePolicy, configure, get_logger

configure("info", "json", io.StringIO(), file=LogFilePolicy(Path(sys.argv[1])))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
for number in range(4):
    get_logger("flynn.tests").info("a line", number=number, ballast="x" * 500)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
for number in range(4, 6):
    get_logger("flynn.tests").info("a line", number=number)
print(COUNTS.lost)
"""


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    done = subprocess.run(
        [sys.executable, "-c", _CUT, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "3\n", done
    whole, torn, *rest = path.read_text().splitlines()
    assert json.loads(whole)["context"]["number"] == 0
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(torn)
    assert [json.loads(line)["context"]["number"] for line in rest] == [4, 5]
