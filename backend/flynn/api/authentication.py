"""Who is knocking: keys to principals, remembered for a few seconds."""

import time

from flynn.domain.errors import Unauthenticated
from flynn.domain.principal import Principal, key_digest
from flynn.store.views import Views

REMEMBER = 3.0
"""Seconds for which a key that was good is not looked up again, here; a key revoked here is forgotten at
once."""

MOST = 10_000
"""Keys remembered."""


class Authenticator:
    """Finds the principal of a key."""

    def __init__(self, views: Views, *, remember: float = REMEMBER) -> None:
        self._views = views
        self._remember = remember
        self._known: dict[str, tuple[float, Principal]] = {}

    async def header(self, authorization: str) -> Principal:
        """The principal of an Authorization header. Raises Unauthenticated."""
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("Send your key as `Authorization: Bearer fly_…`.")
        return await self.key(key.strip())

    async def key(self, key: str) -> Principal:
        """The principal of a key. Raises Unauthenticated for one that is unknown or revoked."""
        if not key.startswith("fly_"):
            raise Unauthenticated("This is no key of this service: its keys begin with `fly_`.")
        digest = key_digest(key)
        now = time.monotonic()
        until, principal = self._known.get(digest, (0.0, None))
        if principal is not None and now < until:
            return principal
        self._known.pop(digest, None)
        principal = await self._views.authenticate(key)
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[digest] = (now + self._remember, principal)
        return principal

    def forget(self) -> None:
        """Look every key up again: one was revoked."""
        self._known.clear()
