"""How the parts of the service are: what /ready answers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

PartState = Literal["ok", "degraded", "down"]
"""`degraded`: the service goes on without it, and says what that costs. `down`: it cannot go on."""


class Part(BaseModel):
    """One part, by name. `detail` says in words what is wrong and what that means, or how it is set up."""

    model_config = ConfigDict(frozen=True)

    name: str
    state: PartState
    detail: str | None = None


class Readiness(BaseModel):
    """Whether the service can work: `ok` unless a part is down. Degraded parts are named all the same."""

    model_config = ConfigDict(frozen=True)

    ok: bool
    parts: list[Part]
