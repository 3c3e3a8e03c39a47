"""The warm process from without: it takes orders in turn, and its end is an error, never a wait for ever."""

import os
import pickle
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flynn.cli.example.warm_process import Forked, WarmProcess
from flynn.cli.example.warm_program import serve
from flynn.cli.example.worker import Order
from flynn.domain.errors import Unavailable
from flynn.settings import Settings
from flynn.telemetry.redaction import MARK
from flynn.workspace.volume import make_volume


def echo(orders: socket.socket) -> None:
    """Answer each order with its number and this process, write into its line and its log; end on "end"."""
    while packet := socket.recv_fds(orders, 1 << 16, 2):
        data, descriptors, _, _ = packet
        if not data or pickle.loads(data) == "end":
            return
        for descriptor in descriptors:
            os.write(descriptor, data)
            os.close(descriptor)
        socket.send_fds(orders, [str(pickle.loads(data)).encode()], [os.pidfd_open(os.getpid())])


def test_an_order_comes_with_its_connection_and_its_log() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    with ours, theirs, WarmProcess.forked(echo) as warm:
        assert [warm.fork(number, theirs, writer).pid for number in (41, 42)] == [41, 42]
        assert ours.recv(1 << 16) == pickle.dumps(41) + pickle.dumps(42)
        assert os.read(reader, 1 << 16) == pickle.dumps(41) + pickle.dumps(42)
    os.close(reader)
    os.close(writer)


def test_one_that_has_ended_is_an_error_and_can_be_closed() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, WarmProcess.forked(echo) as warm:
        with pytest.raises(Unavailable, match="has ended"):
            warm.fork("end", theirs, theirs.fileno())
        with pytest.raises(Unavailable, match="has ended"):
            warm.fork(1, theirs, theirs.fileno())
    warm.close()
    left, right = socket.socketpair()
    with left, right, pytest.raises(Unavailable, match="has ended"):
        warm.fork(2, left, left.fileno())


def names(orders: socket.socket) -> None:
    """Answer an order with the number of variables in the environment, and their names into the log."""
    _, descriptors, _, _ = socket.recv_fds(orders, 1 << 16, 2)
    os.write(descriptors[1], " ".join(os.environ).encode())
    socket.send_fds(orders, [str(len(os.environ)).encode()], [os.pidfd_open(os.getpid())])


def test_a_fork_hands_no_settings_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-plain-of-the-environment")
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    with ours, theirs, WarmProcess.forked(names) as warm:
        warm.fork(1, theirs, writer)
        left = os.read(reader, 1 << 16).decode().split()
    assert "PATH" in left
    assert "ANTHROPIC_API_KEY" not in left
    assert os.environ["ANTHROPIC_API_KEY"] == "sk-plain-of-the-environment"
    os.close(reader)
    os.close(writer)


@contextmanager
def worker(settings: Settings, place: Path, log: int) -> Iterator[tuple[Forked, socket.socket]]:
    """A worker of the real program, and the service's end of its connection."""
    with WarmProcess.forked(serve) as warm:
        ours, theirs = socket.socketpair()
        with theirs:
            forked = warm.fork(Order(settings, make_volume(place)), theirs, log)
        with ours:
            ours.settimeout(30)
            yield forked, ours
            forked.send(signal.SIGKILL)
            forked.close()


@pytest.mark.slow
def test_what_a_worker_logs_holds_no_password_that_only_its_order_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded server's password is in no variable, and the warm process never heard of it."""
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)  # not pytest's: what is written there is for fd 2
    password = "pw-7c1f3e9b2a"
    (tmp_path / password).write_text("no directory")
    settings = Settings.load(None, data_dir=tmp_path / password / "data").model_copy(
        update={"database_url": f"postgresql+asyncpg://flynn:{password}@127.0.0.1:9/flynn"}
    )
    with (tmp_path / "log").open("w+") as log:
        with worker(settings, tmp_path, log.fileno()) as (_, connection):
            assert connection.recv(1) == b""  # it has ended
        log.seek(0)
        said = log.read()
    assert "a worker cannot start" in said
    assert f"/{MARK}/data cannot be made" in said
    assert password not in said


@pytest.mark.slow
def test_a_signal_goes_to_the_worker_and_never_to_who_has_its_id_by_now(tmp_path: Path) -> None:
    settings = Settings.load(None, data_dir=tmp_path / "data").model_copy(
        update={"database_url": "postgresql+asyncpg://flynn@127.0.0.1:9/flynn"}
    )
    with (tmp_path / "log").open("w") as log, worker(settings, tmp_path, log.fileno()) as (forked, ours):
        handle = os.pidfd_open(forked.pid)
        forked.send(signal.SIGKILL)
        assert select.select([handle], [], [], 30)[0], "it did not end"
        os.close(handle)
        while ours.recv(1 << 16):
            pass
        forked.send(signal.SIGKILL)  # nobody is there, and nobody is hit
        forked.close()
        forked.send(signal.SIGKILL)
        with pytest.raises(ProcessLookupError):  # it was buried though nobody waited for it
            os.kill(forked.pid, 0)
