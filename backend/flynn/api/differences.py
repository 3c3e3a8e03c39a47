"""Doors to differences: what was changed in files, as a text that people read and `git apply` takes.

Workers make them; what a door shows is what they kept, without secrets, and no workspace is looked at.
"""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response

from flynn.api.door import Door, Reader, Responses, declared
from flynn.domain.difference import NET
from flynn.store.differences import KeptDifference
from flynn.store.views import Views

_TYPE: Final = "text/x-diff"
_HEADERS: Final = {
    "Flynn-Until-Seq": {"description": "The seq up to which it tells", "schema": {"type": "integer"}},
    "Flynn-Cut": {
        "description": "true when files that found no room were left out",
        "schema": {"type": "boolean"},
    },
}
_ANSWERS: Final[Responses] = {
    200: {
        "description": "The difference, unified, in git's form; empty when nothing is left of the changes",
        "content": {_TYPE: {"schema": {"type": "string"}}},
        "headers": _HEADERS,
    },
    **declared(404),
}


def difference_doors(*, views: Views) -> APIRouter:
    """The routes to the differences of conversations and tasks."""
    doors = APIRouter(route_class=Door)

    @doors.get(
        "/conversations/{conversation_id}/diff",
        tags=["conversations"],
        response_class=Response,
        responses=_ANSWERS,
    )
    async def get_conversation_diff(
        principal: Reader,
        conversation_id: UUID,
        seq: Annotated[
            int | None, Query(ge=1, description="Of this `workspace.changed` alone, in place of all together")
        ] = None,
    ) -> Response:
        """What the conversation has changed in files, in all until its last run stopped, or at one call."""
        return _answer(await views.difference(principal, conversation_id, NET if seq is None else seq))

    @doors.get("/tasks/{task_id}/diff", tags=["tasks"], response_class=Response, responses=_ANSWERS)
    async def get_task_diff(principal: Reader, task_id: UUID) -> Response:
        """What the task has changed in files, from its start to the end of its last run."""
        task = await views.task(principal, task_id)
        return _answer(await views.difference(principal, task.conversation_id))

    return doors


def _answer(kept: KeptDifference) -> Response:
    headers = {
        "flynn-until-seq": str(kept.until_seq),
        "flynn-cut": "true" if kept.difference.cut else "false",
        # It comes from a workspace, so from anybody: shown as text and nothing else.
        "content-security-policy": "default-src 'none'; sandbox",
        "cache-control": "private, no-cache",
    }
    return Response(kept.difference.text, headers=headers, media_type=_TYPE)
