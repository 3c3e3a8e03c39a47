"""Backups as people and programs see them."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class Window(_View):
    """Any second from `start` to `end` can be restored."""

    start: datetime
    end: datetime


class BackupView(_View):
    """One base backup. What lies between two of them is in the log that is kept beside them."""

    id: str
    started_at: datetime
    finished_at: datetime
    bytes: int = Field(description="What it takes on the disk")
    database_bytes: int = Field(description="The database's files, unpacked")
    workspace_bytes: int = Field(description="The files of the service's own workspaces, unpacked")
    workspace_entries: int
    skipped: list[str] = Field(
        description="What in the workspaces is no file, directory or link, or could not be read; the first 20"
    )
    postgres: str
    version: str = Field(description="The version of Flynn that took it")
    verified: bool = Field(description="Whether every file was compared with its checksum afterwards")


class BackupUnderWay(_View):
    """A base backup that is being taken now."""

    id: str
    started_at: datetime
    phase: Literal["beginning", "database", "verification", "packing", "workspaces"]


class BackupFailure(_View):
    """Why the last attempt came to nothing."""

    id: str
    at: datetime
    detail: str


class BackupsView(_View):
    """All backups, the newest first, and what they are good for."""

    items: list[BackupView]
    windows: list[Window] = Field(description="Every second that can be restored lies in one of these")
    under_way: BackupUnderWay | None
    last_failure: BackupFailure | None = Field(description="None when the last attempt succeeded")
    next_at: datetime | None = Field(description="When the next one is due; None without a schedule")
    lag_seconds: float | None = Field(
        description="How far the kept log is behind the database; None while none is kept"
    )
    bytes: int = Field(description="What all of it takes on the disk, the log included")
    keep_days: float
    not_included: list[str] = Field(description="What no backup holds, in words")


class BackupBegun(_View):
    """The answer to the order to take one."""

    id: str
