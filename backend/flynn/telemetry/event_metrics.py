"""Counts what is committed: the events that one process appended, as they are about to be published."""

from collections.abc import Sequence
from uuid import UUID

from flynn.domain import events as ev
from flynn.domain.usage import Usage, dollars
from flynn.telemetry.metrics import Metrics

MOST_OPEN = 10_000
"""Open calls whose model is remembered. A call that another process ended is forgotten with the others."""

_UNKNOWN = "unknown"


class EventMetrics:
    """Turns events into counts. `observe` gets each event once, in the process that committed it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._models: dict[UUID, str] = {}

    def observe(self, recorded: Sequence[ev.Recorded]) -> None:
        """Count what was committed."""
        for item in recorded:
            self._count(item.conversation_id, item.event)

    def _count(self, conversation_id: UUID, event: ev.EventData) -> None:
        metrics = self._metrics
        match event:
            case ev.MessageSent():
                metrics.messages.inc()
            case ev.RunCompleted():
                metrics.ended.labels("completed").inc()
            case ev.RunFailed():
                metrics.ended.labels("failed").inc()
            case ev.RunCancelled():
                metrics.ended.labels("cancelled").inc()
            case ev.RunWaiting():
                metrics.waits.labels(event.reason).inc()
            case ev.StepStarted():
                self._begin(conversation_id, event)
            case ev.StepCompleted():
                self._complete(self._models.pop(conversation_id, _UNKNOWN), event)
            case ev.StepFailed():
                model = self._models.pop(conversation_id, _UNKNOWN)
                metrics.calls.labels(model, event.reason).inc()
                self._charge(model, event.usage, event.nanodollars, event.settlement or "worst_case")
            case ev.ToolFinished():
                tool = metrics.tool(event.tool)
                metrics.tool_calls.labels(tool, event.outcome.value).inc()
                metrics.tool_seconds.labels(tool).observe(event.duration_ms / 1000)
            case _:
                pass  # nothing of it is counted

    def _begin(self, conversation_id: UUID, event: ev.StepStarted) -> None:
        if len(self._models) >= MOST_OPEN:
            self._models.clear()
        self._models[conversation_id] = event.model
        if event.attempt > 1:
            self._metrics.retries.labels(event.model).inc()

    def _complete(self, model: str, event: ev.StepCompleted) -> None:
        metrics = self._metrics
        metrics.steps.labels(model).inc()
        metrics.calls.labels(model, "ok").inc()
        metrics.call_seconds.labels(model).observe(event.duration_ms / 1000)
        if event.first_token_ms is not None:
            metrics.first_token_seconds.labels(model).observe(event.first_token_ms / 1000)
        self._charge(model, event.usage, event.nanodollars, "usage")

    def _charge(self, model: str, usage: Usage, nanodollars: int, settlement: ev.Settlement) -> None:
        for name, count in usage.model_dump().items():
            if count:
                self._metrics.tokens.labels(model, name).inc(count)
        if nanodollars:
            self._metrics.dollars.labels(model, settlement).inc(dollars(nanodollars))
