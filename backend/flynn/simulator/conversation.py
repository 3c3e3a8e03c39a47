"""What a request's messages say, as far as choosing and rendering a turn needs to know."""

from collections.abc import Iterator
from functools import cached_property

import orjson

from flynn.domain.content import Block, Json
from flynn.simulator.template import Quoted


class Conversation:
    """The messages of one request. They must have passed the rules.

    Answers that are one JSON object were asked for by a format, as is the answer to this request when it is
    `formatted`. They take no part in the choice of a turn, and neither do the words that asked for this one.
    """

    def __init__(self, messages: list[dict[str, Json]], *, formatted: bool = False) -> None:
        self.messages = messages
        self._heard = messages[:-1] if formatted and len(messages) > 1 else messages

    @cached_property
    def first_message(self) -> str:
        """The text of the first user message."""
        return next((_words(m) for m in self.messages if m["role"] == "user"), "")

    @cached_property
    def latest_message(self) -> str:
        """The text of the latest user message that is not merely tool results."""
        at = self._latest_words
        return _words(self._heard[at]) if at is not None else ""

    @property
    def answers(self) -> list[dict[str, Json]]:
        """The assistant messages."""
        return _answers(self._heard)

    @property
    def answers_to_latest(self) -> list[dict[str, Json]]:
        """The assistant messages after the latest user message that is not merely tool results."""
        start = self._latest_words or 0
        return _answers(self._heard[start:])

    def answers_to_result(self, phrase: str) -> list[dict[str, Json]] | None:
        """The assistant messages after the latest result that holds `phrase`, whatever its case.

        None when no result does since the latest user message that is not merely tool results.
        """
        for index in range(len(self._heard) - 1, self._latest_words or 0, -1):
            message = self._heard[index]
            if message["role"] == "user" and any(
                phrase.casefold() in _result_text(block).casefold()
                for block in blocks_of(message)
                if block["type"] == "tool_result"
            ):
                return _answers(self._heard[index:])
        return None

    @cached_property
    def results(self) -> dict[str, Quoted]:
        """The tool results by tool_use id."""
        return {
            block["tool_use_id"]: Quoted(_result_text(block), is_error=bool(block.get("is_error")))
            for message in self.messages
            if message["role"] == "user"
            for block in blocks_of(message)
            if block["type"] == "tool_result"
        }

    @cached_property
    def _latest_words(self) -> int | None:
        for index in range(len(self._heard) - 1, -1, -1):
            message = self._heard[index]
            if message["role"] == "user" and not any(b["type"] == "tool_result" for b in blocks_of(message)):
                return index
        return None


def blocks_of(message: dict[str, Json]) -> list[Block]:
    """The content of a message as blocks; a string is one text block."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    blocks: list[Block] = content or []
    return blocks


def calls_of(message: dict[str, Json]) -> Iterator[Block]:
    """The tool_use blocks of a message."""
    return (block for block in blocks_of(message) if block["type"] == "tool_use")


def _answers(messages: list[dict[str, Json]]) -> list[dict[str, Json]]:
    """The assistant messages, without those that a format asked for."""
    return [m for m in messages if m["role"] == "assistant" and not _is_object(m)]


def _is_object(message: dict[str, Json]) -> bool:
    said = [block for block in blocks_of(message) if block["type"] not in ("thinking", "redacted_thinking")]
    if len(said) != 1 or said[0]["type"] != "text" or not said[0]["text"].startswith("{"):
        return False
    try:
        return isinstance(orjson.loads(said[0]["text"]), dict)
    except orjson.JSONDecodeError:
        return False


def _words(message: dict[str, Json]) -> str:
    return "\n".join(block["text"] for block in blocks_of(message) if block["type"] == "text")


def _result_text(block: Block) -> str:
    content = block.get("content")
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") == "text")
