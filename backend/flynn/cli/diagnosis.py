"""A diagnosis: how one part of the machine or the settings is, and what would help."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "degraded", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """How one part is; `remedy` says what would make it better."""

    part: str
    state: State
    detail: str
    remedy: str | None = None
