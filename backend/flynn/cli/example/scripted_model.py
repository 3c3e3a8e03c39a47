"""The scripted model of the example: the simulator with the scenarios that come along."""

import secrets

from pydantic import SecretStr

from flynn.app.agents import asset
from flynn.settings import Settings
from flynn.simulator import Options, Pacing, SimulatorServer, load_scenarios

SCENARIOS = ("update-ci-again", "update-ci", "fallback")
"""Files of examples/scenarios, in the order in which they are asked whether they match."""

WATCHABLE = Pacing(first_token_ms=400, tokens_per_second=60)
"""The pace where somebody watches."""

AT_ONCE = Pacing()


class ScriptedModel:
    """A model on a port of the loopback. An asynchronous context manager."""

    def __init__(self, *, watchable: bool) -> None:
        """`watchable`: it speaks at a pace that people can follow, else as fast as it can."""
        scripted = asset("examples") / "scenarios"
        scenarios = [s for name in SCENARIOS for s in load_scenarios(scripted / f"{name}.yaml")]
        self._key = secrets.token_urlsafe(24)
        self._server = SimulatorServer(
            scenarios, Options(pacing=WATCHABLE if watchable else AT_ONCE, keys=frozenset([self._key]))
        )

    async def __aenter__(self) -> "ScriptedModel":
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.stop()

    def settings(self, settings: Settings) -> Settings:
        """`settings` with this model in the place of Claude."""
        scripted = {
            "anthropic_base_url": self._server.url,
            "anthropic_api_key": SecretStr(self._key),
            "endpoint_auth": "x-api-key",
            "endpoint_cache": True,
            "endpoint_effort": True,
            "endpoint_structured": True,
            "endpoint_count_tokens": True,
            "fallback_model": None,
        }
        return settings.model_copy(update=scripted)
