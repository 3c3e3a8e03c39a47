"""The shell scripts: clean for shellcheck, strict, executable, and clear about wrong options."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [*sorted((ROOT / "scripts").glob("*.*sh")), ROOT / ".ci" / "run"]


def test_shellcheck_finds_nothing() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "shellcheck", *SCRIPTS, ROOT / "deploy" / "backup" / "flynn-backup"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_strict_and_can_be_started(script: Path) -> None:
    text = script.read_text()
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert "\nset -euo pipefail\n" in text
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (
            ["setup.sh", "--nonsense"],
            'setup.sh: unknown option "--nonsense"; known are --dev, --servers and --compose',
        ),
        (["lock.sh", "--nonsense"], 'lock.sh: unknown option "--nonsense"; the only one is --upgrade'),
        (["stop.sh", "--nonsense"], "stop.sh: known options are --force and --compose, one of them"),
        (
            ["backup-db.sh", "--nonsense"],
            'backup-db.sh: unknown option "--nonsense"; known are --list, --compose and --local',
        ),
        (
            ["restore-db.sh", "--nonsense"],
            'restore-db.sh: unknown option "--nonsense"; --help tells those that there are',
        ),
        (
            ["restore-db.sh"],
            "restore-db.sh: name the second: --to 2026-01-31T14:05:00Z, --to latest, or --list",
        ),
        (
            ["restore-db.sh", "--to"],
            "restore-db.sh: --to needs a time with its zone, such as 2026-01-31T14:05:00Z, or latest",
        ),
        (
            ["health-check.sh", "--nonsense"],
            'health-check.sh: unknown option "--nonsense"; known are --compose and --local',
        ),
        (
            ["drill-compose.sh", "--nonsense"],
            'drill-compose.sh: unknown option "--nonsense"; known are --no-build and --keep',
        ),
        (["test.sh", "--all", "-x"], 'test.sh: --all and --lint stand alone; "-x" is one too many'),
    ],
)
def test_a_wrong_option_is_refused_by_name(command: list[str], sentence: str) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / command[0], *command[1:]], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, sentence + "\n")


@pytest.mark.parametrize("name", ["backup-db", "restore-db", "health-check", "start", "stop"])
def test_an_operators_script_tells_its_options(name: str) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / f"{name}.sh", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "--compose" in done.stdout
    assert "#" not in done.stdout


def test_the_test_script_tells_its_options() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "test.sh", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    for option in ("--all", "--lint", "-k NAME"):
        assert re.search(rf"^  scripts/test.sh {option} ", done.stdout, re.MULTILINE), done.stdout
