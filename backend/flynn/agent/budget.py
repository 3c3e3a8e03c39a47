"""The limits of a run, checked before each model call: turns, dollars, and the size of the prompt."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from flynn.agent.estimate import tokens_of, tokens_of_media
from flynn.agent.fold import Transcript
from flynn.agent.pause import ATTEMPTS, pause_after
from flynn.agent.turns import Waits
from flynn.domain import events as ev
from flynn.domain.content import Block
from flynn.domain.usage import dollars
from flynn.model.claude import Claude
from flynn.model.failures import CallFailed, EndpointAway, Permanent
from flynn.model.prices import worst_case
from flynn.model.request import ModelRequest


class Budget:
    """Reserves before each call: what the run has used plus the worst that the call can cost."""

    def __init__(self, *, model: Claude, frame: ModelRequest) -> None:
        self._model = model
        self._frame = frame
        self._frame_tokens = tokens_of([*frame.system, *frame.tools])

    def prompt_estimate(self, transcript: Transcript, results: Sequence[ev.EventData] = ()) -> int:
        """A high estimate of the next prompt: what the last call measured, and what has come since."""
        added: list[Block] = [b for seq in transcript.pending for b in transcript.inputs[seq]]
        if transcript.open_step:
            added += transcript.added(list(transcript.open_step.manifest))
        added += [b for r in results if isinstance(r, ev.ToolFinished) for b in r.content]
        known = transcript.context_tokens
        if not known:
            messages = transcript.messages()
            known = self._frame_tokens + tokens_of(messages)
            known += sum(tokens_of_media(message["content"]) for message in messages)
        return known + tokens_of(added) + tokens_of_media(added)

    def reservation(self, model: str, prompt_tokens: int, max_tokens: int) -> int:
        """The most that such a call of `model` can cost, in nano-dollars."""
        return worst_case(model, prompt_tokens=prompt_tokens, max_tokens=max_tokens)

    def affords(
        self,
        transcript: Transcript,
        results: Sequence[ev.EventData] = (),
        *,
        model: str,
        max_tokens: int,
        spent: int = 0,
    ) -> bool:
        """Whether the dollars of the run are enough for a call of `model`, once `spent` are gone as well."""
        run = transcript.run
        prompt = self.prompt_estimate(transcript, results)
        return run.nanodollars + spent + self.reservation(model, prompt, max_tokens) <= run.limits.nanodollars

    async def exceeded(
        self, transcript: Transcript, results: Sequence[ev.EventData], *, model: str, max_tokens: int
    ) -> Waits | None:
        """What the run has to wait for before a call of `model` with so much room, if anything."""
        run, limits = transcript.run, transcript.run.limits
        if run.turns >= limits.turns:
            detail = f"The run has used its {limits.turns} turns. Raise the limit to go on."
            return Waits("turns", detail, limits=limits)
        prompt = self.prompt_estimate(transcript, results)
        if prompt > limits.prompt_tokens:
            try:
                prompt = await self._count(transcript, results, model) or prompt
            except Permanent:
                pass  # a server that does not count this; the estimate stands
            except CallFailed as failure:
                return _unmeasured(failure)
        if prompt > limits.prompt_tokens:
            return Waits(
                "context",
                f"The next prompt would have about {prompt:,} tokens; the limit is "
                f"{limits.prompt_tokens:,}, because calls above 100,000 cost five times as much. "
                "Raise the limit to go on at that price, or go on in a new conversation.",
                limits=limits,
            )
        reserved = self.reservation(model, prompt, max_tokens)
        if run.nanodollars + reserved > limits.nanodollars:
            return Waits(
                "dollars",
                f"The run has used ${dollars(run.nanodollars):.4f} and the next call could cost "
                f"${dollars(reserved):.4f}; the limit is ${dollars(limits.nanodollars):.4f}. "
                "Raise it to go on.",
                limits=limits,
            )
        return None

    async def _count(self, transcript: Transcript, results: Sequence[ev.EventData], model: str) -> int | None:
        held = transcript.added(transcript.manifest())
        fresh = [b for r in results if isinstance(r, ev.ToolFinished) for b in r.content]
        cut = sum(transcript.kinds[s] == "result" for s in transcript.pending)
        added = [*held[:cut], *fresh, *held[cut:]]
        messages = transcript.messages()
        if added:
            messages.append({"role": "user", "content": added})
        return await self._model.count_tokens(
            replace(self._frame, model=model, messages=transcript.shelf.filled(messages))
        )


def _unmeasured(failure: CallFailed) -> Waits:
    """The prompt may be too large and the model is away, so that nobody can count it."""
    pause = pause_after(ATTEMPTS, failure.retry_after)
    retry_at = datetime.now(UTC) + timedelta(seconds=pause)
    detail = f"The next prompt cannot be measured: {failure.detail} (tried again {retry_at:%H:%M:%S} UTC)"
    # A breaker names a time too, and so does a key that is missing; but then nobody asks for the pause.
    asked = failure.retry_after is not None and not isinstance(failure, EndpointAway)
    return Waits("model", detail, retry_at, asked=asked)
