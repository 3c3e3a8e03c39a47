"""Doors to workspaces and their members."""

from uuid import UUID

from fastapi import APIRouter, Response

from flynn.api.door import Client, Door, Reader, answer, declared
from flynn.domain.orders import WorkspaceChange, WorkspaceOrder
from flynn.domain.views import MemberView, Page, WorkspaceDetail, WorkspaceView
from flynn.intake.workspaces import Workspaces


def workspace_doors(workspaces: Workspaces) -> APIRouter:
    """The routes under /workspaces."""
    doors = APIRouter(prefix="/workspaces", tags=["workspaces"], route_class=Door)

    @doors.get("", response_model=Page[WorkspaceView], responses=declared())
    async def list_workspaces(principal: Reader) -> Response:
        """The workspaces that this key's principal is a member of."""
        return answer(Page(items=await workspaces.list(principal)))

    @doors.post("", status_code=201, response_model=WorkspaceView, responses=declared(409, body=True))
    async def create_workspace(principal: Client, order: WorkspaceOrder) -> Response:
        """Make an empty workspace; or, with an admin key, serve a directory of this machine."""
        view = await workspaces.create(principal, order)
        return answer(view, 201, headers={"location": f"/api/v1/workspaces/{view.id}"})

    @doors.get("/{workspace_id}", response_model=WorkspaceDetail, responses=declared(404))
    async def get_workspace(principal: Reader, workspace_id: UUID) -> Response:
        """One workspace, with what it takes on the disk and what it may take."""
        return answer(await workspaces.get(principal, workspace_id))

    @doors.patch("/{workspace_id}", response_model=WorkspaceDetail, responses=declared(404, 409, body=True))
    async def change_workspace(principal: Client, workspace_id: UUID, order: WorkspaceChange) -> Response:
        """Rename a workspace (its creator, admins) or set its quota (admins)."""
        return answer(await workspaces.change(principal, workspace_id, order))

    @doors.get("/{workspace_id}/members", response_model=Page[MemberView], responses=declared(404))
    async def list_members(principal: Reader, workspace_id: UUID) -> Response:
        """Who sees the workspace, its conversations and its tasks."""
        return answer(Page(items=list(await workspaces.members(principal, workspace_id))))

    @doors.put(
        "/{workspace_id}/members/{name}", response_model=MemberView, responses=declared(404, body=True)
    )
    async def add_member(principal: Client, workspace_id: UUID, name: str) -> Response:
        """Let a principal see the workspace and work in it; nothing changes for one who may already."""
        return answer(await workspaces.add_member(principal, workspace_id, name))

    @doors.delete(
        "/{workspace_id}/members/{name}", response_model=MemberView, responses=declared(404, 409, body=True)
    )
    async def remove_member(principal: Client, workspace_id: UUID, name: str) -> Response:
        """Shut a principal out, also from what it is watching now. A member may take itself out."""
        return answer(await workspaces.remove_member(principal, workspace_id, name))

    return doors
