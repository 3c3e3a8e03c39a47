"""Rules on the sequence of messages: roles, tool calls and their results, limits.

They run over readings on every request. Sources: docs: handle-tool-calls (calls and results), errors
(limits); SDK types/message_create_params.py (consecutive messages of a role are one turn); K
prompt-caching.md (where a system message may stand).
"""

from collections.abc import Sequence
from typing import Final

from flynn.simulator.api_error import invalid
from flynn.simulator.reading import Reading
from flynn.simulator.rules.media import check_media

_MESSAGES: Final = 100_000


def check_count(messages: object) -> None:
    """There is at least one message, and at most 100,000 (docs: errors).

    Raises:
        ApiError: 400.
    """
    if not isinstance(messages, list):
        raise invalid("type", "messages: Input should be a valid array")
    if not messages:
        raise invalid("no-message", "messages: at least one message is required")
    if len(messages) > _MESSAGES:
        raise invalid("too-many-messages", f"messages: {len(messages)} messages; at most {_MESSAGES}")


def check_order(readings: Sequence[Reading]) -> None:
    """The messages make a conversation.

    Raises:
        ApiError: 400, naming the first message that breaks a rule.
    """
    if readings[0].role != "user":
        raise invalid("first-role", "messages.0: the first message must use the user role")
    _check_calls(readings)
    last = len(readings) - 1
    for index, reading in enumerate(readings):
        if not reading.blocks and index != last:
            # issue threads; CLAUDE_PLATFORM.md section 3
            raise invalid("empty-message", f"messages.{index}: all messages must have non-empty content")
        if reading.role == "system":
            _check_system(readings, index)
    final = readings[last]
    if final.role == "assistant" and final.last_type != "server_tool_use":
        # K model-migration.md; a paused turn is sent back as it is (docs: handling-stop-reasons)
        raise invalid(
            "prefill",
            "messages: this model does not support assistant message prefill; the conversation must end "
            "with a user message",
        )
    if final.role == "user" and not final.blocks:
        raise invalid("empty-message", f"messages.{last}: user messages must have non-empty content")
    check_media(readings)


def _check_calls(readings: Sequence[Reading]) -> None:
    """Every call is answered once, in the very next message, by a user message that begins with results."""
    seen: set[str] = set()
    open_calls: tuple[str, ...] = ()
    for index, reading in enumerate(readings):
        answered = set(reading.results)
        unknown = [call for call in reading.results if call not in open_calls]
        if unknown:
            raise invalid(
                "unknown-tool-use-id",
                f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{', '.join(unknown)}; each needs a `tool_use` block in the previous message",
            )
        if len(answered) != len(reading.results):
            raise invalid("duplicate-result", f"messages.{index}: each tool_use must have a single result")
        missing = [call for call in open_calls if call not in answered]
        if missing:
            _refuse_unanswered(index - 1, missing)
        if not reading.results_first:
            raise invalid(
                "results-first",
                f"messages.{index}: `tool_result` blocks must come first in the content, text after them",
            )
        for call in reading.calls:
            if call in seen:
                raise invalid("duplicate-call", f"messages.{index}: `tool_use` ids must be unique: {call}")
            seen.add(call)
        open_calls = reading.calls
    if open_calls:
        _refuse_unanswered(len(readings) - 1, list(open_calls))


def _refuse_unanswered(index: int, calls: list[str]) -> None:
    raise invalid(
        "unanswered-call",
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(calls)}; the next message must answer each of them",
    )


def _check_system(readings: Sequence[Reading], index: int) -> None:
    """A system message follows a user message and is the last, or stands before an assistant's."""
    if index == 0 or readings[index - 1].role != "user":
        raise invalid("system-message", f"messages.{index}: a system message must follow a user message")
    if index + 1 < len(readings) and readings[index + 1].role != "assistant":
        raise invalid(
            "system-message",
            f"messages.{index}: a system message must be the last, or be followed by an assistant message",
        )
