"""What the tests of the model room share: a client of a bare server, and a small request."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from flynn.model.claude import Claude
from flynn.model.request import ModelRequest
from tests.model.raw_server import Handler, RawServer, serving

Connect = Callable[..., Any]


@pytest.fixture
def request_() -> ModelRequest:
    return ModelRequest(
        model="claude-haiku-5-5",
        max_tokens=1_000,
        system=[{"type": "text", "text": "You are Flynn."}],
        tools=[{"name": "Bash", "description": "Runs.", "input_schema": {"type": "object"}}],
        messages=[{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        effort="medium",
    )


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """`await connect(handler, **options)` is a server that plays `handler`, and a client of it."""
    async with AsyncExitStack() as stack:

        async def _connect(handler: Handler, **options: Any) -> tuple[RawServer, Claude]:
            server = await stack.enter_async_context(serving(handler))
            options = {"api_key": "sk-test", "base_url": server.url, **options}
            claude = Claude(**options)
            stack.push_async_callback(claude.close)
            return server, claude

        yield _connect
