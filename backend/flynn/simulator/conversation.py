"""What a request's messages say, as far as choosing and rendering a turn needs to know."""

from collections.abc import Iterator
from functools import cached_property

from flynn.domain.content import Block, Json
from flynn.simulator.template import Quoted


class Conversation:
    """The messages of one request. They must have passed the rules."""

    def __init__(self, messages: list[dict[str, Json]]) -> None:
        self.messages = messages

    @cached_property
    def first_message(self) -> str:
        """The text of the first user message."""
        return next((_words(m) for m in self.messages if m["role"] == "user"), "")

    @cached_property
    def latest_message(self) -> str:
        """The text of the latest user message that is not merely tool results."""
        at = self._latest_words
        return _words(self.messages[at]) if at is not None else ""

    @property
    def answers(self) -> list[dict[str, Json]]:
        """The assistant messages."""
        return [m for m in self.messages if m["role"] == "assistant"]

    @property
    def answers_to_latest(self) -> list[dict[str, Json]]:
        """The assistant messages after the latest user message that is not merely tool results."""
        start = self._latest_words or 0
        return [m for m in self.messages[start:] if m["role"] == "assistant"]

    def answers_to_result(self, phrase: str) -> list[dict[str, Json]] | None:
        """The assistant messages after the latest result that holds `phrase`, whatever its case.

        None when no result does since the latest user message that is not merely tool results.
        """
        for index in range(len(self.messages) - 1, self._latest_words or 0, -1):
            message = self.messages[index]
            if message["role"] == "user" and any(
                phrase.casefold() in _result_text(block).casefold()
                for block in blocks_of(message)
                if block["type"] == "tool_result"
            ):
                return [m for m in self.messages[index:] if m["role"] == "assistant"]
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
        for index in range(len(self.messages) - 1, -1, -1):
            message = self.messages[index]
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


def _words(message: dict[str, Json]) -> str:
    return "\n".join(block["text"] for block in blocks_of(message) if block["type"] == "text")


def _result_text(block: Block) -> str:
    content = block.get("content")
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") == "text")
