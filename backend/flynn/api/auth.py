"""Who is asking: the bearer key of a request, looked up and remembered for a few seconds."""

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Annotated

from fastapi import Depends, Request

from flynn.domain.errors import Unauthenticated
from flynn.domain.principal import Principal, key_digest

REMEMBERED_SECONDS = 3.0
"""How long a key is believed without asking again; a revoked key opens doors that long."""
MOST_REMEMBERED = 10_000


class Authenticator:
    """Turns keys into principals."""

    def __init__(self, authenticate: Callable[[str], Awaitable[Principal]]) -> None:
        self._authenticate = authenticate
        self._known: dict[str, tuple[float, Principal]] = {}

    async def principal(self, key: str | None) -> Principal:
        """Who `key` belongs to. Raises Unauthenticated."""
        if not key:
            raise Unauthenticated(
                "Send a key: Authorization: Bearer fly_… (`flynn keys create NAME` makes one)."
            )
        digest = key_digest(key)
        found = self._known.get(digest)
        if found and monotonic() < found[0]:
            return found[1]
        self._known.pop(digest, None)
        principal = await self._authenticate(key)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = (monotonic() + REMEMBERED_SECONDS, principal)
        return principal


def bearer(header: str | None) -> str | None:
    """The key of an Authorization header."""
    scheme, _, key = (header or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


async def current_principal(request: Request) -> Principal:
    """Who makes this request. Raises Unauthenticated."""
    authenticator: Authenticator = request.app.state.authenticator
    return await authenticator.principal(bearer(request.headers.get("authorization")))


Caller = Annotated[Principal, Depends(current_principal)]
