"""What intake needs to know of the settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flynn.domain.brief import Brief
from flynn.domain.destination import Destinations
from flynn.domain.model_key import ModelKeyMissing
from flynn.domain.permission import PermissionMode
from flynn.domain.run import Limits
from flynn.store.admission import AdmissionLimits
from flynn.workspace.mounts import Mounts, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Limits and texts. `opening(workspace name, its path if known)` renders a conversation's first block,
    `brief` what a task's agent is told beside its instructions; `interrupted` is what the model is told of a
    stopped run, `modes` of each permission mode. `workspace_quota` is the default of workspaces that the
    service makes, `workspaces_each` how many of them it makes for one principal, `destinations` where tasks
    may be called back. `keyless` says whether this process runs the agent and has no key for the model
    now."""

    limits: Limits
    admission: AdmissionLimits
    message_max_bytes: int
    forbidden_roots: tuple[Path, ...]
    opening: Callable[[str, str | None], str]
    interrupted: str
    brief: Callable[[Brief], str]
    modes: Mapping[PermissionMode, str]
    default_workspace: str = "default"
    mounts: Mounts = field(default_factory=Mounts)
    workspace_quota: int | None = None
    workspaces_each: int = 20
    day_nanodollars: int | None = None
    """What the runs of one principal may spend in a UTC day together, None without a limit."""
    destinations: Destinations = field(default_factory=Destinations)
    keyless: Callable[[], bool] = lambda: False

    def need_model(self, place: Place) -> None:
        """Raise ModelKeyMissing where this process itself would have to work, and cannot for want of a key.

        What lies on volumes that it has not mounted is others' work, who may have one.
        """
        if self.keyless() and self.mounts.resolve(place) is not None:
            raise ModelKeyMissing

    def quota(self, *, made: bool, given: int | None) -> int | None:
        """Most bytes that a workspace may take: as given, else the default for those the service made."""
        return given if given is not None or not made else self.workspace_quota
