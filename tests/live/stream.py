"""Envelopes and deltas as a worker would publish them."""

from typing import Literal
from uuid import UUID

from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.live.subscription import Envelope, Item


def envelope(conversation_id: UUID, seq: int, kind: str = "message.sent", **data: Json) -> Envelope:
    return {
        "conversation_id": str(conversation_id),
        "seq": seq,
        "type": kind,
        "at": "2026-01-01T00:00:00+00:00",
        "run_id": None,
        "data": data,
    }


def words(
    conversation_id: UUID,
    text: str,
    offset: int = 0,
    *,
    epoch: int = 1,
    step: int = 1,
    block: int = 0,
    kind: Literal["text", "thinking", "tool_input", "output"] = "text",
    call_id: str | None = None,
) -> Delta:
    return Delta(
        conversation_id=conversation_id,
        epoch=epoch,
        step=step,
        block=block,
        offset=offset,
        kind=kind,
        text=text,
        call_id=call_id,
    )


def shown(items: list[Item]) -> list[int | str]:
    """Seqs of envelopes and texts of deltas."""
    return [item.text if isinstance(item, Delta) else item["seq"] for item in items]
