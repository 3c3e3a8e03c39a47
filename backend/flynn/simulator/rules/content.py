"""Rules on one message, whatever stands around it.

Sources, unless a rule names its own: docs: working-with-messages, vision; CLAUDE_PLATFORM.md section 3.
"""

import re
from typing import Final

from flynn.domain.content import Block, Json
from flynn.simulator.api_error import invalid
from flynn.simulator.conversation import blocks_of
from flynn.simulator.reading import nested
from flynn.simulator.request import CURRENT_VERSION, ApiRequest
from flynn.simulator.rules.betas import check_message as check_betas
from flynn.simulator.rules.finding import Unproven
from flynn.simulator.rules.media import check_document, check_image
from flynn.simulator.rules.shape import message_check

_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_ROLES: Final = {
    "tool_use": "assistant",
    "thinking": "assistant",
    "redacted_thinking": "assistant",
    "server_tool_use": "assistant",
    "compaction": "assistant",
    "tool_result": "user",
}
"""Blocks that only one role may send: the model's own, and the answers to its calls."""
_NOT_PLAYED: Final = frozenset({"compaction", "tool_addition", "tool_removal"})


def check_message(request: ApiRequest, message: Json, index: int, unproven: Unproven) -> None:
    """The message has a known form and its blocks are sound.

    Raises:
        ApiError: 400.
    """
    path = f"messages.{index}"
    message_check(beta=bool(request.betas))(message, path)
    blocks = blocks_of(message)
    check_betas(request, message, blocks, path)
    for number, block in enumerate(blocks):
        place = f"{path}.content.{number}" if isinstance(message.get("content"), list) else f"{path}.content"
        _check_role(message["role"], block["type"], place)
        if block["type"] in _NOT_PLAYED:
            raise invalid("not-simulated", f"{place}: the simulator does not play {block['type']} blocks")
        for inner in nested([block]):
            _check_block(request, message["role"], inner, place, unproven)
    if request.version >= CURRENT_VERSION and message["role"] == "assistant":
        _check_no_document(blocks, path)


def _check_role(role: str, kind: str, place: str) -> None:
    owner = _ROLES.get(kind)
    if owner is not None and owner != role:
        raise invalid("block-role", f"{place}: `{kind}` blocks can only be in {owner} messages")


def _check_block(request: ApiRequest, role: str, block: Block, place: str, unproven: Unproven) -> None:
    match block.get("type"):
        case "text":
            check_text(block["text"], place, unproven)
            if request.version >= CURRENT_VERSION and role == "user" and block.get("citations"):
                # K api-version-migration.md: user text, also within search results and tool results
                raise invalid("citations", f"{place}.citations: must be empty on the user's text")
        case "tool_use":
            if not _ID.fullmatch(block["id"]):
                unproven("tool-use-id", f"{place}.id: should match '^[a-zA-Z0-9_-]+$'")
        case "image":
            check_image(block, place)
        case "document":
            check_document(block, place)


def check_text(text: str, place: str, unproven: Unproven) -> None:
    """Text is not empty (github.com/anthropics/claude-code issue 59812).

    Raises:
        ApiError: 400.
    """
    if not text:
        raise invalid("empty-text", f"{place}: text content blocks must be non-empty")
    if not text.strip():
        unproven("blank-text", f"{place}: text content blocks should contain non-whitespace text")


def _check_no_document(blocks: list[Block], path: str) -> None:
    """No document directly in an assistant message (K api-version-migration.md)."""
    for number, block in enumerate(blocks):
        if block["type"] == "document":
            raise invalid(
                "assistant-document", f"{path}.content.{number}: no document directly in an assistant message"
            )
