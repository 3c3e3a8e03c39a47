"""One model call: what is committed before it, what it streams, and what came of it."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import assert_never

from flynn.agent.budget import Budget
from flynn.agent.fold import Transcript
from flynn.agent.turns import Failed, Stop, Waits, Words
from flynn.domain import events as ev
from flynn.domain.blob import references
from flynn.domain.content import Block, text_block
from flynn.domain.errors import ModelFailure
from flynn.domain.usage import Usage
from flynn.model.claude import Claude
from flynn.model.failures import BrokenStream, Permanent, Refused, RetryLater, Truncated
from flynn.model.prices import cost
from flynn.model.request import ModelRequest
from flynn.model.stream import BlockDelta, BlockStarted, MessageReceived
from flynn.telemetry.crash_point import reach

ATTEMPTS = 3
"""Attempts of one call before the run waits for the model (NFR: three, with exponential back-off)."""
_REJECTED = (400, 413)
"""Answers of the provider that a file may be the reason of."""
SHORT_PAUSE = 2.0
"""Seconds up to which a pause is slept under the lease; longer ones wait in the database."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call came to: events to commit, then perhaps a stop, or seconds to pause before the next."""

    events: Sequence[ev.EventData]
    stop: Stop | None = None
    pause: float = 0.0


class Query:
    """Makes the calls of one run. `frame` is the request without messages, as the conversation froze it.

    `ceiling` is the largest `max_tokens` that a truncated answer is tried again with. `refused` is the
    note for the model after a refused exchange was taken back, `unreadable` that after one whose images
    or documents the API did not take.
    """

    def __init__(
        self,
        *,
        model: Claude,
        frame: ModelRequest,
        budget: Budget,
        ceiling: int,
        refused: str,
        unreadable: str,
    ) -> None:
        self._model = model
        self._frame = frame
        self._budget = budget
        self._ceiling = max(ceiling, frame.max_tokens)
        self._refused = refused
        self._unreadable = unreadable

    def start(self, transcript: Transcript, results: Sequence[ev.EventData]) -> ev.StepStarted:
        """The manifest of the next call, its digest, and the money reserved for it."""
        manifest, digest = transcript.preview(results)
        max_tokens = self._ceiling if transcript.run.truncations else self._frame.max_tokens
        prompt = self._budget.prompt_estimate(transcript, results)
        return ev.StepStarted(
            step=transcript.last_step + 1,
            attempt=transcript.run.failures + 1,
            input_seqs=manifest,
            model=self._frame.model,
            params={"max_tokens": max_tokens, "effort": self._frame.effort},
            request_digest=digest,
            reserved_nanodollars=self._budget.reservation(prompt, max_tokens),
        )

    async def ask(
        self, transcript: Transcript, started: ev.StepStarted, sink: Callable[[Words], None]
    ) -> Reply:
        """Make the call that `started` announced; every failure of the model is a reply."""
        request = replace(
            self._frame,
            messages=transcript.shelf.filled(transcript.messages(started.input_seqs)),
            max_tokens=started.params["max_tokens"],
        )
        try:
            return await self._stream(request, started.step, sink)
        except ModelFailure as failure:
            return self._failed(transcript, started, failure)

    async def _stream(self, request: ModelRequest, step: int, sink: Callable[[Words], None]) -> Reply:
        tools: dict[int, tuple[str | None, str | None]] = {}
        reach("model.before-request")
        async for item in self._model.stream(request):
            reach("model.item")
            match item:
                case BlockStarted():
                    tools[item.index] = (item.call_id, item.tool)
                    if item.tool:
                        sink(Words(step, item.index, "tool_input", "", item.call_id, item.tool))
                case BlockDelta():
                    sink(Words(step, item.index, item.kind, item.text, *tools.get(item.index, (None, None))))
                case MessageReceived():
                    return self._received(step, item)
                case _:
                    assert_never(item)
        raise BrokenStream("The stream ended without a message.")

    def _received(self, step: int, message: MessageReceived) -> Reply:
        spent = cost(self._frame.model, message.usage)
        # The API sends empty text blocks now and then, and refuses them when they come back.
        content = [b for b in message.content if b.get("type") != "text" or b.get("text")]
        if not content:
            detail = "The model ended its turn without a word."
            return Reply(
                [
                    ev.StepFailed(
                        step=step,
                        reason="empty",
                        detail=detail,
                        usage=message.usage,
                        nanodollars=spent,
                        request_id=message.request_id,
                    )
                ]
            )
        return Reply(
            [
                ev.MessageCompleted(
                    step=step,
                    message_id=message.message_id,
                    model=message.model,
                    stop_reason=message.stop_reason,
                    content=content,
                ),
                ev.StepCompleted(
                    step=step,
                    usage=message.usage,
                    nanodollars=spent,
                    duration_ms=message.duration_ms,
                    first_token_ms=message.first_token_ms,
                    request_id=message.request_id,
                ),
            ]
        )

    # -- failures ------------------------------------------------------------------------------------

    def _failed(self, transcript: Transcript, started: ev.StepStarted, failure: ModelFailure) -> Reply:
        match failure:
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
                event = self._event(started, failure, "permanent")
                return Reply([event], Failed("model-permanent", failure.detail))
            case _:
                raise failure

    def _event(
        self, started: ev.StepStarted, failure: ModelFailure, reason: ev.StepFailure, **more: object
    ) -> ev.StepFailed:
        usage = getattr(failure, "usage", Usage())
        return ev.StepFailed.model_validate(
            {
                "step": started.step,
                "reason": reason,
                "detail": failure.detail,
                "usage": usage,
                "nanodollars": cost(started.model, usage),
                "request_id": getattr(failure, "request_id", None),
                **more,
            }
        )

    def _again(
        self, transcript: Transcript, started: ev.StepStarted, failure: ModelFailure, after: float | None
    ) -> Reply:
        """Three attempts, exponential and jittered, never before the server says; then the run waits."""
        reason: ev.StepFailure = "broken_stream" if isinstance(failure, BrokenStream) else "retry"
        failures = transcript.run.failures + 1
        if failures < ATTEMPTS:
            pause = max(0.5 * 2 ** (failures - 1) * random.uniform(0.8, 1.2), after or 0.0)  # noqa: S311 jitter
        else:
            pause = max(min(30.0 * 2 ** (failures - ATTEMPTS), 300.0), after or 0.0)
        retry_at = datetime.now(UTC) + timedelta(seconds=pause)
        event = self._event(started, failure, reason, retry_at=retry_at)
        if failures < ATTEMPTS and pause <= SHORT_PAUSE:
            return Reply([event], pause=pause)
        detail = f"{failure.detail} (attempt {failures}; the next one at {retry_at:%H:%M:%S} UTC)"
        return Reply([event], Waits("model", detail, retry_at))

    def _truncated(self, started: ev.StepStarted, failure: Truncated) -> Reply:
        """Never run a cut answer's tools: ask again with more room; at the ceiling keep plain text."""
        event = self._event(started, failure, "truncated")
        if failure.stop_reason == "model_context_window_exceeded":
            detail = "The prompt has reached the model's context window. Go on in a new conversation."
            return Reply([event], Waits("context", detail))
        if started.params["max_tokens"] < self._ceiling:
            return Reply([event])
        if not _plain(failure.content):
            detail = f"The answer did not fit in {self._ceiling:,} tokens, twice."
            return Reply([event], Failed("truncated", detail))
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
        return self._received(started.step, message)

    def _refusal(self, transcript: Transcript, started: ev.StepStarted, failure: Refused) -> Reply:
        """Take back what was refused, so that the conversation can go on: results with their step."""
        kinds = transcript.kinds
        has_results = any(kinds[seq] == "result" for seq in started.input_seqs)
        event = self._event(
            started,
            failure,
            "refused",
            withdrawn_steps=[transcript.steps[-1].number] if has_results and transcript.steps else [],
            dropped_seqs=[seq for seq in started.input_seqs if kinds[seq] != "result"],
            content=[text_block(self._refused)],
        )
        return Reply([event], Failed("refused", failure.detail))

    def _shows(self, transcript: Transcript, started: ev.StepStarted) -> bool:
        """Whether the call was the first to send some image or document."""
        return any(True for _ in references(transcript.added(started.input_seqs)))

    def _taken_back(self, transcript: Transcript, started: ev.StepStarted, failure: Permanent) -> Reply:
        """Take back the step whose results the API does not take: sent again, they would fail again.

        The run goes on, once: not with a model that was told and does the same again.
        """
        read = transcript.steps[-1]
        told = any(transcript.kinds[seq] == "note" for seq in read.manifest)
        event = self._event(
            started,
            failure,
            "permanent",
            withdrawn_steps=[read.number],
            content=[text_block(self._unreadable)],
        )
        return Reply([event], Failed("model-permanent", failure.detail) if told else None)

    def lost(self, transcript: Transcript) -> ev.StepFailed:
        """The end of a call whose worker was lost: nobody knows its bill, so the reservation stands."""
        return self._unanswered(transcript, "worker_lost", "Its worker was lost during the call.")

    def cancelled(self, transcript: Transcript) -> Reply:
        """The end of a call that was stopped: billed at its reservation, since no bill came."""
        return Reply([self._unanswered(transcript, "cancelled", "The call was stopped.")])

    def _unanswered(self, transcript: Transcript, reason: ev.StepFailure, detail: str) -> ev.StepFailed:
        step = transcript.open_step
        if step is None:
            raise ValueError("no model call is open")
        return ev.StepFailed(step=step.number, reason=reason, detail=detail, nanodollars=step.reserved)


def _plain(content: Sequence[Block]) -> bool:
    """Whether a cut answer can stand as it is: text, and no tool call."""
    kinds = {b.get("type") for b in content}
    return "tool_use" not in kinds and any(b.get("type") == "text" and b.get("text") for b in content)
