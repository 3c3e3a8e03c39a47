"""What the doors lead to: the parts that the routes of this room use, handed in by the composition."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from flynn.domain.readiness import Readiness
from flynn.domain.views import AgentView
from flynn.intake import Intake
from flynn.live.bus import Bus
from flynn.live.hub import Hub
from flynn.store.views import Views


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Everything behind the doors."""

    intake: Intake
    views: Views
    hub: Hub
    bus: Bus
    agents: Callable[[], Sequence[AgentView]]
    ready: Callable[[], Awaitable[Readiness]]


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


Parts = Annotated[House, Depends(_house)]
Limit = Annotated[int, Query(ge=1, le=500, description="Items of a page, at most")]
Cursor = Annotated[str | None, Query(description="`next` of the page before")]
AfterSeq = Annotated[int, Query(ge=0, description="Only events after this one")]
