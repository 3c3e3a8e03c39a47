"""Places of the service itself. Apart from the rules, so that commands which need no model import none."""

from pathlib import Path

from flynn.settings import Settings


def own_places(settings: Settings) -> tuple[Path, ...]:
    """What no workspace may be, hold or lie in, but for the service's own workspaces within it."""
    kept = (settings.backup_dir.resolve(),) if settings.backup_dir is not None else ()
    return (settings.data_dir.resolve(), *kept)
