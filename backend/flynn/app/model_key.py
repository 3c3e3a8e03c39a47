"""The key of the model's API in a running process: which one holds, and what the doors do to it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import assert_never

from flynn.app.stored_key import StoredKey
from flynn.domain.errors import Conflict, InvalidInput, Unavailable
from flynn.domain.model_key import KeySource, ModelKeyOrder, ModelKeyView
from flynn.domain.principal import Principal, Scope
from flynn.model.claude import Claude
from flynn.model.failures import CallFailed
from flynn.settings import Settings
from flynn.telemetry.logging import get_logger
from flynn.telemetry.redaction import MARK, register_secret

CHECK_SECONDS = 15.0
"""How long the model's API may take to say what it thinks of a key."""

_log = get_logger("flynn.model-key")


class HeldKey:
    """The key that holds: ANTHROPIC_API_KEY, else the one in the data directory."""

    def __init__(self, settings: Settings) -> None:
        given = settings.anthropic_api_key
        self._given = given.get_secret_value() if given is not None else None
        if self._given:
            register_secret(self._given)
        self.stored = StoredKey(settings.data_dir, settings.anthropic_base_url)

    def read(self) -> str | None:
        """The key as it is now, None without one. Cheap: at most a look at the file's sign."""
        return self._given or self.stored.read()

    @property
    def source(self) -> KeySource:
        """Where the key comes from."""
        if self._given:
            return "environment"
        return "stored" if self.stored.read() else "none"


def words_of(source: KeySource) -> str:
    """Where a key comes from, in words; the key itself is in none of them."""
    match source:
        case "environment":
            return "key of ANTHROPIC_API_KEY"
        case "stored":
            return "key stored in the data directory"
        case "none":
            return "no key"
        case _:
            assert_never(source)


class ModelKeys:
    """The verbs on the key, for admins. `hasten` wakes the runs that wait for the model."""

    def __init__(
        self, held: HeldKey, *, client: Claude, address: str, hasten: Callable[[], Awaitable[None]]
    ) -> None:
        self._held = held
        self._client = client
        self._address = address
        self._hasten = hasten
        # Of two keys that are given at once, the one that was tried last is the one that is kept.
        self._changing = asyncio.Lock()

    def view(self, principal: Principal) -> ModelKeyView:
        """Whether there is a key, and where it comes from."""
        principal.need(Scope.ADMIN)
        return ModelKeyView(
            source=self._held.source,
            stored_at=self._held.stored.stored_at(),
            accepted=self._client.key_accepted,
            address=self._address,
        )

    async def give(self, principal: Principal, order: ModelKeyOrder) -> ModelKeyView:
        """Try the key, keep it, and let what waited for it go on.

        Raises Conflict while ANTHROPIC_API_KEY is set, InvalidInput for a key that the model's API refuses,
        Unavailable when it does not say, or the key cannot be kept; nothing is kept then.
        """
        principal.need(Scope.ADMIN)
        if self._held.source == "environment":
            raise Conflict(
                "ANTHROPIC_API_KEY is set for the service (in its environment or in .env) and wins over a "
                "key that is given here. Change it there, or unset it and start the service again."
            )
        key = order.key.get_secret_value()
        async with self._changing:
            if not order.unchecked:
                await self._check(key)
            await asyncio.to_thread(self._held.stored.write, key)
        _log.info("a key of the model's API was stored", by=principal.name, checked=not order.unchecked)
        await self._hasten()
        return self.view(principal)

    async def forget(self, principal: Principal) -> ModelKeyView:
        """Remove the stored key; calls under way end with it. Raises Conflict where there is none to remove
        and ANTHROPIC_API_KEY is the one that is used.
        """
        principal.need(Scope.ADMIN)
        async with self._changing:
            removed = await asyncio.to_thread(self._held.stored.remove)
        if removed:
            _log.info("the stored key of the model's API was removed", by=principal.name)
        elif self._held.source == "environment":
            raise Conflict(
                "The key is ANTHROPIC_API_KEY of the service's environment or of .env. Unset it there, and "
                "start the service again."
            )
        return self.view(principal)

    async def _check(self, key: str) -> None:
        """Raise unless the model's API takes `key`, or has no way to say so."""
        unchecked = "Nothing was kept; try again, or send `unchecked: true` to keep it as it is."
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                accepted = await self._client.try_key(key)
        except CallFailed as failure:
            said = failure.detail.replace(key, MARK)
            raise Unavailable(
                f"The key could not be checked: {self._address} gave no answer to go by ({said}). {unchecked}"
            ) from None
        except TimeoutError:
            raise Unavailable(
                f"The key could not be checked: {self._address} did not answer in {CHECK_SECONDS:g} s. "
                f"{unchecked}"
            ) from None
        if accepted is False:
            raise InvalidInput(
                f"The model's API at {self._address} refuses this key. Copy it once more, as a whole, or "
                "make a new one.",
                errors=[{"field": "key", "message": "is refused by the model's API"}],
            )
