"""HTTP to servers that tests have started: on the loopback, in the clear, at ports of their own."""

import secrets
import socket
import ssl

CLEAR = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""A client's `verify`. Without it each client reads the certificates of all authorities: 40 ms of work."""

_FIRST, _BEYOND = 15_000, 32_000
"""Ports that the kernel gives to nobody by itself (ip_local_port_range begins at 32768)."""


def free_port() -> int:
    """A port that is free now, and that no connection of anybody takes before the server that gets it."""
    while True:
        port = _FIRST + secrets.randbelow(_BEYOND - _FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
