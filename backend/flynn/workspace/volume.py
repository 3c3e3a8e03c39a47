"""Volumes: trees that one or more machines have mounted, known everywhere by the uuid in their marker.

The marker is a small file at the volume's root. Workspaces lie strictly beneath the root, so no tool can
reach it. It is read without following a link and without waiting, as everything that others may write.
"""

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from flynn.domain.errors import WorkspaceError

MARKER: Final = ".flynn-volume"
PRIVATE: Final = ".flynn"
"""The directory at a volume's root that no workspace may be, hold or lie in."""
_LONGEST: Final = 200


class NoMarker(WorkspaceError):
    """There is no volume at this path: it is not mounted, or was never made one."""

    code = "no-volume"
    title = "There is no volume at this path"


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume and where this machine has it.

    `kept` is where the service keeps what belongs to the volume's workspaces and is none of their files;
    None for the place at the root.
    """

    id: UUID
    root: Path
    kept: Path | None = None

    @property
    def private(self) -> Path:
        """The directory for what the service keeps on this volume; it need not be there yet."""
        return self.root / PRIVATE if self.kept is None else self.kept


def read_volume(root: Path) -> Volume:
    """The volume whose root is `root`. Raises NoMarker, and WorkspaceError for a marker that is none."""
    marker = root / MARKER
    try:
        source = os.open(marker, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise NoMarker(
            f"{root} is no volume: it has no {MARKER}. Mount it, or run `flynn volumes add {root}` once."
        ) from None
    except OSError as error:
        raise WorkspaceError(f"The volume marker {marker} cannot be read: {error.strerror}.") from error
    try:
        data = os.read(source, _LONGEST) if stat.S_ISREG(os.fstat(source).st_mode) else b""
    finally:
        os.close(source)
    try:
        return Volume(UUID(data.decode("ascii").strip()), root)
    except ValueError:
        raise WorkspaceError(
            f"The volume marker {marker} holds no uuid: remove it and run `flynn volumes add {root}`."
        ) from None


def make_volume(root: Path) -> Volume:
    """Make the directory `root` a volume, or find that it is one.

    The marker appears whole: of several who make one at a time, one wins. Raises WorkspaceError.
    """
    try:
        return read_volume(root)
    except NoMarker:
        pass
    if not root.is_dir():
        raise WorkspaceError(f"{root} is not a directory; create it, or mount the volume there, first.")
    staged = root / f"{MARKER}-{secrets.token_hex(8)}"
    try:
        sink = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            with os.fdopen(sink, "w") as file:
                file.write(f"{uuid4()}\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(staged, root / MARKER, follow_symlinks=False)
        finally:
            staged.unlink()
    except FileExistsError:
        pass  # somebody else was first: theirs is the one
    except OSError as error:
        raise WorkspaceError(f"{root} cannot be made a volume: {error.strerror}.") from error
    return read_volume(root)
