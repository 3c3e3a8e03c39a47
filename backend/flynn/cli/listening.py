"""The socket that a service listens on, and what it is called; light enough to be tried before all else."""

import errno
import socket

from flynn.domain.errors import ConfigurationError

BACKLOG = 2048


def listen(host: str, port: int, *, name: str = "FLYNN_PORT") -> socket.socket:
    """A listening socket. Raises ConfigurationError for a port in use or an address that is not ours.

    `name` is what the port was given as.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(BACKLOG)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"{name} {port} is in use on {host}: stop what listens there, or set another port."
            ) from error
        raise ConfigurationError(
            f"FLYNN_HOST {host}, {name} {port} cannot be listened on: {error.strerror}."
        ) from error
    found.setblocking(False)
    return found


def need_free(host: str, port: int) -> None:
    """Raise ConfigurationError unless `port` can be listened on now; before what takes seconds is loaded."""
    try:
        listen(host, port).close()
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error.detail} Where Flynn itself does, its page has the scripted example and its crash button."
        ) from None


def url_of(host: str, port: int) -> str:
    """Where a person on this machine finds a service that listens on `host`."""
    host = host if host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104 compared only
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def port_of(listener: socket.socket) -> int:
    """The port of a listening socket."""
    port: int = listener.getsockname()[1]
    return port
