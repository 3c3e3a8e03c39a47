"""Approvals on the terminal: asked and answered on a real one, told how to decide where there is none."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import FLYNN, Shell

SCENARIO = """\
name: deploy
match: deploy
turns:
  - blocks:
      - {tool: Bash, call: a, input: {command: "echo one >> ran.txt"}}
      - {tool: Bash, call: b, input: {command: "echo two >> ran.txt"}}
      - {tool: Bash, call: c, input: {command: "echo three >> ran.txt"}}
  - blocks:
      - text: "Heard: {{ result('b').text }}"
"""

pytestmark = [pytest.mark.slow, pytest.mark.needs("landlock")]


class Terminal:
    """flynn on a pseudo-terminal."""

    def __init__(self, shell: Shell, place: Path, *arguments: str, **settings: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [*FLYNN, *arguments],
            cwd=place,
            env=shell.environment(**settings),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            text=True,
        )
        os.close(slave)
        shell.started.append(self.process)
        self.text = ""

    def wait(self, pattern: str, seconds: float = 60) -> None:
        """Read until `pattern` has come since the last wait."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text
            ready, _, _ = select.select([self._master], [], [], 0.2)
            if ready:
                try:
                    self.text += os.read(self._master, 65536).decode(errors="replace")
                except OSError as error:  # the other side is closed: all was read
                    raise AssertionError(f"{pattern!r} was not printed: {self.text}") from error
        self.text = self.text[re.search(pattern, self.text).end() :]  # type: ignore[union-attr]  # just found

    def type(self, line: str) -> None:
        os.write(self._master, f"{line}\n".encode())

    def close(self) -> None:
        os.close(self._master)


def test_each_call_is_asked_for_and_answered(
    shell: Shell, simulator: Callable[..., str], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    model = {"ANTHROPIC_BASE_URL": simulator(SCENARIO), "ANTHROPIC_API_KEY": "scripted"}
    terminal = Terminal(shell, place, "run", "deploy it", FLYNN_PERMISSION_MODE="ask", **model)

    terminal.wait(r"\? Bash  echo one >> ran.txt[\s\S]*the permission mode is ask[\s\S]*› ")
    terminal.type("y")
    terminal.wait(r"\? Bash  echo two >> ran.txt[\s\S]*› ")
    terminal.type("two is not needed")
    terminal.wait(r"\? Bash  echo three >> ran.txt[\s\S]*› ")
    terminal.type("a")
    terminal.wait(r"Heard: owner said no to this call[\s\S]*two is not needed")
    terminal.wait("Completed")

    assert terminal.process.wait(30) == 0
    terminal.close()
    assert (place / "ran.txt").read_text() == "one\nthree\n"


def test_without_a_terminal_it_says_how_to_decide(
    shell: Shell, simulator: Callable[..., str], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    model = {"ANTHROPIC_BASE_URL": simulator(SCENARIO), "ANTHROPIC_API_KEY": "scripted"}

    done = shell.flynn("run", "deploy it", cwd=place, FLYNN_PERMISSION_MODE="ask", **model)

    assert done.returncode == 1
    assert "Waiting (approval): A yes is needed for: Bash echo one >> ran.txt" in done.stdout
    commands = re.findall(r"curl -X POST \S+/approvals/\S+ .*call_digest", done.stdout)
    assert len(commands) == 3
    assert not (place / "ran.txt").exists()


def test_a_wrong_rule_stops_the_start_with_one_line(shell: Shell, tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text('{"permissions": {"deny": ["Bash(rm"]}}')

    done = shell.flynn("serve", FLYNN_PERMISSIONS=str(rules))

    assert done.returncode == 1
    assert "'Bash(rm' is no permission rule" in done.stderr
    assert "Traceback" not in done.stderr
