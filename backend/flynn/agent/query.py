"""One model call: what is committed before it, what it streams, and what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import assert_never

from flynn.agent.account import Accounts
from flynn.agent.budget import Budget
from flynn.agent.choice import Choice, Plan
from flynn.agent.failed_call import FailedCalls
from flynn.agent.fold import Transcript
from flynn.agent.reply import Reply, received
from flynn.agent.step import Step
from flynn.agent.turns import Words
from flynn.domain import events as ev
from flynn.domain.content import Json
from flynn.domain.errors import ModelFailure
from flynn.model.claude import Claude
from flynn.model.failures import BrokenStream
from flynn.model.prices import settled, settled_tokens
from flynn.model.request import ModelRequest
from flynn.model.stream import BlockDelta, BlockStarted, MessageReceived, ModelStream
from flynn.telemetry.crash_point import reach


class Query:
    """Makes the calls of one run. `frame` is the request without messages, as the conversation froze it."""

    def __init__(
        self,
        *,
        model: Claude,
        frame: ModelRequest,
        budget: Budget,
        choice: Choice,
        failed: FailedCalls,
        accounts: Accounts,
    ) -> None:
        self._model = model
        self._frame = frame
        self._budget = budget
        self._choice = choice
        self._failed = failed
        self._accounts = accounts
        self._answer: ModelStream | None = None
        """The answer of the open call, once it is made."""

    def start(self, transcript: Transcript, results: Sequence[ev.EventData], plan: Plan) -> ev.StepStarted:
        """The manifest of the next call, its digest, and the money reserved for it."""
        self._answer = None
        manifest, digest = transcript.preview(results, other=self._choice.other(plan), account=plan.account)
        prompt = self._budget.prompt_estimate(transcript, results)
        return ev.StepStarted(
            step=transcript.last_step + 1,
            attempt=transcript.run.failures + 1,
            input_seqs=manifest,
            model=plan.model,
            params=_params(plan),
            request_digest=digest,
            reserved_nanodollars=self._budget.reservation(plan.model, prompt, plan.max_tokens),
            reserved_tokens=prompt + plan.max_tokens,
        )

    async def ask(
        self, transcript: Transcript, started: ev.StepStarted, sink: Callable[[Words], None]
    ) -> Reply:
        """Make the call that `started` announced; every failure of the model is a reply."""
        request = replace(
            self._frame,
            model=started.model,
            effort=started.params["effort"],
            messages=transcript.shelf.filled(transcript.messages(started.input_seqs)),
            max_tokens=started.params["max_tokens"],
            format=started.params.get("format"),
        )
        account = bool(started.params.get("account"))
        try:
            # An account is no word of the conversation: whoever watches sees it in the report.
            message = await self._stream(request, started, _unheard if account else sink)
        except ModelFailure as failure:
            return (self._accounts.failed if account else self._failed.reply)(transcript, started, failure)
        return (
            self._accounts.received(transcript, started, message) if account else received(started, message)
        )

    async def _stream(
        self, request: ModelRequest, started: ev.StepStarted, sink: Callable[[Words], None]
    ) -> MessageReceived:
        step = started.step
        tools: dict[int, tuple[str | None, str | None]] = {}
        reach("model.before-request")
        self._answer = self._model.stream(request)
        async for item in self._answer:
            reach("model.item")
            match item:
                case BlockStarted():
                    tools[item.index] = (item.call_id, item.tool)
                    if item.tool:
                        sink(Words(step, item.index, "tool_input", "", item.call_id, item.tool))
                case BlockDelta():
                    sink(Words(step, item.index, item.kind, item.text, *tools.get(item.index, (None, None))))
                case MessageReceived():
                    return item
                case _:
                    assert_never(item)
        raise BrokenStream("The stream ended without a message.")

    def lost(self, transcript: Transcript) -> ev.StepFailed:
        """The end of a call whose worker was lost: nobody knows its bill, so the reservation stands."""
        step = _open(transcript)
        return ev.StepFailed(
            step=step.number,
            reason="worker_lost",
            detail="Its worker was lost during the call.",
            nanodollars=step.reserved,
            tokens=step.reserved_tokens,
            settlement="worst_case",
        )

    def cancelled(self, transcript: Transcript) -> Reply:
        """The end of a call that was stopped: billed by what the provider had said of it until then."""
        step = _open(transcript)
        answer = self._answer
        if answer is None:
            nothing = "The run was stopped before the call was made."
            event = ev.StepFailed(step=step.number, reason="cancelled", detail=nothing, settlement="usage")
            return [event]
        spent, settlement = settled(
            step.model,
            answer.usage,
            final=answer.usage_final,
            max_tokens=step.max_tokens,
            reserved=step.reserved,
        )
        event = ev.StepFailed(
            step=step.number,
            reason="cancelled",
            detail="The call was stopped.",
            usage=answer.usage,
            nanodollars=spent,
            tokens=settled_tokens(
                answer.usage, settlement, max_tokens=step.max_tokens, reserved=step.reserved_tokens
            ),
            settlement=settlement,
            request_id=answer.request_id,
        )
        return [event]


def _params(plan: Plan) -> dict[str, Json]:
    """What a request has beside the frozen prefix and the messages."""
    params: dict[str, Json] = {"max_tokens": plan.max_tokens, "effort": plan.effort}
    if plan.account:
        params["account"] = True
    return {**params, "format": plan.format} if plan.format else params


def _unheard(_words: Words) -> None:
    pass


def _open(transcript: Transcript) -> Step:
    step = transcript.open_step
    if step is None:
        raise ValueError("no model call is open")
    return step
