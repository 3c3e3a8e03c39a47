"""What follows from a model call that gave nothing to adopt: again, more room, taken back, or a stop."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import assert_never

from flynn.agent.choice import Choice
from flynn.agent.fold import Transcript
from flynn.agent.pause import ATTEMPTS, LONGEST_ASKED, SHORT_PAUSE, pause_after
from flynn.agent.reply import Reply, received
from flynn.agent.step import FailedStep
from flynn.agent.turns import Failed, Waits
from flynn.domain import events as ev
from flynn.domain.blob import references
from flynn.domain.content import Block, text_block
from flynn.domain.errors import ModelFailure
from flynn.domain.usage import Usage
from flynn.model.failures import (
    BrokenStream,
    CallFailed,
    EndpointAway,
    Permanent,
    Refused,
    RetryLater,
    Truncated,
)
from flynn.model.prices import settled, settled_tokens
from flynn.model.stream import MessageReceived

_REJECTED = (400, 413)
"""Answers of the provider that a file may be the reason of."""


class FailedCalls:
    """Answers failures of one run's calls.

    `refused` is the note for the model after a refused exchange was taken back, `unreadable` that after
    one whose images or documents the API did not take.
    """

    def __init__(self, choice: Choice, *, refused: str, unreadable: str) -> None:
        self._choice = choice
        self._refused = refused
        self._unreadable = unreadable

    def reply(self, transcript: Transcript, started: ev.StepStarted, failure: ModelFailure) -> Reply:
        """What follows from `failure`, by its class."""
        match failure:
            case EndpointAway():
                # It is no attempt: the loop asks whom to call next, or waits.
                return [failed_event(started, failure, "held")]
            case RetryLater():
                return self._again(transcript, started, failure, failure.retry_after)
            case BrokenStream():
                return self._again(transcript, started, failure, None)
            case Truncated():
                return self._truncated(started, failure)
            case Refused():
                return self._refusal(transcript, started, failure)
            case Permanent() if failure.provider_status in _REJECTED and self._shows(transcript, started):
                return self._taken_back(transcript, started, failure)
            case Permanent():
                return [failed_event(started, failure, "permanent", sequel="fail")]
            case _:
                raise failure

    def _again(
        self, transcript: Transcript, started: ev.StepStarted, failure: ModelFailure, after: float | None
    ) -> Reply:
        """Three attempts, then the fallback if there is one; then the run waits and begins again."""
        reason: ev.StepFailure = "broken_stream" if isinstance(failure, BrokenStream) else "retry"
        failures = transcript.run.failures + 1
        if failures >= ATTEMPTS:
            event = failed_event(started, failure, reason)
            if self._choice.may_fall_back(transcript, started.model, spent=event.nanodollars):
                return [event]
        pause = pause_after(failures, after)
        sequel: ev.StepSequel | None = "wait" if after is None else "asked"
        if failures < ATTEMPTS and pause <= SHORT_PAUSE:
            sequel = None
        detail = failure.detail
        if after is not None and after > LONGEST_ASKED:
            detail += (
                f" The provider asks for a pause of {after / 3600:,.1f} hours; no more than one is kept."
            )
        retry_at = datetime.now(UTC) + timedelta(seconds=pause)
        return [failed_event(started, failure, reason, detail=detail, retry_at=retry_at, sequel=sequel)]

    def _truncated(self, started: ev.StepStarted, failure: Truncated) -> Reply:
        """Never run a cut answer's tools: ask again with more room; at the ceiling keep plain text."""
        if failure.stop_reason == "model_context_window_exceeded":
            return [failed_event(started, failure, "truncated", sequel="wait")]
        if started.params["max_tokens"] < self._choice.ceiling(started.model):
            return [failed_event(started, failure, "truncated")]
        if not _plain(failure.content):
            return [failed_event(started, failure, "truncated", sequel="fail")]
        message = MessageReceived(
            message_id=failure.request_id or "truncated",
            model=started.model,
            stop_reason=failure.stop_reason,
            content=failure.content,
            usage=failure.usage,
            request_id=failure.request_id,
            first_token_ms=None,
            duration_ms=0,
        )
        return received(started, message)

    def _refusal(self, transcript: Transcript, started: ev.StepStarted, failure: Refused) -> Reply:
        """Take back what was refused, so that the conversation can go on: results with their step."""
        kinds = transcript.kinds
        has_results = any(kinds[seq] == "result" for seq in started.input_seqs)
        event = failed_event(
            started,
            failure,
            "refused",
            withdrawn_steps=[transcript.steps[-1].number] if has_results and transcript.steps else [],
            dropped_seqs=[seq for seq in started.input_seqs if kinds[seq] != "result"],
            content=[text_block(self._refused)],
            sequel="fail",
        )
        return [event]

    def _shows(self, transcript: Transcript, started: ev.StepStarted) -> bool:
        """Whether the call was the first to send some image or document."""
        return any(True for _ in references(transcript.added(started.input_seqs)))

    def _taken_back(self, transcript: Transcript, started: ev.StepStarted, failure: Permanent) -> Reply:
        """Take back the step whose results the API does not take: sent again, they would fail again.

        The run goes on, once: not with a model that was told and does the same again.
        """
        read = transcript.steps[-1]
        told = any(transcript.kinds[seq] == "note" for seq in read.manifest)
        event = failed_event(
            started,
            failure,
            "permanent",
            withdrawn_steps=[read.number],
            content=[text_block(self._unreadable)],
            sequel="fail" if told else None,
        )
        return [event]


