"""`flynn volumes`: make a mounted tree a volume, and say what this machine has."""

from pathlib import Path

from flynn.app.seeding import read_mounts
from flynn.domain.errors import ConfigurationError, WorkspaceError
from flynn.settings import Settings
from flynn.telemetry import logging
from flynn.workspace.volume import make_volume


def add(settings: Settings, path: Path) -> int:
    """Mark the directory `path` as a volume and say how a process gets to serve it.

    Raises ConfigurationError when it cannot be marked.
    """
    try:
        volume = make_volume(path.resolve())
    except WorkspaceError as error:
        raise ConfigurationError(error.detail) from error
    print(f"{volume.id}  {volume.root}")
    if volume.root not in [declared.resolve() for declared in settings.volumes]:
        paths = ":".join(map(str, (*settings.volumes, volume.root)))
        print(f"Each process that has it mounted serves it with FLYNN_VOLUMES={paths}")
    return 0


def show(settings: Settings) -> int:
    """Print the volumes of this process, one a line, and those that are missing; 1 when any is."""
    logging.configure("error", settings.log_format)
    mounts = read_mounts(settings)
    for volume in mounts.volumes:
        about = ""
        if volume == mounts.own:
            about = "  workspaces that the service makes"
        elif volume == mounts.host:
            about = "  other paths of this machine"
        print(f"{volume.id}  {volume.root}{about}")
    for reason in mounts.missing:
        print(f"missing: {reason}")
    return 1 if mounts.missing else 0
