"""The command line as people run it: a process of its own, with a data directory and a clean environment."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.loopback import free_port

FLYNN = (sys.executable, "-m", "flynn.cli")


@dataclass
class Shell:
    """Runs flynn in `home` with its data in `data`, and ends what it started."""

    home: Path
    data: Path
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def environment(self, **settings: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("FLYNN_", "ANTHROPIC_"))}
        for name in ("DATABASE_URL", "REDIS_URL", "POSTGRES_PASSWORD"):
            kept.pop(name, None)
        mine = {"FLYNN_DATA_DIR": str(self.data), "FLYNN_PORT": str(self.port), "HOME": str(self.home)}
        return {**kept, **mine, **self.settings, **settings}

    def flynn(
        self, *arguments: str, cwd: Path | None = None, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*FLYNN, *arguments],
            cwd=cwd or self.home,
            env=self.environment(**settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def start(
        self, *arguments: str, until: str, cwd: Path | None = None, **settings: str
    ) -> tuple[subprocess.Popen[str], "Reader"]:
        process = subprocess.Popen(
            [*FLYNN, *arguments],
            cwd=cwd or self.home,
            env=self.environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        reader = Reader(process)
        reader.wait(until)
        return process, reader

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


class Reader:
    """What a process has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        return "".join(self._lines)

    def wait(self, pattern: str, seconds: float = 240) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = self._process.poll() is not None
            if ended:
                self._thread.join(5)
            if match := re.search(pattern, self.text):
                return match
            if ended:
                break
            time.sleep(0.02)
        raise AssertionError(f"{pattern!r} was not printed: {self.text}")

    def rest(self) -> str:
        self._thread.join(20)
        return self.text

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    home = tmp_path / "home"
    home.mkdir()
    made = Shell(home, tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a simulator over YAML scenarios in a process of its own; gives its URL."""
    started: list[subprocess.Popen[str]] = []

    def start(scenario: str, *options: str) -> str:
        file = tmp_path / f"scenario-{len(started)}.yaml"
        file.write_text(scenario)
        process = subprocess.Popen(
            [sys.executable, "-m", "flynn.simulator", "--scenario", str(file), *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    yield start
    for process in started:
        process.terminate()
        process.wait(20)
