"""Destinations: where the service may call on a client's word. Nothing is looked up here.

A client names an address and the service calls it from within the operator's network, so the address is
read narrowly (what two readers could understand differently is none) and what it leads to is judged by
number: only addresses that everybody on the Internet may call, unless the operator has named the host.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

LONGEST = 2000
"""Characters that a destination may have."""

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?P<query>\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)(?::(?P<port>[0-9]{1,5}))?")

_REFUSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        # What is set apart in the registries of RFC 6890 and not known to every version of Python.
        "192.0.0.0/24",
        "192.88.99.0/24",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "168.63.129.16/32",  # a public number, and the metadata server of Azure's machines
        "::/96",  # IPv4-compatible, given up by RFC 4291
        "64:ff9b:1::/48",  # local translation to IPv4, RFC 8215
        "2002::/16",  # 6to4, RFC 3056: another address is inside
        "fec0::/10",  # site-local, given up by RFC 3879
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are the IPv4 address that is called in the end."""


def is_public(address: str) -> bool:
    """Whether `address`, a number without a name, is one that everybody on the Internet may call.

    Private, loopback, link-local (metadata servers among them), shared, reserved and multicast addresses
    are none, nor are those that hold one of these in another form. False for what is no address.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        if found in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)))
    if any(found in network for network in _REFUSED if network.version == found.version):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """An address to be called, taken apart. `host` is in lower case, without brackets."""

    url: str
    secure: bool
    host: str
    port: int
    shown: str = field(repr=False)
    """The address for people to see: without its query, which may hold a secret."""

    @classmethod
    def read(cls, url: str) -> Self:
        """Take `url` apart. Raises ValueError with what would be right."""
        found = _URL.fullmatch(url)
        if found is None or len(url) > LONGEST or not 0 < int(found["port"] or 1) < 65_536:
            raise ValueError(
                "should be a web address such as https://quorra.example/flynn, without user, fragment or "
                f"characters that an address has to escape, and of at most {LONGEST} characters"
            )
        secure = found["scheme"] == "https"
        query = found["query"]
        return cls(
            url=url,
            secure=secure,
            host=_plain(found["host"]),
            port=int(found["port"] or (443 if secure else 80)),
            shown=url.removesuffix(query) + "?…" if query else url,
        )


@dataclass(frozen=True, slots=True)
class Destinations:
    """Which destinations may be called: public ones over https, and all at the hosts that `named` has.

    `named` has (host, port) as `named_host` reads them; a port of None is every port.
    """

    named: frozenset[tuple[str, int | None]] = frozenset()

    @classmethod
    def of(cls, hosts: Iterable[str]) -> Self:
        """Those with these named hosts. Raises ValueError."""
        return cls(frozenset(named_host(host) for host in hosts))

    def trusts(self, destination: Destination) -> bool:
        """Whether the operator named the destination's host, so that it may be anywhere."""
        return bool(self.named & {(destination.host, None), (destination.host, destination.port)})

    def check(self, destination: Destination) -> None:
        """Raise ValueError, with what would be right, for one that may not be called, as far as it shows.

        What a name leads to shows only when it is called.
        """
        if self.trusts(destination):
            return
        if not destination.secure:
            raise ValueError(
                f"should be https: the operator has not named {destination.host!r} in FLYNN_WEBHOOK_HOSTS"
            )
        inside = destination.host == "localhost" or destination.host.endswith(".localhost")
        if inside or (_is_number(destination.host) and not is_public(destination.host)):
            raise ValueError(
                f"should be a public address: the operator has not named {destination.host!r} in "
                "FLYNN_WEBHOOK_HOSTS"
            )


def named_host(text: str) -> tuple[str, int | None]:
    """Read `host` or `host:port`, as an operator names it. Raises ValueError."""
    found = _HOST.fullmatch(text.strip())
    if found is None or not 0 < int(found["port"] or 1) < 65_536:
        raise ValueError("not a host, nor a host and port")
    return _plain(found["host"]), int(found["port"]) if found["port"] else None


def _plain(host: str) -> str:
    host = host.strip("[]").lower().rstrip(".")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # What is no name either: the old ways to write an IPv4 address, such as 127.1 or 0x7f000001.
        return re.fullmatch(r"(0x[0-9a-f]*|[0-9.]+)(\.(0x[0-9a-f]*|[0-9]+))*", host) is not None
    return True
