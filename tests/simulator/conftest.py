"""A simulator in the test's own loop, and the real SDK pointed at it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from anthropic import AsyncAnthropic

from flynn.simulator import Options, Scenario, SimulatorServer, parse_scenarios

Start = Callable[..., Awaitable[tuple[SimulatorServer, AsyncAnthropic]]]

MODEL = "claude-haiku-5-5"


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a simulator from YAML or scenarios; it ends with the test."""
    async with AsyncExitStack() as stack:

        async def begin(
            script: str | list[Scenario] = "", options: Options | None = None, **client: object
        ) -> tuple[SimulatorServer, AsyncAnthropic]:
            scenarios = (parse_scenarios(script) if script else []) if isinstance(script, str) else script
            server = await stack.enter_async_context(SimulatorServer(scenarios, options))
            settings: dict[str, object] = {"api_key": "test-key", "max_retries": 0, **client}
            sdk = AsyncAnthropic(base_url=server.url, **settings)  # type: ignore[arg-type] # test settings
            stack.push_async_callback(sdk.close)
            return server, sdk

        yield begin
