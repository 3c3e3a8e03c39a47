"""The limits of a run and of its task, checked before each model call, and time before each tool too.

What a principal may spend in a day is kept where the runs of all processes meet: the call is reserved there
when its start is committed (`flynn.store.spending`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from flynn.agent.estimate import tokens_of, tokens_of_media
from flynn.agent.fold import Transcript
from flynn.agent.pause import ATTEMPTS, pause_after
from flynn.agent.reached import (
    run_context,
    run_dollars,
    run_turns,
    task_dollars,
    task_minutes,
    task_tokens,
    task_turns,
)
from flynn.agent.turns import Waits
from flynn.domain import events as ev
from flynn.domain.content import Block
from flynn.model.claude import Claude
from flynn.model.failures import CallFailed, EndpointAway, Permanent
from flynn.model.prices import worst_case
from flynn.model.request import ModelRequest

GRACE_SECONDS = 10.0
"""How long what a tool does may go on when the minutes of its task are used up."""


def _no_time() -> float:
    return 0.0


def _endless() -> int | None:
    return None


class Budget:
    """Reserves before each call: what is used plus the worst that the call can cost.

    `at_work` gives the seconds that all runs of the task were at work until now, `day_left` the nano-dollars
    that the run's principal may still spend today as far as this process knows, None without a limit.
    """

    def __init__(
        self,
        *,
        model: Claude,
        frame: ModelRequest,
        at_work: Callable[[], float] = _no_time,
        day_left: Callable[[], int | None] = _endless,
    ) -> None:
        self._model = model
        self._frame = frame
        self._at_work = at_work
        self._day_left = day_left
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
        """Whether a call of `model` is within every limit, once `spent` nano-dollars are gone as well.

        Of run, task and day; but the day is others' too, and has the last word when the call is reserved.
        """
        run, prompt = transcript.run, self.prompt_estimate(transcript, results)
        wanted = spent + self.reservation(model, prompt, max_tokens)
        if run.turns >= run.limits.turns or run.nanodollars + wanted > run.limits.nanodollars:
            return False
        day_left = self._day_left()
        if day_left is not None and wanted > day_left:
            return False
        return self._task(transcript, prompt + max_tokens, wanted) is None

    def time_up(self, transcript: Transcript) -> Waits | None:
        """What the run has to wait for because its task was at work for as long as it may be."""
        limits, used = transcript.task.limits, self._at_work()
        if limits.seconds is None or used < limits.seconds:
            return None
        return task_minutes(used, limits.seconds, limits)

    def seconds_left(self, transcript: Transcript) -> float | None:
        """How long what a tool does may take from now on, grace included; None without a limit."""
        seconds = transcript.task.limits.seconds
        return None if seconds is None else max(0.0, seconds - self._at_work()) + GRACE_SECONDS

    def _task(self, transcript: Transcript, tokens: int, nanodollars: int) -> Waits | None:
        """What the run has to wait for because its task cannot pay a call of so many tokens and money."""
        task, limits = transcript.task, transcript.task.limits
        if limits.turns is not None and task.turns >= limits.turns:
            return task_turns(task.turns, limits.turns, limits)
        if late := self.time_up(transcript):
            return late
        if limits.tokens is not None and task.tokens + tokens > limits.tokens:
            return task_tokens(task.tokens, tokens, limits.tokens, limits)
        if limits.nanodollars is not None and task.nanodollars + nanodollars > limits.nanodollars:
            return task_dollars(task.nanodollars, nanodollars, limits.nanodollars, limits)
        return None

    async def exceeded(
        self, transcript: Transcript, results: Sequence[ev.EventData], *, model: str, max_tokens: int
    ) -> Waits | None:
        """What the run has to wait for before a call of `model` with so much room, if anything."""
        run, limits = transcript.run, transcript.run.limits
        if run.turns >= limits.turns:
            return run_turns(run.turns, limits)
        prompt = self.prompt_estimate(transcript, results)
        if prompt > limits.prompt_tokens:
            try:
                prompt = await self._count(transcript, results, model) or prompt
            except Permanent:
                pass  # a server that does not count this; the estimate stands
            except CallFailed as failure:
                return _unmeasured(failure)
        if prompt > limits.prompt_tokens:
            return run_context(prompt, limits)
        # As it will be reserved: a measure below the estimate is for the size of the prompt alone.
        prompt = self.prompt_estimate(transcript, results)
        reserved = self.reservation(model, prompt, max_tokens)
        if run.nanodollars + reserved > limits.nanodollars:
            return run_dollars(run.nanodollars, reserved, limits)
        return self._task(transcript, prompt + max_tokens, reserved)

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
