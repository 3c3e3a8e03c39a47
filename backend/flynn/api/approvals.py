"""Doors to approvals: what waits for a yes, and saying yes or no."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from flynn.api.door import Client, Door, Reader, answer, declared
from flynn.domain.orders import ApprovalOrder
from flynn.domain.views import ApprovalState, ApprovalView, Page
from flynn.intake import Intake
from flynn.store.views import Views


def approval_doors(*, intake: Intake, views: Views) -> APIRouter:
    """The routes under /conversations/{id}/approvals."""
    doors = APIRouter(
        prefix="/conversations/{conversation_id}/approvals", tags=["approvals"], route_class=Door
    )

    @doors.get("", response_model=Page[ApprovalView], responses=declared(404))
    async def list_approvals(
        principal: Reader,
        conversation_id: UUID,
        state: Annotated[ApprovalState | None, Query(description="Only approvals in this state")] = None,
    ) -> Response:
        """Calls that wait, or waited, for a yes, in the order in which they were asked for."""
        found = await views.approvals(principal, conversation_id)
        return answer(Page(items=[view for view in found if state in (None, view.state)]))

    @doors.post("/{approval_id}", response_model=ApprovalView, responses=declared(404, 409, body=True))
    async def decide_approval(
        principal: Client, conversation_id: UUID, approval_id: UUID, order: ApprovalOrder
    ) -> Response:
        """Decide. The answer means that the decision is committed; the same one again changes nothing."""
        return answer(await intake.decide_approval(principal, conversation_id, approval_id, order))

    return doors
