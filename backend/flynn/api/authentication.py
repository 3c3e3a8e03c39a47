"""Who is knocking: keys to principals, remembered for a few seconds, at some doors through an outage."""

import asyncio
import time

from flynn.domain.errors import Unauthenticated
from flynn.domain.principal import Principal, key_digest
from flynn.store.outage import is_outage
from flynn.store.views import Views

REMEMBER = 3.0
"""Seconds for which a key that was good is not looked up again, here; a key revoked here is forgotten at
once."""

REMEMBER_AWAY = 3600.0
"""Seconds for which a key that was good still opens doors that tell of an outage, during one."""

PATIENCE = 2.0
"""Seconds after which a database that does not answer counts as away, at such doors."""

MOST = 10_000
"""Keys remembered."""


class Authenticator:
    """Finds the principal of a key."""

    def __init__(self, views: Views, *, remember: float = REMEMBER) -> None:
        self._views = views
        self._remember = remember
        self._known: dict[str, tuple[float, Principal]] = {}

    async def header(self, authorization: str, *, through_outage: bool = False) -> Principal:
        """The principal of an Authorization header. Raises Unauthenticated."""
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("Send your key as `Authorization: Bearer fly_…`.")
        return await self.key(key.strip(), through_outage=through_outage)

    async def key(self, key: str, *, through_outage: bool = False) -> Principal:
        """The principal of a key. Raises Unauthenticated for one that is unknown or revoked.

        With `through_outage` a key that was good here within REMEMBER_AWAY is while the database is away.
        """
        if not key.startswith("fly_"):
            raise Unauthenticated("This is no key of this service: its keys begin with `fly_`.")
        digest = key_digest(key)
        now = time.monotonic()
        since, principal = self._known.get(digest, (0.0, None))
        if principal is not None and now < since + self._remember:
            return principal
        try:
            async with asyncio.timeout(PATIENCE if through_outage else None):
                found = await self._views.authenticate(key)
        except Unauthenticated:
            self._known.pop(digest, None)
            raise
        except Exception as error:
            if through_outage and principal is not None and self._lately(digest, now) and is_outage(error):
                return principal
            raise
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[digest] = (now, found)
        return found

    def _lately(self, digest: str, now: float) -> bool:
        """Whether the key was good within REMEMBER_AWAY, and none was revoked here since."""
        since, principal = self._known.get(digest, (0.0, None))
        return principal is not None and now < since + REMEMBER_AWAY

    def forget(self) -> None:
        """Look every key up again: one was revoked."""
        self._known.clear()
