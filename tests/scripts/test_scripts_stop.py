"""stop.sh ends the recorded process of this checkout, and nobody else's."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]


class Service:
    """A process that might be the service, and the record that names it."""

    def __init__(self, data_dir: Path, name: str, code: str = "pass") -> None:
        self.data_dir = data_dir
        program = f"import signal, sys, time; {code}; print('ready', flush=True); time.sleep(60)"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, name], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def record(self, **other: object) -> None:
        entry = {
            "pid": self.process.pid,
            "started_at": psutil.Process(self.process.pid).create_time(),
            "url": "http://127.0.0.1:8000",
        }
        (self.data_dir / "serve.json").write_text(json.dumps(entry | other))

    def stop(self, *options: str) -> tuple[int, str]:
        """Run stop.sh while reaping the process, as init does for a real service."""
        stop = subprocess.Popen(
            [ROOT / "scripts" / "stop.sh", *options],
            env={**os.environ, "FLYNN_DATA_DIR": str(self.data_dir)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while stop.poll() is None:
            self.process.poll()
            time.sleep(0.02)
        assert stop.stdout
        return stop.returncode, stop.stdout.read()

    @property
    def runs(self) -> bool:
        return self.process.poll() is None


@pytest.fixture
def services() -> Iterator[list[Service]]:
    started: list[Service] = []
    yield started
    for service in started:
        service.process.kill()
        service.process.wait()
        if service.process.stdout:
            service.process.stdout.close()


def test_the_recorded_service_ends(tmp_path: Path, services: list[Service]) -> None:
    services.append(service := Service(tmp_path, "flynn"))
    service.record()
    status, output = service.stop()
    assert not service.runs
    assert status == 0
    assert f"stop: ending the service at http://127.0.0.1:8000 (process {service.process.pid})" in output
    assert output.endswith("stop: it has ended\n")
    assert service.stop() == (0, f"stop: no service of this checkout runs ({tmp_path / 'serve.json'})\n")


def test_without_a_record_nothing_happens(tmp_path: Path, services: list[Service]) -> None:
    services.append(service := Service(tmp_path, "flynn"))
    status, output = service.stop()
    assert status == 0
    assert "no service of this checkout runs" in output
    assert service.runs


def test_a_number_that_was_used_again_is_left_alone(tmp_path: Path, services: list[Service]) -> None:
    services.append(service := Service(tmp_path, "flynn"))
    service.record(started_at=psutil.Process(service.process.pid).create_time() - 60)
    assert service.stop()[0] == 0
    assert service.runs


def test_another_program_is_left_alone(tmp_path: Path, services: list[Service]) -> None:
    services.append(service := Service(tmp_path, "other"))
    # The interpreter's path may hold the checkout's name; only its last part counts.
    service.record()
    assert service.stop()[0] == 0
    assert service.runs


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": "x", "started_at": 1, "url": ""}'])
def test_a_record_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "serve.json").write_text(text)
    done = subprocess.run(
        [ROOT / "scripts" / "stop.sh"],
        env={**os.environ, "FLYNN_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"stop: {tmp_path / 'serve.json'} cannot be read as a record of the service"
    )


@pytest.mark.slow
def test_one_that_does_not_end_is_killed_when_told_to(tmp_path: Path, services: list[Service]) -> None:
    services.append(service := Service(tmp_path, "flynn", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"))
    service.record()
    status, output = service.stop("--force")
    assert not service.runs
    assert status == 0
    assert "it has been killed" in output
