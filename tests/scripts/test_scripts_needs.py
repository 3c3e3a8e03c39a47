"""The `needs` marker: left out by name and counted, or failed where nothing may be left out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CONFTEST = Path(__file__).parent.parent / "conftest.py"

SUITE = """
import pytest

@pytest.mark.needs("browser", "git")
def test_one() -> None: ...

@pytest.mark.needs("browser")
def test_two() -> None: ...

def test_three() -> None: ...
"""


def run(directory: Path, suite: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (directory / "conftest.py").write_text(CONFTEST.read_text())
    (directory / "test_suite.py").write_text(suite)
    (directory / "pytest.ini").write_text("[pytest]\nmarkers =\n  needs(*names): a prerequisite\n")
    kept = {k: v for k, v in os.environ.items() if k in ("HOME", "LANG")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *options, str(directory)],
        cwd=directory,
        # An empty directory as PATH: a machine without any program.
        env={**kept, "PATH": str(directory), "PYTHONPATH": str(CONFTEST.parents[1]), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_missing_is_left_out_and_counted(tmp_path: Path) -> None:
    done = run(tmp_path, SUITE)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 2 skipped" in done.stdout
    assert "this machine has no browser, no git" in done.stdout
    assert "left out for want of browser: 2 tests" in done.stdout
    assert "left out for want of git: 1 test\n" in done.stdout


def test_the_count_survives_parallel_workers(tmp_path: Path) -> None:
    done = run(tmp_path, SUITE, "-n", "1")
    assert "left out for want of browser: 2 tests" in done.stdout


@pytest.mark.parametrize("environment", [{"CI": "true"}, {"FLYNN_REQUIRE_ALL": "1"}])
def test_where_nothing_may_be_left_out_it_fails(tmp_path: Path, environment: dict[str, str]) -> None:
    done = run(tmp_path, SUITE, **environment)
    assert done.returncode == 1
    assert "this machine has no browser, and here nothing may be left out" in done.stdout
    assert "1 passed" in done.stdout


def test_a_named_prerequisite_may_be_missing_all_the_same(tmp_path: Path) -> None:
    done = run(tmp_path, SUITE, CI="true", FLYNN_MAY_SKIP="browser, docker")
    assert done.returncode == 1
    assert "1 skipped" in done.stdout
    assert "this machine has no browser, no git, and here nothing may be left out" in done.stdout


def test_an_unknown_prerequisite_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, 'import pytest\n\n@pytest.mark.needs("bwrap")\ndef test_one() -> None: ...\n')
    assert done.returncode == 4
    assert "needs('bwrap'): known are barman, browser, " in done.stdout + done.stderr


GROUPED = """
import os

import pytest

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(12))
def test_a_group(number: int) -> None:
    print("ran in", os.environ["PYTEST_XDIST_WORKER"])
"""


def test_a_group_of_tests_stays_in_one_process(tmp_path: Path) -> None:
    done = run(tmp_path, GROUPED, "-n", "2", "--dist", "loadgroup", "-rP")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("ran in gw") == 12
    assert len({line for line in done.stdout.splitlines() if line.startswith("ran in gw")}) == 1
