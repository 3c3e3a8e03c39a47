"""The response of a call that was answered with success: is it a stream, and its rest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx2

from flynn.model.assembly import broken
from flynn.model.stream import Tally

_DRAIN_SECONDS = 0.1
_EXCERPT_BYTES = 2_000


async def check_is_stream(response: httpx2.Response, tally: Tally) -> None:
    """Raise BrokenStream if a success is no event stream, as from a proxy or a wrong base URL."""
    kind = response.headers.get("content-type", "text/event-stream")
    if kind.startswith("text/event-stream"):
        return
    excerpt = b""
    with suppress(httpx2.HTTPError):
        async for chunk in response.aiter_bytes():
            excerpt += chunk
            if len(excerpt) >= _EXCERPT_BYTES:
                break
    words = " ".join(excerpt[:_EXCERPT_BYTES].decode(errors="replace").split())
    raise broken(f"The endpoint answered with {kind}, not with an event stream: {words}", tally)


async def drain(events: AsyncIterator[Any]) -> None:
    """Read the rest after the message, usually the closing chunk, so that the connection is kept."""
    with suppress(TimeoutError, httpx2.HTTPError, httpx2.StreamError, ValueError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in events:
                continue
