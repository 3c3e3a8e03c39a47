"""One signed post to one destination, by Standard Webhooks; of the answer only the status counts.

The address that a host's name leads to is looked up once, judged, and connected to; a second judgement
stands where the socket is made, so that nothing can come in between. No proxy of the environment is used,
no redirect followed, no cookie kept, no body read.
"""

import asyncio
import socket
import ssl
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from standardwebhooks import Webhook
from yarl import URL

from flynn import __version__
from flynn.domain.destination import Destination, Destinations, is_public
from flynn.telemetry.redaction import redact

TIMEOUT_SECONDS = 10.0
"""How long a post may take, from the look-up of the name to the answer's status."""

LOOKUPS = 16
"""Names that are looked up at a time."""

GONE = 410
"""The status by which a receiver says that it wants no more (Standard Webhooks)."""

Outcome = Literal["delivered", "failed", "refused", "gone"]
"""What became of a post. `refused`: by us, since the destination may not be called; `gone`: by its status."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a post, and in words why it was not taken."""

    outcome: Outcome
    detail: str = ""


class AddressRefused(OSError):
    """The destination leads to an address that may not be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A message on its way: `body` is what is signed, with the secret `secret`."""

    message_id: str
    url: str
    body: str = field(repr=False)
    secret: str = field(repr=False)


class Webhooks:
    """Posts messages. `tls` is the context for https, the system's certificates unless it is given."""

    def __init__(
        self,
        destinations: Destinations,
        *,
        tls: ssl.SSLContext | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._destinations = destinations
        self._tls: ssl.SSLContext | Literal[True] = tls or True
        # Threads of their own: a name server that hangs is not to take those that tools read files in.
        self._lookups = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="flynn-lookup")
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._seconds = timeout_seconds

    async def __call__(self, post: Post) -> Answer:
        """Send `post` once. Raises nothing but CancelledError and what is a defect of ours."""
        try:
            destination = Destination.read(post.url)
            self._destinations.check(destination)
        except ValueError as error:
            return Answer("refused", f"The address {error}.")
        guard = Guard(trusted=self._destinations.trusts(destination), lookups=self._lookups)
        try:
            status = await self._status(destination, post, guard)
        except TimeoutError:
            return Answer("failed", f"There was no answer within {self._seconds:g} seconds.")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if guard.refused is not None:
                return Answer(
                    "refused",
                    f"{destination.host} leads to {guard.refused}, which is no public address: the operator "
                    "may name the host in FLYNN_WEBHOOK_HOSTS.",
                )
            return Answer("failed", redact(_in_words(error)))
        if 200 <= status < 300:
            return Answer("delivered")
        if status == GONE:
            return Answer("gone", "The receiver answered 410: it wants no more.")
        if 300 <= status < 400:
            return Answer("failed", f"The receiver answered {status}: redirects are not followed.")
        return Answer("failed", f"The receiver answered {status}.")

    async def _status(self, destination: Destination, post: Post, guard: "Guard") -> int:
        connector = aiohttp.TCPConnector(
            resolver=guard,
            socket_factory=guard.socket,
            ssl=self._tls,
            use_dns_cache=False,
            force_close=True,
            limit=1,
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.post(
                URL(destination.url, encoded=True),
                data=post.body.encode(),
                headers=_headers(post),
                allow_redirects=False,
            ) as response,
        ):
            return response.status


class Guard(AbstractResolver):
    """Looks names up and makes sockets, both only where the destination may lead.

    `trusted` destinations may lead anywhere; `lookups` are the threads to look up in. `refused` is the
    address that was not called.
    """

    def __init__(self, *, trusted: bool, lookups: Executor | None = None) -> None:
        self._trusted = trusted
        self._lookups = lookups
        self.refused: str | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises AddressRefused if one of them may not be called."""
        look_up = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._lookups, look_up)
        for address in found:
            self.judge(str(address[4][0]))
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
        ]

    def socket(self, address: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        """A socket that is about to be connected to `address`. Raises AddressRefused."""
        family, kind, protocol, _, where = address
        self.judge(str(where[0]))
        return socket.socket(family, kind, protocol)

    def judge(self, address: str) -> None:
        """Raise AddressRefused unless `address` may be called."""
        if not self._trusted and not is_public(address):
            self.refused = address
            raise AddressRefused(f"{address} may not be called")

    async def close(self) -> None:
        """Nothing is kept."""


def _headers(post: Post) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "content-type": "application/json",
        "user-agent": f"Flynn/{__version__}",
        "webhook-id": post.message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(post.secret).sign(post.message_id, now, post.body),
    }


def _in_words(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"The receiver's certificate is not good: {error.certificate_error}"[:300]
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            return "The host's name leads to no address."
        case aiohttp.ClientConnectorError():
            return f"The receiver cannot be reached: {error.os_error.strerror or error.os_error}."[:300]
        case aiohttp.ServerDisconnectedError():
            return "The receiver closed the connection without an answer."
        case _:
            return f"The receiver's answer cannot be read: {type(error).__name__}."
