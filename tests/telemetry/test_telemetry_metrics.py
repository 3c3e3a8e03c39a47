"""Metrics: what events count as, in bounded labels, in a registry of one's own."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flynn.domain import events as ev
from flynn.domain.tool_result import Outcome
from flynn.domain.usage import Usage
from flynn.telemetry.event_metrics import MOST_OPEN, EventMetrics
from flynn.telemetry.metrics import Metrics

MODEL = "claude-haiku-5-5"


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample that is not zero, as `name{label=value,…}`."""
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            if sample.value and not sample.name.startswith(("process_", "flynn_log_")):
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(tools=["Read", "Bash"], version="1.2.3")


@pytest.fixture
def counted(metrics: Metrics) -> EventMetrics:
    return EventMetrics(metrics)


def recorded(*events: ev.EventData) -> list[ev.Recorded]:
    conversation = uuid4()
    return [
        ev.Recorded(conversation_id=conversation, seq=i, at=datetime.now(UTC), run_id=None, event=event)
        for i, event in enumerate(events, start=1)
    ]


def started(model: str = MODEL, attempt: int = 1) -> ev.StepStarted:
    return ev.StepStarted(
        step=1,
        attempt=attempt,
        input_seqs=[1],
        model=model,
        params={},
        request_digest="",
        reserved_nanodollars=9,
    )


def test_a_step_is_counted_with_its_model(metrics: Metrics, counted: EventMetrics) -> None:
    usage = Usage(input=10, output=5, cache_read=100)
    done = ev.StepCompleted(step=1, usage=usage, nanodollars=2_500_000, duration_ms=1_500, first_token_ms=200)
    counted.observe(recorded(started(), done))
    found = samples(metrics)
    assert found[f"flynn_steps_total{{model={MODEL}}}"] == 1
    assert found[f"flynn_model_calls_total{{model={MODEL},outcome=ok}}"] == 1
    assert found[f"flynn_tokens_total{{class=cache_read,model={MODEL}}}"] == 100
    assert found[f"flynn_dollars_total{{model={MODEL},settlement=usage}}"] == 0.0025
    assert found[f"flynn_model_call_seconds_sum{{model={MODEL}}}"] == 1.5
    assert found[f"flynn_model_first_token_seconds_sum{{model={MODEL}}}"] == 0.2
    assert not any("retries" in name for name in found)


def test_a_failed_call_is_counted_by_reason_and_settlement(metrics: Metrics, counted: EventMetrics) -> None:
    failed = ev.StepFailed(step=1, reason="retry", detail="d", nanodollars=1_000_000, settlement="prompt")
    old = ev.StepFailed(step=1, reason="worker_lost", detail="d", nanodollars=3_000_000)
    counted.observe(recorded(started(), failed, started("claude-sonnet-5-5", attempt=2)))
    counted.observe(recorded(old))
    found = samples(metrics)
    assert found[f"flynn_model_calls_total{{model={MODEL},outcome=retry}}"] == 1
    assert found[f"flynn_dollars_total{{model={MODEL},settlement=prompt}}"] == 0.001
    assert found["flynn_model_retries_total{model=claude-sonnet-5-5}"] == 1
    # Which model a lost worker had asked is not known to the one that closes its call.
    assert found["flynn_dollars_total{model=unknown,settlement=worst_case}"] == 0.003


def test_a_tool_that_the_model_made_up_gets_no_label_of_its_own(
    metrics: Metrics, counted: EventMetrics
) -> None:
    def finished(tool: str) -> ev.ToolFinished:
        return ev.ToolFinished(
            step=1, call_id="c", tool=tool, outcome=Outcome.ERROR, content=[], duration_ms=250
        )

    counted.observe(recorded(*(finished(f"made-up-{i}") for i in range(50)), finished("Bash")))
    found = samples(metrics)
    assert found["flynn_tool_calls_total{outcome=error,tool=other}"] == 50
    assert found["flynn_tool_calls_total{outcome=error,tool=Bash}"] == 1
    assert found["flynn_tool_seconds_sum{tool=Bash}"] == 0.25
    assert not any("made-up" in name for name in found)


def test_runs_are_counted_by_their_ends(metrics: Metrics, counted: EventMetrics) -> None:
    ended = {"steps": 0, "usage": Usage(), "nanodollars": 0}
    counted.observe(
        recorded(
            ev.MessageSent(message_id=uuid4(), principal="p", text="t", content=[]),
            ev.RunCompleted(stop_reason="end_turn", **ended),
            ev.RunFailed(code="x", detail="d", **ended),
            ev.RunCancelled(principal="p"),
            ev.RunWaiting(reason="model", detail="d"),
        )
    )
    found = samples(metrics)
    assert {found[f"flynn_runs_ended_total{{state={s}}}"] for s in ("completed", "failed", "cancelled")} == {
        1
    }
    assert found["flynn_run_waits_total{reason=model}"] == 1
    assert found["flynn_messages_total"] == 1


def test_calls_that_never_ended_here_do_not_pile_up(counted: EventMetrics) -> None:
    for _ in range(MOST_OPEN + 5):
        counted.observe(recorded(started()))
    assert len(counted._models) <= MOST_OPEN


def test_each_service_has_a_registry_of_its_own(metrics: Metrics) -> None:
    other = Metrics(version="9")
    metrics.claims.inc()
    assert samples(other) == {"flynn_build_info{version=9}": 1}
    assert samples(metrics)["flynn_build_info{version=1.2.3}"] == 1
    assert samples(metrics)["flynn_claims_total"] == 1


def test_every_metric_is_described_and_named_as_it_is_shown(metrics: Metrics) -> None:
    shown = {f.name: f.type for f in text_string_to_metric_families(metrics.text().decode())}
    described = {d.name.removesuffix("_total"): d.kind for d in metrics.described}
    assert described == {name: kind for name, kind in shown.items() if name.startswith("flynn_")}
    assert all(d.sentence.endswith(".") for d in metrics.described)
    assert "_created" not in metrics.text().decode()
