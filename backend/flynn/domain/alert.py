"""Alerts: what an operator is told about, as every door and every message shows it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from flynn.domain.content import Json

Severity = Literal["warning", "critical"]
"""`critical`: somebody should look now; `warning`: today."""

AlertState = Literal["firing", "resolved"]


class AlertView(BaseModel):
    """An alert that fires."""

    model_config = ConfigDict(frozen=True)

    id: UUID = Field(description="Of this time that it fires; shared by all processes that see it")
    key: str = Field(description="Of what is wrong and where: the same whenever it fires again")
    alert: str = Field(description="The rule's name, such as ErrorRate")
    severity: Severity
    sentence: str = Field(description="What is wrong, with the figure of the beginning")
    subject: str | None = Field(
        description="What it is about: a place, a model or a part; null for the whole"
    )
    process: str = Field(description="The process that said so first, by its machine and port")
    since: datetime = Field(description="When it began to fire")
    value: float | None = Field(description="The latest figure; null when it is not known now")
    threshold: float = Field(description="Above it the alert fires")
    clear: float = Field(description="It is resolved when the figure has stayed at or below this for a while")
    unit: Literal["ratio", "seconds", "count"]
    runbook: str = Field(description="Where the runbook says what to do, in the documentation")


class AlertsView(BaseModel):
    """The alerts that fire now, the oldest first."""

    items: list[AlertView]
    evaluated_at: datetime | None = Field(
        description="When this process last looked; null when it has not yet"
    )
    complete: bool = Field(
        description="False while the database does not answer, and with it the alerts of other processes"
    )


class AlertNotice(BaseModel):
    """`notice` of an alert that fires or is over; for connections whose key has the scope admin."""

    kind: Literal["alert"] = "alert"
    state: AlertState
    alert: AlertView


def message_id(alert_id: UUID, state: AlertState) -> str:
    """The id of the message about it: the same however often, and by whichever process, it is sent."""
    return f"alert_{alert_id.hex}_{state}"


def body_of(alert: AlertView, state: AlertState, at: datetime) -> dict[str, Json]:
    """What a webhook is told, by Standard Webhooks: a type, a time, and the alert."""
    return {
        "type": f"alert.{state}",
        "timestamp": at.isoformat(),
        "data": alert.model_dump(mode="json"),
    }
