"""The model as the settings say, and what follows when it goes away or comes back."""

from collections.abc import Callable

from flynn.app.model_key import HeldKey, words_of
from flynn.app.rules import switches
from flynn.domain.readiness import Part
from flynn.model.breaker import Standing
from flynn.model.claude import Claude
from flynn.ops.readiness import model_part
from flynn.settings import Settings
from flynn.telemetry.metrics import Metrics


class Model:
    """The client of the endpoint, shared by all runs of the process, its key, and its part of /ready.

    `works`: this process runs the agent, so that it needs a key.
    """

    def __init__(self, settings: Settings, *, works: bool, metrics: Metrics) -> None:
        self.key = HeldKey(settings)
        self.key.stored.sweep()
        self._works = works
        self._address = settings.anthropic_base_url
        self._metrics = metrics
        self._when_it_answers: list[Callable[[], None]] = []
        self.client = Claude(
            api_key=self.key.read,
            base_url=settings.anthropic_base_url,
            switches=switches(settings),
            idle_timeout_seconds=settings.model_idle_seconds,
            changed=self._changed,
        )

    def when_it_answers(self, act: Callable[[], None]) -> None:
        """Call `act` whenever a model answers again that did not."""
        self._when_it_answers.append(act)

    def keyless(self) -> bool:
        """Whether this process runs the agent and has no key for it."""
        return self._works and not self.key.read()

    def part(self) -> Part:
        """How the model is, for /ready."""
        source = self.key.source
        return model_part(
            key=words_of(source) if source != "none" else None,
            needed=self._works,
            accepted=self.client.key_accepted,
            address=self._address,
            standings=self.client.standings(),
        )

    def _changed(self, standing: Standing) -> None:
        if standing.state == "open":
            self._metrics.breaker_opened.labels(standing.model).inc()
        elif standing.state == "closed":
            for act in self._when_it_answers:
                act()
