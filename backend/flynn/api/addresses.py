"""Who may knock: the Host and Origin headers of requests and handshakes."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from flynn.domain.errors import Forbidden

_DEFAULT_PORTS = (":80", ":443")


def is_loopback(name: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    name = name.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Doorkeeper:
    """Knows which hosts and origins may be spoken to and from.

    A service that listens on a loopback address answers only to loopback names and to the hosts of its
    `allowed_origins`: a page that points a name of its own at 127.0.0.1 (DNS rebinding) is refused. An
    Origin must be of the same host, of this machine, or allowed; requests without one are no browser's.
    """

    def __init__(self, *, host: str, allowed_origins: Iterable[str]) -> None:
        self._allowed = frozenset(origin.lower().rstrip("/") for origin in allowed_origins)
        self._names = frozenset(urlsplit(origin).hostname or "" for origin in self._allowed)
        self._loopback_only = is_loopback(host)
        self._good: set[tuple[str, str]] = set()

    def check(self, host: str, origin: str) -> None:
        """Raise Forbidden unless a request with these headers (empty: not sent) may come in."""
        if (host, origin) in self._good:
            return
        if self._loopback_only and host:
            name = _name(host)
            if not is_loopback(name) and name not in self._names:
                raise Forbidden(
                    f"This service listens on this machine only and does not answer as {name!r}: use "
                    "localhost, or name the page's origin in FLYNN_ALLOWED_ORIGINS."
                )
        if origin and not self._may(host, origin):
            raise Forbidden(
                f"Web pages of {origin!r} may not connect: name that origin in FLYNN_ALLOWED_ORIGINS."
            )
        if len(self._good) < 1000:
            self._good.add((host, origin))

    def foreign(self, host: str, origin: str) -> bool:
        """Whether a browser needs CORS headers to let a page of `origin` read the answer."""
        return bool(origin) and _port_less(urlsplit(origin).netloc) != _port_less(host)

    def _may(self, host: str, origin: str) -> bool:
        if origin.lower() in self._allowed:
            return True
        try:
            parts = urlsplit(origin)
            name = parts.hostname or ""
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or not name:
            return False
        return is_loopback(name) or _port_less(parts.netloc) == _port_less(host)


def _port_less(netloc: str) -> str:
    """A host and port in lower case, without a scheme's default port."""
    netloc = netloc.lower()
    for port in _DEFAULT_PORTS:
        netloc = netloc.removesuffix(port)
    return netloc


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or host
    except ValueError:
        return host
