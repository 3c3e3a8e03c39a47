"""Conversations over REST: open, say, read, interrupt, give more."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from flynn.api.auth import Caller
from flynn.api.doors import AfterSeq, Cursor, House, Limit, Parts
from flynn.api.problems import responses
from flynn.api.schema import Envelope, EventPage
from flynn.domain.delta import Delta
from flynn.domain.errors import InvalidInput
from flynn.domain.orders import BudgetOrder, ConversationOrder, InterruptOrder, MessageOrder
from flynn.domain.views import Acknowledgement, ConversationView, MessageView, Page, RunView
from flynn.live.viewer import SlowViewer

router = APIRouter(prefix="/conversations", tags=["conversations"])
PING_SECONDS = 15


@router.post("", status_code=201, responses=responses(400, 401, 403, 413, 422, 503))
async def create_conversation(
    order: ConversationOrder, caller: Caller, parts: Parts, response: Response
) -> ConversationView:
    """Open a conversation with an agent in a workspace."""
    view = await parts.intake.create_conversation(caller, order)
    response.headers["Location"] = f"/api/v1/conversations/{view.id}"
    return view


@router.get("", responses=responses(401, 403, 422, 503))
async def list_conversations(
    caller: Caller, parts: Parts, cursor: Cursor = None, limit: Limit = 50
) -> Page[ConversationView]:
    """Conversations that you may see, newest first."""
    return await parts.views.conversations(caller, cursor=cursor, limit=limit)


@router.get("/{conversation_id}", responses=responses(401, 403, 404, 422, 503))
async def read_conversation(conversation_id: UUID, caller: Caller, parts: Parts) -> ConversationView:
    """One conversation with its latest run."""
    return await parts.views.conversation(caller, conversation_id)


@router.post(
    "/{conversation_id}/messages",
    status_code=202,
    responses=responses(400, 401, 403, 404, 413, 422, 503),
)
async def send_message(
    conversation_id: UUID, order: MessageOrder, caller: Caller, parts: Parts
) -> Acknowledgement:
    """Say something. The answer means that the words are committed; a resend is the same message."""
    return await parts.intake.send_message(caller, conversation_id, order)


@router.get("/{conversation_id}/messages", responses=responses(401, 403, 404, 422, 503))
async def list_messages(
    conversation_id: UUID, caller: Caller, parts: Parts, after_seq: AfterSeq = 0, limit: Limit = 100
) -> Page[MessageView]:
    """What was said, in order, without tool calls."""
    return await parts.views.messages(caller, conversation_id, after_seq=after_seq, limit=limit)


@router.get(
    "/{conversation_id}/events",
    response_model=EventPage,
    responses={
        200: {
            "description": "A page of events, or with `Accept: text/event-stream` all of them as they come",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **responses(401, 403, 404, 422, 503),
    },
)
async def list_events(
    conversation_id: UUID,
    request: Request,
    caller: Caller,
    parts: Parts,
    after_seq: AfterSeq = 0,
    limit: Limit = 200,
    last_event_id: Annotated[str | None, Header(description="Where an event stream was cut off")] = None,
) -> Any:
    """Everything after `after_seq`: as a JSON page, or as server-sent events that go on with what comes."""
    if "text/event-stream" in request.headers.get("accept", ""):
        await parts.views.conversation(caller, conversation_id)
        after = _position(last_event_id, after_seq)
        return EventSourceResponse(_stream(parts, conversation_id, after), ping=PING_SECONDS)
    recorded = await parts.views.events(caller, conversation_id, after_seq=after_seq, limit=limit + 1)
    items = [Envelope.model_validate(r.envelope()) for r in recorded[:limit]]
    return EventPage(items=items, next=items[-1].seq if len(recorded) > limit else None)


@router.post("/{conversation_id}/interrupt", responses=responses(400, 401, 403, 404, 422, 503))
async def interrupt_run(
    conversation_id: UUID, caller: Caller, parts: Parts, order: InterruptOrder | None = None
) -> RunView | None:
    """Stop the open run. The answer is the run as it is now; null when there never was one."""
    return await parts.intake.interrupt(caller, conversation_id, order or InterruptOrder())


@router.post("/{conversation_id}/budget", responses=responses(400, 401, 403, 404, 409, 422, 503))
async def raise_budget(conversation_id: UUID, order: BudgetOrder, caller: Caller, parts: Parts) -> RunView:
    """Raise the limits of the open run; one that waited for them goes on."""
    return await parts.intake.raise_budget(caller, conversation_id, order)


def _position(last_event_id: str | None, after_seq: int) -> int:
    if last_event_id is None:
        return after_seq
    if not last_event_id.isdecimal():
        raise InvalidInput(
            f"Last-Event-ID is {last_event_id[:40]!r}; it must be the seq of an event.",
            errors=[{"field": "Last-Event-ID", "message": "must be a whole number"}],
        )
    return int(last_event_id)


async def _stream(parts: House, conversation_id: UUID, after_seq: int) -> AsyncIterator[ServerSentEvent]:
    async with parts.hub.view(conversation_id, after_seq=after_seq) as viewer:
        while True:
            try:
                item = await viewer.next()
            except SlowViewer as error:
                yield ServerSentEvent(data=error.detail, event="problem")
                return
            if isinstance(item, Delta):
                continue
            envelope = Envelope.model_validate(item)
            yield ServerSentEvent(data=envelope.model_dump_json(), event=envelope.type, id=str(envelope.seq))
