"""The shapes of what is streamed: envelopes and their events, deltas, and the calls of the socket."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, TypeAdapter

from flynn.domain.delta import Delta
from flynn.domain.events import Event
from flynn.domain.orders import ConversationOrder, InterruptOrder, MessageOrder, Watch


class Envelope(BaseModel):
    """An event as every door shows it; `data` has the fields of its `type` (see /api/v1/schema)."""

    model_config = ConfigDict(frozen=True)

    conversation_id: UUID
    seq: int
    type: str
    at: datetime
    run_id: UUID | None
    data: dict[str, Any]


class EventPage(BaseModel):
    """A page of events; `next` is the `after_seq` of the next page, None at the end."""

    model_config = ConfigDict(frozen=True)

    items: list[Envelope]
    next: int | None = None


class MessageCall(MessageOrder):
    """`message.send` over the socket."""

    conversation_id: UUID


class InterruptCall(InterruptOrder):
    """`run.interrupt` over the socket."""

    conversation_id: UUID


class CloseCall(BaseModel):
    """`conversation.close` over the socket."""

    model_config = ConfigDict(extra="forbid")

    conversation_id: UUID


CALLS: dict[str, type[BaseModel]] = {
    "conversation.create": ConversationOrder,
    "conversation.open": Watch,
    "conversation.close": CloseCall,
    "message.send": MessageCall,
    "run.interrupt": InterruptCall,
}
"""The socket's calls by name."""

router = APIRouter(tags=["schema"])


@router.get("/schema")
async def read_schema() -> dict[str, Any]:
    """JSON Schema of all that is streamed, and of the socket's calls."""
    return _SCHEMA


def _schema() -> dict[str, Any]:
    return {
        "envelope": Envelope.model_json_schema(),
        "event": TypeAdapter[Any](Event).json_schema(),
        "delta": Delta.model_json_schema(),
        "calls": {name: model.model_json_schema() for name, model in CALLS.items()},
    }


_SCHEMA = _schema()
