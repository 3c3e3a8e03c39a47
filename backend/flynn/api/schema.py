"""JSON Schema of what crosses the wire besides REST: events, deltas and the calls of Socket.IO."""

from datetime import datetime
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.json_schema import models_json_schema

from flynn.api.problem import Problem
from flynn.domain.alert import AlertNotice
from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.domain.events import EVENT_TYPES, EventData
from flynn.domain.orders import (
    ApprovalOrder,
    ConversationOrder,
    InterruptOrder,
    MessageOrder,
    UndoOrder,
    Watch,
)
from flynn.domain.views import Acknowledgement, ApprovalView, ConversationView, RunView, UndoAcknowledgement
from flynn.live.presence import MOST_NAMES

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Envelope(BaseModel):
    """An event of a conversation, as every door shows it. `seq` counts from 1 without gaps."""

    model_config = ConfigDict(
        json_schema_extra={"required": ["conversation_id", "seq", "type", "at", "data"]}
    )

    conversation_id: UUID
    seq: int = Field(ge=1)
    type: str = Field(json_schema_extra={"enum": list(EVENT_TYPES)})
    at: datetime
    run_id: UUID | None = None
    data: dict[str, Json] = Field(description="What the type says; see GET /api/v1/schema")


class EventPage(BaseModel):
    """A page of events; `next` is the `after_seq` of the next page, null at the end of the log."""

    items: list[Envelope]
    next: int | None = None


class SendMessage(MessageOrder):
    """`message.send`: say something in a conversation."""

    conversation_id: UUID


class Interrupt(InterruptOrder):
    """`run.interrupt`: stop the conversation's present run."""

    conversation_id: UUID


class Undo(UndoOrder):
    """`workspace.undo`: take back what one call did to files, or all that was done after a seq."""

    conversation_id: UUID


class DecideApproval(ApprovalOrder):
    """`approval.decide`: say yes or no to a call that waits."""

    conversation_id: UUID
    approval_id: UUID


class CloseConversation(BaseModel):
    """`conversation.close`: stop following a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conversation_id: UUID


class ConversationCreated(BaseModel):
    """Answer to `conversation.create`."""

    ok: Literal[True]
    conversation: ConversationView


class Presence(BaseModel):
    """Who watches a conversation: names in order, at most 50, and the number of people in all."""

    names: list[str] = Field(max_length=MOST_NAMES)
    count: int = Field(ge=0)


class ConversationOpened(BaseModel):
    """Answer to `conversation.open`: events up to `last_seq` follow, then live ones."""

    ok: Literal[True]
    last_seq: int
    present: Presence = Field(description="The caller is among them")


class ConversationClosed(BaseModel):
    """Answer to `conversation.close`."""

    ok: Literal[True]


class MessageAccepted(Acknowledgement):
    """Answer to `message.send`: the words are committed."""

    ok: Literal[True]


class Interrupted(BaseModel):
    """Answer to `run.interrupt`: the run as it is now, null when nothing was running."""

    ok: Literal[True]
    run: RunView | None


class UndoAccepted(UndoAcknowledgement):
    """Answer to `workspace.undo`: the undo is committed; `workspace.reverted` tells what came of it."""

    ok: Literal[True]


class ApprovalDecision(BaseModel):
    """Answer to `approval.decide`: the decision is committed."""

    ok: Literal[True]
    approval: ApprovalView


class Failed(BaseModel):
    """Answer to any call that could not be carried out."""

    error: Problem


class Session(BaseModel):
    """`session`, sent after connecting. `watching` maps conversations to the seq they go on after."""

    session: str
    resumed: bool
    principal: str
    watching: dict[UUID, int]


class PresenceNotice(BaseModel):
    """`notice` of who watches a conversation now. Not in the log, and sent to its watchers only."""

    kind: Literal["presence"]
    conversation_id: UUID
    present: Presence


class Notice(RootModel[Annotated[PresenceNotice | AlertNotice, Field(discriminator="kind")]]):
    """`notice`: what is in no log: who watches a conversation, or an alert, for those with scope admin."""


CALLS: dict[str, tuple[type[BaseModel], type[BaseModel]]] = {
    "conversation.create": (ConversationOrder, ConversationCreated),
    "conversation.open": (Watch, ConversationOpened),
    "conversation.close": (CloseConversation, ConversationClosed),
    "message.send": (SendMessage, MessageAccepted),
    "run.interrupt": (Interrupt, Interrupted),
    "approval.decide": (DecideApproval, ApprovalDecision),
    "workspace.undo": (Undo, UndoAccepted),
}
"""Client calls over Socket.IO: the one argument, and the acknowledgement when all went well."""

SENT: dict[str, type[BaseModel]] = {
    "session": Session,
    "event": Envelope,
    "delta": Delta,
    "problem": Problem,
    "notice": Notice,
}
"""What the server sends over Socket.IO, and, but for `session` and `notice`, over SSE."""


def document() -> dict[str, Any]:
    """The whole as one JSON Schema document; `calls` and `sent` refer into its `$defs`."""
    events: list[type[BaseModel]] = list(get_args(EventData))
    models: list[type[BaseModel]] = [
        *events,
        *SENT.values(),
        *(model for pair in CALLS.values() for model in pair),
        Failed,
    ]
    mapping, found = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template="#/$defs/{model}"
    )
    definitions: dict[str, Any] = found["$defs"]
    for model in events:
        definition = definitions[model.__name__]
        kind = definition["properties"].pop("type")["const"]
        definitions[f"{model.__name__}Envelope"] = {
            "type": "object",
            "title": kind,
            "allOf": [{"$ref": "#/$defs/Envelope"}],
            "properties": {"type": {"const": kind}, "data": {"$ref": f"#/$defs/{model.__name__}"}},
            "required": ["type", "data"],
        }
    refs: dict[type[BaseModel], dict[str, Any]] = {model: mapping[model, "validation"] for model in models}
    return {
        "$schema": DIALECT,
        "title": "Flynn over Socket.IO and SSE",
        "oneOf": [{"$ref": f"#/$defs/{model.__name__}Envelope"} for model in events],
        "calls": {
            name: {"argument": refs[argument], "acknowledgement": {"oneOf": [refs[done], refs[Failed]]}}
            for name, (argument, done) in CALLS.items()
        },
        "sent": {name: refs[model] for name, model in SENT.items()},
        "$defs": definitions,
    }
