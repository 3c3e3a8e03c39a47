"""The door to the queue: what waits, for what, what runs, and who works."""

from fastapi import APIRouter, Response

from flynn.api.door import Door, Reader, answer, declared
from flynn.domain.queue import QueueView
from flynn.intake import Intake


def queue_door(intake: Intake) -> APIRouter:
    """The route /queue."""
    doors = APIRouter(tags=["queue"], route_class=Door)

    @doors.get("/queue", response_model=QueueView, responses=declared())
    async def get_queue(principal: Reader) -> Response:
        """Depth by state and reason, queues, limits, workers: all with an admin's key, else one's own."""
        return answer(await intake.queue(principal))

    return doors
