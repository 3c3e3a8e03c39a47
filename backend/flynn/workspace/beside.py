"""What commands over a workspace are given beside its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """`shown` are directories that are visible read-only (see flynn.sandbox.command.Command), `environment`
    is added to that of every command of the agent."""

    shown: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
