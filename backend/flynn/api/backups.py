"""Doors to backups: what there are, and have one taken. Restoring is for the command line of the machine."""

from typing import Protocol

from fastapi import APIRouter, Response

from flynn.api.door import Admin, Door, answer, declared
from flynn.domain.backup import BackupBegun, BackupsView
from flynn.domain.errors import Conflict


class Backups(Protocol):
    """What is behind these doors."""

    async def view(self) -> BackupsView:
        """How they stand. Raises Conflict when none are kept here."""

    async def begin(self) -> BackupBegun:
        """Begin to take one. Raises Conflict while one is being taken, or when none are kept here."""


class NotKept:
    """Backups that this process does not keep, and why."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def view(self) -> BackupsView:
        """See Backups.view."""
        raise Conflict(self._reason)

    async def begin(self) -> BackupBegun:
        """See Backups.begin."""
        raise Conflict(self._reason)


def backup_doors(backups: Backups) -> APIRouter:
    """The routes at /backups, for admins."""
    doors = APIRouter(prefix="/backups", tags=["operations"], route_class=Door)

    @doors.get("", response_model=BackupsView, responses=declared(409))
    async def get_backups(principal: Admin) -> Response:
        """The backups, what any second of can be restored, how far behind the kept log is, what is wrong."""
        del principal
        return answer(await backups.view())

    @doors.post("", status_code=202, response_model=BackupBegun, responses=declared(409))
    async def take_backup(principal: Admin) -> Response:
        """Begin to take a backup. It is done when it stands among the items, or is the last failure."""
        del principal
        return answer(await backups.begin(), 202)

    return doors
