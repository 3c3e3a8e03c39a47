"""Doors to conversations: open one, speak, read what was said and done, stop it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response

from flynn.api.authentication import Authenticator
from flynn.api.door import (
    AfterSeq,
    Chatter,
    Client,
    Cursor,
    Door,
    Limit,
    Reader,
    answer,
    answer_json,
    declared,
)
from flynn.api.schema import EventPage
from flynn.api.stream import event_stream
from flynn.domain.errors import InvalidInput
from flynn.domain.orders import (
    BudgetOrder,
    ConversationOrder,
    InterruptOrder,
    MessageOrder,
    ModeOrder,
    UndoOrder,
)
from flynn.domain.views import (
    Acknowledgement,
    ConversationView,
    Interruption,
    MessageView,
    Page,
    RunView,
    UndoAcknowledgement,
)
from flynn.intake import Intake
from flynn.live.hub import Hub
from flynn.live.presence import Person
from flynn.store.views import Views

EVENT_STREAM = "text/event-stream"

_EVENTS = {
    200: {
        "description": "A page of events; or, with `Accept: text/event-stream`, all of them as they come",
        "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
    },
    **declared(404),
}


def conversation_doors(*, intake: Intake, views: Views, hub: Hub, authenticator: Authenticator) -> APIRouter:
    """The routes under /conversations."""
    doors = APIRouter(prefix="/conversations", tags=["conversations"], route_class=Door)

    @doors.post("", status_code=201, response_model=ConversationView, responses=declared(body=True))
    async def create_conversation(principal: Chatter, order: ConversationOrder) -> Response:
        """Open a conversation with an agent in a workspace."""
        view = await intake.create_conversation(principal, order)
        return answer(view, 201, headers={"location": f"/api/v1/conversations/{view.id}"})

    @doors.get("", response_model=Page[ConversationView], responses=declared())
    async def list_conversations(principal: Reader, cursor: Cursor = None, limit: Limit = 50) -> Response:
        """Conversations that this key may see, newest first."""
        return answer(await views.conversations(principal, cursor=cursor, limit=limit))

    @doors.get("/{conversation_id}", response_model=ConversationView, responses=declared(404))
    async def get_conversation(principal: Reader, conversation_id: UUID) -> Response:
        """One conversation with its latest run."""
        return answer(await views.conversation(principal, conversation_id))

    @doors.patch("/{conversation_id}", response_model=ConversationView, responses=declared(404, body=True))
    async def change_mode(principal: Client, conversation_id: UUID, order: ModeOrder) -> Response:
        """Change the permission mode, from the next call of a tool on; the agent is told of it."""
        return answer(await intake.change_mode(principal, conversation_id, order))

    @doors.post(
        "/{conversation_id}/messages",
        status_code=202,
        response_model=Acknowledgement,
        responses=declared(404, 409, 429, body=True),
    )
    async def send_message(principal: Chatter, conversation_id: UUID, order: MessageOrder) -> Response:
        """Say something. The answer means that the words are committed; the agent's come as events."""
        return answer(await intake.send_message(principal, conversation_id, order), 202)

    @doors.get("/{conversation_id}/messages", response_model=Page[MessageView], responses=declared(404))
    async def list_messages(
        principal: Reader, conversation_id: UUID, after_seq: AfterSeq = 0, limit: Limit = 100
    ) -> Response:
        """What people and the agent said, in order. `next` is the next page's `after_seq`."""
        return answer(await views.messages(principal, conversation_id, after_seq=after_seq, limit=limit))

    @doors.get("/{conversation_id}/events", response_model=EventPage, responses=_EVENTS)
    async def list_events(
        request: Request,
        principal: Reader,
        conversation_id: UUID,
        after_seq: AfterSeq = 0,
        limit: Limit = 100,
        deltas: Annotated[bool, Query(description="Stream only: words on the way, too")] = False,
        last_event_id: Annotated[
            str | None, Header(max_length=20, description="Stream only: overrides after_seq")
        ] = None,
    ) -> Response:
        """The log: a page of it, or all of it and what comes after as Server-Sent Events.

        `next` is the next page's `after_seq`, null at the end of the log.
        """
        if EVENT_STREAM not in request.headers.get("accept", ""):
            found = await views.events(principal, conversation_id, after_seq=after_seq, limit=limit + 1)
            items = [recorded.envelope() for recorded in found[:limit]]
            return answer_json({"items": items, "next": items[-1]["seq"] if len(found) > limit else None})
        if last_event_id is not None:
            after_seq = _seq(last_event_id)
        await views.conversation(principal, conversation_id)
        seen_by = None if principal.admin else principal.id
        person = Person(principal.name, str(principal.id))
        viewing = hub.view(conversation_id, after_seq=after_seq, principal_id=seen_by, person=person)
        viewer = await viewing.__aenter__()
        authorization = request.headers.get("authorization", "")
        return event_stream(
            viewing, viewer, deltas=deltas, still_allowed=lambda: authenticator.header(authorization)
        )

    @doors.post(
        "/{conversation_id}/interrupt", response_model=Interruption, responses=declared(404, body=True)
    )
    async def interrupt(
        principal: Client, conversation_id: UUID, order: InterruptOrder | None = None
    ) -> Response:
        """Stop the present run. `run` is null when nothing was running. The body may be left out."""
        run = await intake.interrupt(principal, conversation_id, order or InterruptOrder())
        return answer(Interruption(run=run))

    @doors.post(
        "/{conversation_id}/undo",
        status_code=202,
        response_model=UndoAcknowledgement,
        responses=declared(404, 409, 429, body=True),
    )
    async def undo(principal: Client, conversation_id: UUID, order: UndoOrder) -> Response:
        """Take back what one Write or Edit did. What came of it is told by `workspace.reverted`.

        The file is restored by a run, if it is still as the call left it; 409 while another run is open.
        """
        return answer(await intake.undo(principal, conversation_id, order), 202)

    @doors.post("/{conversation_id}/budget", response_model=RunView, responses=declared(404, 409, body=True))
    async def raise_budget(principal: Client, conversation_id: UUID, order: BudgetOrder) -> Response:
        """Raise the limits of the present run, and of its task; it goes on if it waited for that."""
        return answer(await intake.raise_budget(principal, conversation_id, order))

    return doors


def _seq(last_event_id: str) -> int:
    if last_event_id.isascii() and last_event_id.isdigit():
        return int(last_event_id)
    message = "should be the id of an event that this stream sent: a whole number"
    raise InvalidInput(f"Last-Event-ID: {message}.", errors=[{"field": "last-event-id", "message": message}])
