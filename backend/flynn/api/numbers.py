"""The door to the numbers of the service, for admins: now, and the history of an hour or two."""

from typing import Annotated, Protocol

from fastapi import APIRouter, Query, Response

from flynn.api.door import Admin, Door, answer, declared
from flynn.domain.operations import OperationsView
from flynn.domain.sample import KEPT_SECONDS


class Numbers(Protocol):
    """What is behind this door."""

    async def view(self, minutes: int) -> OperationsView:
        """The numbers, with a history of so many minutes. There without the database, too."""


def numbers_door(numbers: Numbers) -> APIRouter:
    """The route /operations."""
    doors = APIRouter(tags=["operations"], route_class=Door)

    @doors.get("/operations", response_model=OperationsView, responses=declared())
    async def get_operations(
        principal: Admin,
        minutes: Annotated[
            int, Query(ge=5, le=KEPT_SECONDS // 60, description="How far back the history goes")
        ] = 60,
    ) -> Response:
        """The numbers of the whole service: requests, runs, the model, clients, processes, and a history."""
        del principal
        return answer(await numbers.view(minutes))

    return doors
