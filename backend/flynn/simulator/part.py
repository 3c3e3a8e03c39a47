"""A part: which scenario's turn a request is answered with, and on which attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import assert_never

import orjson

from flynn.domain.content import Json
from flynn.simulator.conversation import Conversation, calls_of
from flynn.simulator.fault import Fault
from flynn.simulator.request import ApiRequest
from flynn.simulator.scenario import Scenario
from flynn.simulator.template import Quoted, TemplateError, words
from flynn.simulator.turn import Object, Turn


@dataclass(frozen=True, slots=True)
class Part:
    """One turn to play. `scenario` is None for the simulator's own fallback."""

    scenario: Scenario | None
    index: int
    turn: Turn
    answers: list[dict[str, Json]]
    """The assistant messages that the scenario's earlier turns became."""

    @property
    def name(self) -> str:
        """The scenario's name, for records and errors."""
        return self.scenario.name if self.scenario else "(fallback)"

    def fault(self, attempt: int) -> Fault | None:
        """The first fault of the turn that strikes on this attempt."""
        return next((fault for fault in self.turn.faults if fault.strikes(attempt)), None)

    def names(self, conversation: Conversation, attempt: int) -> dict[str, object]:
        """What the turn's expressions may use (see flynn.simulator.template)."""

        def result(call: str) -> Quoted:
            call_id = self._call_ids().get(call)
            if call_id is None or call_id not in conversation.results:
                raise TemplateError(f"there is no result of a call named {call!r} in this conversation")
            return conversation.results[call_id]

        return {
            "result": result,
            "first_message": conversation.first_message,
            "latest_message": conversation.latest_message,
            "messages": conversation.messages,
            "attempt": attempt,
            "words": words,
        }

    def _call_ids(self) -> dict[str, str]:
        """The tool_use ids by call name: the calls of a turn stand in its message in the same order."""
        if self.scenario is None:
            return {}
        return {
            call.call: block["id"]
            for index, answer in enumerate(self.answers)
            for call, block in zip(self.scenario.turn(index).calls, calls_of(answer), strict=False)
            if call.call
        }


def cast(
    scenarios: Sequence[Scenario], conversation: Conversation, fallback: Turn, *, formatted: bool = False
) -> Part:
    """Find the part for a conversation: the first scenario that matches, at the turn that is due.

    An answer that is to be `formatted` is not among the turns.
    """
    for scenario in scenarios:
        answers = _answers(scenario, conversation)
        if answers is not None:
            turn = scenario.formatted if formatted else scenario.turn(len(answers))
            return Part(scenario, len(answers), turn, answers)
    answers = conversation.answers
    return Part(None, len(answers), Turn(blocks=[Object(object={})]) if formatted else fallback, answers)


def _answers(scenario: Scenario, conversation: Conversation) -> list[dict[str, Json]] | None:
    """The assistant messages that the scenario's turns became so far; None when it does not match."""
    phrase = scenario.match
    match scenario.match_in:
        case "first_message":
            heard, answers = conversation.first_message, conversation.answers
        case "latest_message":
            heard, answers = conversation.latest_message, conversation.answers_to_latest
        case "result":
            return conversation.answers_to_result(phrase) if phrase is not None else None
        case _:
            assert_never(scenario.match_in)
    return answers if phrase is None or phrase.casefold() in heard.casefold() else None


def turn_digest(request: ApiRequest, part: Part) -> bytes:
    """What attempts are counted by: key, scenario, turn and the conversation's model-written part."""
    messages = request.messages
    last = max((i for i, m in enumerate(messages) if m["role"] == "assistant"), default=0)
    digest = blake2b(digest_size=16)
    user = (request.payload.get("metadata") or {}).get("user_id")
    for item in (
        request.key,
        part.name,
        part.index,
        user,
        request.payload.get("system"),
        request.schema,
        messages[: last + 1],
    ):
        digest.update(orjson.dumps(item))
    return digest.digest()
