"""The warm process from without: it takes orders in turn, and its end is an error, never a wait for ever."""

import os
import pickle
import socket

import pytest

from flynn.cli.example.warm_process import WarmProcess
from flynn.domain.errors import Unavailable


def echo(orders: socket.socket) -> None:
    """Answer each order with its number, and write into its connection and its log; end on "end"."""
    while packet := socket.recv_fds(orders, 1 << 16, 2):
        data, descriptors, _, _ = packet
        if not data or pickle.loads(data) == "end":
            return
        for descriptor in descriptors:
            os.write(descriptor, data)
            os.close(descriptor)
        orders.send(str(pickle.loads(data)).encode())


def test_an_order_comes_with_its_connection_and_its_log() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    with ours, theirs, WarmProcess.forked(echo) as warm:
        assert warm.fork(41, theirs, writer) == 41
        assert warm.fork(42, theirs, writer) == 42
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
