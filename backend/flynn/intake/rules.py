"""What intake needs to know of the settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flynn.domain.permission import PermissionMode
from flynn.domain.run import Limits
from flynn.store.admission import AdmissionLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Limits and texts. `opening(workspace name, workspace path)` renders a conversation's first block,
    `interrupted` is what the model is told of a stopped run, `modes` of each permission mode."""

    limits: Limits
    admission: AdmissionLimits
    message_max_bytes: int
    forbidden_roots: tuple[Path, ...]
    opening: Callable[[str, str], str]
    interrupted: str
    modes: Mapping[PermissionMode, str]
    default_workspace: str = "default"
