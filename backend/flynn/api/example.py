"""Doors to the scripted example: prepare it, see how it stands, kill the worker in the middle of it.

Nothing here starts the work itself: that is an ordinary task, posted to /tasks.
"""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from fastapi import APIRouter, Response

from flynn.api.door import Admin, Door, Reader, answer, declared
from flynn.domain.errors import Conflict
from flynn.domain.example import CrashOrder, ExampleCrash, ExampleView
from flynn.domain.principal import Principal

FOR_ADMINS = "The example is played for keys with the scope admin."


class Example(Protocol):
    """What the doors need of the example."""

    async def view(self, principal: Principal) -> ExampleView:
        """How it stands; whoever is no admin learns only which workspaces are its own."""

    async def prepare(self, principal: Principal) -> ExampleView:
        """Have a fresh copy to work on, and workers on their way. Raises Conflict when it is not offered."""

    async def crash(self, principal: Principal, conversation_id: UUID) -> ExampleCrash:
        """Kill the worker that runs a Bash call there. Raises Conflict when none does, NotFound."""


class NotOffered:
    """An Example that this service does not offer, and why."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def view(self, principal: Principal) -> ExampleView:
        """See Example.view."""
        return withheld(self._reason if principal.admin else FOR_ADMINS)

    async def prepare(self, principal: Principal) -> ExampleView:
        """See Example.prepare."""
        del principal
        raise Conflict(self._reason)

    async def crash(self, principal: Principal, conversation_id: UUID) -> ExampleCrash:
        """See Example.crash."""
        del principal, conversation_id
        raise Conflict(self._reason)


def withheld(reason: str, workspaces: Sequence[UUID] = ()) -> ExampleView:
    """An example that is not played for who asks, and the workspaces of it that they may see."""
    return ExampleView(
        state="not-offered",
        detail=reason,
        task=None,
        workspaces=list(workspaces),
        workers=[],
        lease_seconds=0,
    )


def example_doors(example: Example) -> APIRouter:
    """The routes under /example."""
    doors = APIRouter(prefix="/example", tags=["example"], route_class=Door)

    @doors.get("", response_model=ExampleView, responses=declared())
    async def get_example(principal: Reader) -> Response:
        """How the scripted example stands on this instance of the service, and who works on it.

        Without an admin's key it is not offered; workspaces that one is a member of are named all the same.
        """
        return answer(await example.view(principal))

    @doors.post("", status_code=202, response_model=ExampleView, responses=declared(409))
    async def prepare_example(principal: Admin) -> Response:
        """Prepare it: a fresh copy of the example repository, and two workers with a scripted model.

        What to post to /tasks is in the answer; workers that are still starting take it when they are
        there. The same copy is given until something was begun in it.
        """
        return answer(await example.prepare(principal), 202)

    @doors.post("/crash", response_model=ExampleCrash, responses=declared(404, 409, body=True))
    async def crash_example(principal: Admin, order: CrashOrder) -> Response:
        """Kill, with SIGKILL, the worker that is in the middle of a Bash call of this conversation.

        Another takes the run over after the lease, and the call's outcome is *unknown*.
        """
        return answer(await example.crash(principal, order.conversation_id))

    return doors
