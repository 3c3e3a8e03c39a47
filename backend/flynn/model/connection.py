"""The connection to the endpoint: one pool, and the key that holds now.

The key may change while calls are under way: they end with the one that they began with, and the next call
takes the new one. What the endpoint last said of the present key is kept, nothing else.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from anthropic import APIStatusError, AsyncAnthropic, Omit, Timeout

from flynn.domain.model_key import HOW_TO_GIVE, NO_KEY
from flynn.model.failures import KeyMissing
from flynn.model.switches import Switches

KEY_PAUSE = 300.0
"""Seconds after which a run looks again whether there is a key; it is woken when one is given."""

T = TypeVar("T")
Headers = dict[str, str | Omit]
Call = Callable[[AsyncAnthropic, Headers], Awaitable[T]]


def key_missing() -> KeyMissing:
    """Why nobody is called without a key."""
    return KeyMissing(
        f"{NO_KEY}, so the model cannot be called. {HOW_TO_GIVE}; any word will do for an endpoint that "
        "needs none.",
        retry_after=KEY_PAUSE,
        usage_final=True,
    )


class Connection:
    """Makes calls with the SDK's client. `key` gives the key that holds now, None or "" without one."""

    def __init__(
        self, key: Callable[[], str | None], *, base_url: str, switches: Switches, timeout: Timeout
    ) -> None:
        self._key = key
        self._base_url = base_url
        self._switches = switches
        self._timeout = timeout
        self._client: AsyncAnthropic | None = None
        self._making = asyncio.Lock()
        self._accepted: tuple[str, bool] | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a key."""
        return bool(self._key())

    @property
    def accepted(self) -> bool | None:
        """Whether the endpoint took the present key when it was last asked; None when it never was."""
        key, (said_of, accepted) = self._key(), self._accepted or ("", None)
        return accepted if key and key == said_of else None

    async def send(self, call: Call[T], *, key: str | None = None) -> T:
        """Let `call` send something, with the present key or with `key`; passes on whatever it raises.

        Raises KeyMissing when there is none.
        """
        key = key or self._key()
        if not key:
            raise key_missing()
        try:
            answer = await call(await self._with(key), self._headers(key))
        except APIStatusError as error:
            if error.status_code == 401:
                self._accepted = (key, False)
            raise
        self._accepted = (key, True)
        return answer

    async def close(self) -> None:
        """Close the pool. Calls that are under way fail."""
        if self._client is not None:
            await self._client.close()

    async def _with(self, key: str) -> AsyncAnthropic:
        """The SDK's client with `key`: each copy uses the one pool, which calls under way have too."""
        async with self._making:
            if self._client is None:
                # Aside: it loads modules and the system's certificates. On a busy machine that takes
                # longer than a lease can be without its heartbeat.
                self._client = await asyncio.to_thread(self._make, key)
            elif self._client.api_key != key:
                self._client = self._client.copy(api_key=key)
            return self._client

    def _make(self, key: str) -> AsyncAnthropic:
        """The first client, with the pool. Blocks."""
        # Without an explicit key the SDK would look for credentials in the environment and on disk.
        return AsyncAnthropic(
            api_key=key,
            base_url=self._base_url,
            max_retries=0,
            timeout=self._timeout,
            open_telemetry=False,
        )

    def _headers(self, key: str) -> Headers:
        headers: Headers = {"Content-Type": "application/json"}
        if self._switches.auth == "x-api-key":
            headers |= {"X-Api-Key": key, "Authorization": Omit()}
        if self._switches.betas:
            headers["anthropic-beta"] = ",".join(self._switches.betas)
        return headers