def failed_event(
    started: ev.StepStarted, failure: ModelFailure, reason: ev.StepFailure, **more: object
) -> ev.StepFailed:
    """The end of the call that `started` announced, charged by what is known of it; `more` are its fields."""
    usage = failure.usage if isinstance(failure, CallFailed) else Usage()
    spent, settlement = settled(
        started.model,
        usage,
        final=isinstance(failure, CallFailed) and failure.usage_final,
        max_tokens=started.params["max_tokens"],
        reserved=started.reserved_nanodollars,
    )
    return ev.StepFailed.model_validate(
        {
            "step": started.step,
            "reason": reason,
            "detail": failure.detail,
            "usage": usage,
            "nanodollars": spent,
            "tokens": settled_tokens(
                usage,
                settlement,
                max_tokens=started.params["max_tokens"],
                reserved=started.reserved_tokens,
            ),
            "settlement": settlement,
            "request_id": getattr(failure, "request_id", None),
            **more,
        }
    )


def sequel(transcript: Transcript) -> Failed | Waits | None:
    """What the last call brings the run to, if it failed and nothing has followed it yet.

    It is in the log, so that the run comes to the same whether its worker lives or another takes over.
    """
    failed = transcript.run.failed
    if failed is None:
        return None
    event = failed.event
    match event.sequel:
        case None:
            return None
        case "fail":
            return _failure(failed)
        case "wait" | "asked" if event.reason == "truncated":
            detail = "The prompt has reached the model's context window. Go on in a new conversation."
            return Waits("context", detail)
        case "wait" | "asked":
            # Words are answered at once, and so is whoever's time has come.
            at = event.retry_at
            if at is None or at <= datetime.now(UTC) or transcript.unanswered(after=failed.seq):
                return None
            number = transcript.run.failures
            detail = f"{event.detail} (attempt {number}; the next one at {at:%H:%M:%S} UTC)"
            return Waits("model", detail, at, after=transcript.seq, asked=event.sequel == "asked")
        case _:
            assert_never(event.sequel)


def rest(transcript: Transcript) -> float:
    """Seconds to pause before the next attempt, after a failure that is tried again soon; else 0."""
    failed = transcript.run.failed
    if failed is None or failed.event.sequel is not None or failed.event.retry_at is None:
        return 0.0
    # The clock of the worker that wrote it may be ahead of ours.
    left = (failed.event.retry_at - datetime.now(UTC)).total_seconds()
    return min(max(left, 0.0), SHORT_PAUSE)


def _failure(failed: FailedStep) -> Failed:
    match failed.event.reason:
        case "refused":
            return Failed("refused", failed.event.detail)
        case "truncated":
            return Failed("truncated", f"The answer did not fit in {failed.max_tokens:,} tokens, twice.")
        case _:
            return Failed("model-permanent", failed.event.detail)


def _plain(content: Sequence[Block]) -> bool:
    """Whether a cut answer can stand as it is: text, and no tool call."""
    kinds = {b.get("type") for b in content}
    return "tool_use" not in kinds and any(b.get("type") == "text" and b.get("text") for b in content)
