"""The door to the log's level: how much is logged, in every process of the service, for a while."""

from typing import Annotated, Protocol

from fastapi import APIRouter, Query, Response

from flynn.api.door import Admin, Door, answer, declared
from flynn.domain.log_level import LoggerName, LogLevelOrder, LogLevelView


class LogLevels(Protocol):
    """What is behind this door."""

    async def view(self) -> LogLevelView:
        """How it stands."""

    async def set(self, order: LogLevelOrder, *, by: str) -> LogLevelView:
        """Change a level. Raises Conflict when too many loggers have one of their own."""

    async def reset(self, logger: str | None, *, by: str) -> LogLevelView:
        """Take one back, or all."""


def log_level_doors(levels: LogLevels) -> APIRouter:
    """The routes at /log-level, for admins."""
    doors = APIRouter(prefix="/log-level", tags=["operations"], route_class=Door)

    @doors.get("", response_model=LogLevelView, responses=declared())
    async def get_log_level(principal: Admin) -> Response:
        """From which severity on is logged, and what was asked for."""
        del principal
        return answer(await levels.view())

    @doors.put("", response_model=LogLevelView, responses=declared(409, body=True))
    async def set_log_level(principal: Admin, order: LogLevelOrder) -> Response:
        """Change it, of all loggers or one, for good or some minutes. All processes follow in seconds."""
        return answer(await levels.set(order, by=principal.name))

    @doors.delete("", response_model=LogLevelView, responses=declared())
    async def reset_log_level(
        principal: Admin,
        logger: Annotated[LoggerName | None, Query(description="Of this logger alone")] = None,
    ) -> Response:
        """Take back what was asked for: LOG_LEVEL holds again."""
        return answer(await levels.reset(logger, by=principal.name))

    return doors
