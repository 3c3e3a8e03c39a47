"""Places of the service itself. Apart from the rules, so that commands which need no model import none."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from flynn.settings import Settings


def own_places(settings: Settings) -> tuple[Path, ...]:
    """What no workspace may be, hold or lie in, but for the service's own workspaces within it."""
    kept = (settings.backup_dir.resolve(),) if settings.backup_dir is not None else ()
    return (settings.data_dir.resolve(), *kept)


def disk_places(
    settings: Settings, *, volumes: Sequence[Path], backups: Path | None
) -> Mapping[str, Sequence[Path]]:
    """What this process lives on (see flynn.ops.disk.PLACES), for the question how full it is."""
    return {
        "data": (settings.data_dir,),
        "workspaces": (settings.workspace or settings.data_dir / "workspaces",),
        "backups": (backups,) if backups is not None else (),
        "volumes": tuple(volumes),
    }
