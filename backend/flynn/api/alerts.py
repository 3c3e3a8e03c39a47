"""The door to alerts: what fires, for admins."""

from collections.abc import Callable, Sequence
from typing import Protocol

from fastapi import APIRouter, Response

from flynn.api.door import Admin, Door, answer, declared
from flynn.domain.alert import AlertNotice, AlertsView, AlertView


class Alerts(Protocol):
    """What is behind the door, and what connections of admins are told of."""

    def view(self) -> AlertsView:
        """What fires now."""

    def firing(self) -> Sequence[AlertView]:
        """The same as a list."""

    def on_change(self, listener: Callable[[AlertNotice], None]) -> None:
        """Tell `listener` of each alert that begins or ends."""


def alerts_door(alerts: Alerts) -> APIRouter:
    """GET /alerts."""
    doors = APIRouter(prefix="/alerts", tags=["operations"], route_class=Door)

    @doors.get("", response_model=AlertsView, responses=declared())
    async def get_alerts(principal: Admin) -> Response:
        """The alerts that fire in the whole service; in this process alone while the database is away."""
        del principal
        return answer(alerts.view())

    return doors
