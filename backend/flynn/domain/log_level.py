"""How much is logged, while the service runs: what an admin asks for, and how it stands."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

LogLevel = Literal["debug", "info", "warning", "error"]

LoggerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=100)]
"""As the standard library's loggers are named; one includes all whose names go on behind its own."""


class LogLevelOrder(BaseModel):
    """Log from `level` on, in every process of the service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: LogLevel
    logger: LoggerName | None = Field(
        default=None, description="A logger, such as `flynn.access` or `sqlalchemy`; all of them if left out"
    )
    minutes: float | None = Field(
        default=None, gt=0, le=10_080, description="For how long; until it is taken back if left out"
    )


class LogLevelSet(BaseModel):
    """A level that was asked for."""

    model_config = ConfigDict(frozen=True)

    logger: str | None = Field(description="null: all loggers that none is named for")
    level: LogLevel
    until: datetime | None = Field(description="null: until it is taken back")
    set_at: datetime
    set_by: str


class LogLevelView(BaseModel):
    """How much is logged. Every process follows within seconds, one that is started later too."""

    model_config = ConfigDict(frozen=True)

    level: LogLevel = Field(description="What holds now for all loggers that none is named for")
    configured: LogLevel = Field(description="LOG_LEVEL of the process that answers")
    items: list[LogLevelSet] = Field(description="What was asked for and still holds")
