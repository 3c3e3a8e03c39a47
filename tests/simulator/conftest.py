"""A simulator in the test's own loop, the real SDK pointed at it, and a bare HTTP client."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from anthropic import AsyncAnthropic

from flynn.simulator import Options, Scenario, SimulatorServer, parse_scenarios
from tests.loopback import CLEAR

Start = Callable[..., Awaitable[tuple[SimulatorServer, AsyncAnthropic]]]
Dial = Callable[..., Awaitable[httpx2.AsyncClient]]

HEADERS = {"x-api-key": "test-key", "anthropic-version": "2026-10-21"}


def _scenarios(script: str | Sequence[Scenario]) -> Sequence[Scenario]:
    if isinstance(script, str):
        return parse_scenarios(script) if script else []
    return script


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a simulator from YAML or scenarios and point the SDK at it; both end with the test."""
    async with AsyncExitStack() as stack:

        async def begin(
            script: str | Sequence[Scenario] = "", options: Options | None = None, **client: Any
        ) -> tuple[SimulatorServer, AsyncAnthropic]:
            server = await stack.enter_async_context(SimulatorServer(_scenarios(script), options))
            settings: dict[str, Any] = {"api_key": "test-key", "max_retries": 0, **client}
            sdk = AsyncAnthropic(base_url=server.url, **settings)
            stack.push_async_callback(sdk.close)
            return server, sdk

        yield begin


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    """Start a simulator and open a bare HTTP client to it, with a key and the API's version."""
    async with AsyncExitStack() as stack:

        async def begin(
            script: str | Sequence[Scenario] = "", options: Options | None = None
        ) -> httpx2.AsyncClient:
            server = await stack.enter_async_context(SimulatorServer(_scenarios(script), options))
            client = httpx2.AsyncClient(base_url=server.url, headers=HEADERS, trust_env=False, verify=CLEAR)
            return await stack.enter_async_context(client)

        yield begin
