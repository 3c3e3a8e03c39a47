"""The program of the warm process: imports what a worker needs, then forks one for each order.

An order is a packet on its standard input (or the line that a fork was given), with two descriptors: the
worker's connection to the service, and where its log goes. The answer is the worker's process id, with a
descriptor of the process. It ends when nobody can order any more.
"""

import gc
import os
import pickle
import signal
import socket
import sys
from contextlib import suppress

import uvloop

from flynn.cli.example.worker import Order, work
from flynn.sandbox.opening import conceal_service
from flynn.telemetry.logging import get_logger

MOST = 1 << 20
"""Bytes of an order."""


def serve(orders: socket.socket) -> None:
    """Take orders until their line ends."""
    conceal_service()
    gc.collect()
    gc.freeze()  # so that collections in the workers leave the shared pages alone
    while True:
        packet, descriptors, _, _ = socket.recv_fds(orders, MOST, 2)
        if not packet:
            return
        # A worker that ends now stays until it is buried: its id cannot be another's before its descriptor
        # is had.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        pid = os.fork()
        if pid == 0:
            # Nobody but the service has the other end of this line.
            order: Order = pickle.loads(packet)  # noqa: S301  # nosec B301
            _become(orders, order, *descriptors)
        worker = os.pidfd_open(pid)
        socket.send_fds(orders, [str(pid).encode()], [worker])
        for descriptor in (worker, *descriptors):
            os.close(descriptor)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a worker ended
        _bury()


def _bury() -> None:
    """Let go of those that ended while they would not have gone by themselves."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become(orders: socket.socket, order: Order, connection: int, log: int) -> None:
    """Be a worker, to the end."""
    code = 1
    try:
        orders.close()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log, 2)
        os.close(null)
        os.close(log)
        code = uvloop.run(work(order, socket.socket(fileno=connection)))
    except Exception:
        get_logger("flynn.example").exception("a worker broke")
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=os.dup(0)))
