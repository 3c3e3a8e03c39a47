"""The model as the settings say, and what follows when it goes away or comes back."""

from collections.abc import Callable

from flynn.app.rules import switches
from flynn.domain.readiness import Part
from flynn.model.breaker import Standing
from flynn.model.claude import Claude
from flynn.ops.readiness import model_part
from flynn.settings import Settings
from flynn.telemetry.metrics import Metrics


class Model:
    """The client of the endpoint, shared by all runs of the process, and its part of /ready."""

    def __init__(self, settings: Settings, *, api_key: str | None, metrics: Metrics) -> None:
        self._has_key = api_key is not None
        self._address = settings.anthropic_base_url
        self._metrics = metrics
        self._when_it_answers: list[Callable[[], None]] = []
        self.client = Claude(
            api_key=api_key,
            base_url=settings.anthropic_base_url,
            switches=switches(settings),
            idle_timeout_seconds=settings.model_idle_seconds,
            changed=self._changed,
        )

    def when_it_answers(self, act: Callable[[], None]) -> None:
        """Call `act` whenever a model answers again that did not."""
        self._when_it_answers.append(act)

    def part(self) -> Part:
        """How the model is, for /ready."""
        return model_part(key=self._has_key, address=self._address, standings=self.client.standings())

    def _changed(self, standing: Standing) -> None:
        if standing.state == "open":
            self._metrics.breaker_opened.labels(standing.model).inc()
        elif standing.state == "closed":
            for act in self._when_it_answers:
                act()
