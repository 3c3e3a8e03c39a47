"""All attempts: importing a category's module registers what it holds."""

import importlib
from typing import Final

from tests.escapes.attempt import ATTEMPTS, Attempt

_CATEGORIES: Final = (
    *("reading", "writing", "metadata", "network", "processes", "signals", "kernel", "mounts"),
    *("privileges", "planting", "resources", "results", "file_tools", "races"),
)


def load() -> dict[str, Attempt]:
    """Every attempt by name."""
    for name in _CATEGORIES:
        importlib.import_module(f"{__package__}.{name}")
    return ATTEMPTS
