"""The account: one more model call at the end of a task, for what the agent says of it.

It is asked for once the agent has come to its end, in words of an event of their own, and in a form that the
endpoint holds the answer to. Nothing waits for it: where it cannot be had, the task ends without it and the
report says why. See docs/decisions/0030.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

import orjson
from pydantic import ValidationError

from flynn.agent.budget import Budget
from flynn.agent.choice import Choice, Plan
from flynn.agent.failed_call import failed_event
from flynn.agent.fold import Transcript
from flynn.agent.pause import SHORT_PAUSE, pause_after
from flynn.agent.reply import Reply, received
from flynn.agent.turns import Append
from flynn.domain import events as ev
from flynn.domain.account import Account, bounded
from flynn.domain.content import Json, text_block, text_of
from flynn.domain.errors import ModelFailure
from flynn.model.failures import (
    BrokenStream,
    CallFailed,
    EndpointAway,
    Permanent,
    Refused,
    RetryLater,
    Truncated,
)
from flynn.model.prices import cost
from flynn.model.stream import MessageReceived
from flynn.telemetry.redaction import redact

CALLS: Final = 2
"""Calls for one account, a failed one or that of a lost worker included."""
MOST_TOKENS: Final = 8_192
"""Output tokens of such a call: thoughts, and a form that is filled in."""
_ENDS: Final = frozenset({"end_turn", "stop_sequence"})


class Accounts:
    """Asks for the account of one run's task. `words` are those that ask.

    `structured`: the endpoint holds answers to a format; else it is asked in words only.
    """

    def __init__(self, *, words: str, structured: bool, choice: Choice, budget: Budget) -> None:
        self._words = words
        self._structured = structured
        self._choice = choice
        self._budget = budget

    def next(self, transcript: Transcript, *, day_full: bool = False) -> Append | Plan | None:
        """What is still to be done about it, the agent being at its end: an event, a call, or nothing.

        `day_full`: the principal's day had no room for the call that was to be made.
        """
        state = transcript.account
        if state.settled:
            return None
        plan = self._plan(transcript)
        if (why := self._hindrance(transcript, plan, day_full=day_full)) is not None:
            return Append([ev.TaskAccounted(missing=why)])
        if state.asked is None:
            return Append([ev.AccountRequested(content=[text_block(self._words)])])
        return plan

    def received(self, transcript: Transcript, started: ev.StepStarted, message: MessageReceived) -> Reply:
        """What follows from an answer: the account, or the call is as if it had not been made."""
        account = _read(message, lenient=not self._structured)
        if isinstance(account, Account):
            return [*received(started, message), ev.TaskAccounted(account=account)]
        event = ev.StepFailed(
            step=started.step,
            reason="unfit",
            detail=account,
            usage=message.usage,
            nanodollars=cost(started.model, message.usage),
            tokens=message.usage.total,
            settlement="usage",
            request_id=message.request_id,
        )
        return _once_more(transcript, event)

    def failed(self, transcript: Transcript, started: ev.StepStarted, failure: ModelFailure) -> Reply:
        """What follows from a call that failed: another at once, or the task goes without."""
        match failure:
            case RetryLater() | BrokenStream():
                broken = isinstance(failure, BrokenStream)
                asked = failure.retry_after if isinstance(failure, CallFailed) else None
                pause = pause_after(1, asked)
                at = datetime.now(UTC) + timedelta(seconds=pause)
                event = failed_event(started, failure, "broken_stream" if broken else "retry", retry_at=at)
                return _once_more(transcript, event) if pause <= SHORT_PAUSE else _given_up(event)
            case EndpointAway():
                return _given_up(failed_event(started, failure, "held"))
            case Truncated():
                return _given_up(failed_event(started, failure, "truncated"))
            case Refused():
                return _given_up(failed_event(started, failure, "refused"))
            case Permanent():
                return _given_up(failed_event(started, failure, "permanent"))
            case _:
                raise failure

    def _plan(self, transcript: Transcript) -> Plan:
        plan = self._choice.plan(transcript)
        asked = account_format() if self._structured else None
        return replace(plan, max_tokens=min(plan.max_tokens, MOST_TOKENS), account=True, format=asked)

    def _hindrance(self, transcript: Transcript, plan: Plan, *, day_full: bool) -> str | None:
        """Why the call of `plan` is not made."""
        if transcript.account.calls >= CALLS:
            failed = transcript.run.failed
            return f"It was asked for {CALLS} times. {failed.event.detail if failed else ''}".strip()
        if self._budget.prompt_estimate(transcript) > transcript.run.limits.prompt_tokens:
            return "The conversation is too long for one more call within the limit of a prompt."
        affords = self._budget.affords(transcript, model=plan.model, max_tokens=plan.max_tokens)
        if day_full or not affords:
            return "What is left of the budget is not enough for one more call."
        if (held := self._choice.held(plan)) is not None:
            return held.detail
        return None


@cache
def account_format() -> Json:
    """The format that an account is asked for in: `output_config.format` of the Messages API."""
    schema = Account.model_json_schema()
    definitions = schema.pop("$defs", {})
    return {"type": "json_schema", "schema": _inlined(schema, definitions)}


def _inlined(schema: Json, definitions: dict[str, Json]) -> Json:
    """`schema` in one piece, without titles: fewer tokens, and nothing to look up."""
    match schema:
        case {"$ref": str(reference)}:
            return _inlined(definitions[reference.rpartition("/")[2]], definitions)
        case {"properties": dict()}:
            found = {key: _inlined(item, definitions) for key, item in schema.items() if key != "properties"}
            inner = {name: _inlined(item, definitions) for name, item in schema["properties"].items()}
            return {**_untitled(found), "properties": inner}
        case dict():
            return {key: _inlined(item, definitions) for key, item in _untitled(schema).items()}
        case list():
            return [_inlined(item, definitions) for item in schema]
        case _:
            return schema


def _untitled(schema: dict[str, Json]) -> dict[str, Json]:
    return {key: item for key, item in schema.items() if key != "title"}


def _once_more(transcript: Transcript, event: ev.StepFailed) -> Reply:
    return [event] if transcript.account.calls < CALLS else _given_up(event)


def _given_up(event: ev.StepFailed) -> Reply:
    event = event.model_copy(update={"retry_at": None})
    return [event, ev.TaskAccounted(missing=redact(event.detail))]


def _read(message: MessageReceived, *, lenient: bool) -> Account | str:
    """The account that `message` gives, or why it is none. `lenient`: nobody held it to the form."""
    if any(block.get("type") == "tool_use" for block in message.content):
        return "Instead of its account the model asked for a tool, which was not called."
    if message.stop_reason not in _ENDS:
        return f"The model stopped with {message.stop_reason!r} before its account was whole."
    text = text_of(message.content)
    if lenient:
        text = text[text.find("{") : text.rfind("}") + 1]
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return "What the model gave for its account is no JSON."
    if lenient and isinstance(said, dict):
        said = {name: said.get(name, default) for name, default in _LEAST.items()}
    try:
        return Account.model_validate(bounded(said, redact))
    except ValidationError as error:
        place = ".".join(str(step) for step in error.errors()[0]["loc"]) or "it"
        return f"What the model gave for its account does not have the form that was asked for: {place}."


_LEAST: Final[dict[str, Json]] = {
    **{"summary": "", "files_changed": [], "verification": [], "criteria": [], "findings": "unknown"},
    **{"next_steps": [], "left_undone": [], "risks": []},
}
