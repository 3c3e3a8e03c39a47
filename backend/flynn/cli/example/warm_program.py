"""The program of the warm process: imports what a worker needs, then forks one for each order.

An order is a packet on its standard input (or the line that a fork was given), with two descriptors: the
worker's connection to the service, and where its log goes. The answer is the worker's process id. It ends
when nobody can order any more.
"""

import gc
import os
import pickle
import signal
import socket
import sys

import uvloop

from flynn.cli.example.worker import Order, work
from flynn.sandbox.opening import conceal_service
from flynn.telemetry.logging import get_logger

MOST = 1 << 20
"""Bytes of an order."""


def serve(orders: socket.socket) -> None:
    """Take orders until their line ends."""
    conceal_service()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a worker ended
    gc.collect()
    gc.freeze()  # so that collections in the workers leave the shared pages alone
    while True:
        packet, descriptors, _, _ = socket.recv_fds(orders, MOST, 2)
        if not packet:
            return
        pid = os.fork()
        if pid == 0:
            # Nobody but the service has the other end of this line.
            order: Order = pickle.loads(packet)  # noqa: S301  # nosec B301
            _become(orders, order, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        orders.send(str(pid).encode())


def _become(orders: socket.socket, order: Order, connection: int, log: int) -> None:
    """Be a worker, to the end."""
    code = 1
    try:
        orders.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
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
