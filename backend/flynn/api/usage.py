"""The door to what is spent: a principal's day, of which every model call takes its part."""

from fastapi import APIRouter, Response

from flynn.api.door import Door, Reader, answer, declared
from flynn.domain.views import UsageView
from flynn.intake import Intake


def usage_door(intake: Intake) -> APIRouter:
    """The route /usage."""
    doors = APIRouter(tags=["usage"], route_class=Door)

    @doors.get("/usage", response_model=UsageView, responses=declared())
    async def get_usage(principal: Reader) -> Response:
        """What is spent and reserved today (UTC), and how much a day may take: all with an admin's key."""
        return answer(await intake.usage(principal))

    return doors
