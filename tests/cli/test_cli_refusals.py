"""What stops a start: one line that names what is wrong and what would be right, and no traceback."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Shell

pytestmark = pytest.mark.slow


def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed(shell: Shell) -> None:
    done = shell.flynn("serve", FLYNN_CONCURRENCY="many")

    assert done.returncode == 1
    assert done.stderr.strip() == (
        'flynn: FLYNN_CONCURRENCY is "many": allowed is a whole number from 1 to 256'
    )


def test_a_port_in_use_is_named(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = shell.flynn("serve", "--port", str(port))

    assert done.returncode == 1
    assert done.stderr.startswith(f"flynn: FLYNN_PORT {port} is in use on 127.0.0.1")
    assert "Traceback" not in done.stderr


def test_a_demo_on_a_port_in_use_is_refused_before_it_begins(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = shell.flynn("demo", "--crash", "--port", str(port))

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"flynn: FLYNN_PORT {port} is in use on 127.0.0.1")
    assert "its page has the scripted example" in done.stderr
    assert not shell.data.exists()


def test_a_data_directory_that_is_a_file_is_named(shell: Shell) -> None:
    shell.data.write_text("not a directory")

    done = shell.flynn("serve")

    assert done.returncode == 1
    assert done.stderr.startswith(f"flynn: FLYNN_DATA_DIR {shell.data} cannot be used")


@pytest.mark.parametrize("worker", ["--worker", "--no-worker"])
def test_a_fallback_model_without_a_price_is_refused_before_anything_starts(
    shell: Shell, worker: str
) -> None:
    done = shell.flynn("serve", worker, FLYNN_FALLBACK_MODEL="gpt-7")

    assert done.returncode == 1
    assert done.stderr.startswith('flynn: FLYNN_FALLBACK_MODEL is "gpt-7", whose price is not known: ')
    assert "claude-sonnet-5-5" in done.stderr
    assert not (shell.data / "postgres").exists()


def test_an_unknown_scope_is_refused_before_anything_starts(shell: Shell) -> None:
    done = shell.flynn("keys", "create", "quorra", "--scope", "everything")

    assert done.returncode == 1
    assert "There is no scope 'everything'; the scopes are: chat, delegate, read, admin" in done.stderr
    assert not (shell.data / "postgres").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let us mount a tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.needs("root")
def test_a_full_disk_is_named(shell: Shell, small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left on device"):
        (small_disk / "fill").write_bytes(bytes(1 << 20))

    done = shell.flynn("serve", FLYNN_DATA_DIR=str(small_disk / "data"))

    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_agents_are_listed_and_a_file_that_cannot_be_served_is_named(shell: Shell, tmp_path: Path) -> None:
    place = tmp_path / "more"
    place.mkdir()
    (place / "broken.md").write_text("no front matter\n")

    done = shell.flynn("agents", FLYNN_AGENTS_DIR=str(place))

    assert done.returncode == 1
    assert done.stdout.startswith("flynn-dev  claude-haiku-5-5  ")
    assert f"{place / 'broken.md'}:1:" in done.stderr


def test_a_worker_of_its_own_needs_a_shared_database(shell: Shell) -> None:
    done = shell.flynn("worker")
    assert done.returncode == 1
    assert "DATABASE_URL is not set" in done.stderr
    assert "Traceback" not in done.stderr
