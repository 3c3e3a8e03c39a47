"""Where this process has volumes mounted, and so which workspaces it can open, and where.

A workspace is stored as a place: a volume and a path relative to its root. Each machine resolves it
through its own mount. Two volumes need no mounting by hand: `own`, the directory in the data directory
where the service makes workspaces, and `host`, which stands for every other path of this machine.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from flynn.domain.errors import Unavailable, WorkspaceError
from flynn.sandbox.view import walkable
from flynn.workspace.beside import Beside
from flynn.workspace.quota import Meter, Quota, Usage
from flynn.workspace.root import Workspace
from flynn.workspace.volume import NoMarker, Volume, make_volume, read_volume

_AWAY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a workspace is: `path` is relative to the root of the volume.

    Without a volume, `path` is absolute, on whichever machine the work is done: a workspace of a database
    from before there were volumes, which no process has taken in yet.
    """

    volume_id: UUID | None
    path: str


@dataclass(frozen=True, kw_only=True)
class Mounts:
    """The volumes of this process. `missing` says, a sentence each, which declared ones are not there.

    `by_descriptor`: commands are shown a workspace without walking to it (bubblewrap does so).
    """

    own: Volume | None = None
    host: Volume | None = None
    declared: tuple[Volume, ...] = ()
    missing: tuple[str, ...] = ()
    by_descriptor: bool = False
    meter: Meter = field(default_factory=Meter)

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """All of them, each once."""
        found = (*self.declared, *(v for v in (self.own, self.host) if v is not None))
        return tuple({volume.id: volume for volume in reversed(found)}.values())

    def place(self, path: Path) -> Place:
        """The place of the absolute, resolved `path`: in the innermost mounted volume, else on this host."""
        named = [v for v in (*self.declared, self.own) if v is not None]
        around = [v for v in named if path.is_relative_to(v.root) and path != v.root]
        if around:
            volume = max(around, key=lambda v: len(v.root.parts))
            return Place(volume.id, str(path.relative_to(volume.root)))
        if self.host is None:
            return Place(None, str(path))
        return Place(self.host.id, str(path.relative_to(self.host.root)))

    def find(self, path: Path) -> Place | None:
        """The place of the absolute `path` when there is a directory, links resolved."""
        return self.place(path.resolve()) if path.is_dir() else None

    def resolve(self, place: Place) -> Path | None:
        """Where `place` is on this machine; None when its volume is not mounted here."""
        if place.volume_id is None:
            return Path(place.path)
        for volume in self.volumes:
            if volume.id == place.volume_id:
                return volume.root / place.path
        return None

    def path(self, place: Place, name: str) -> Path:
        """Where `place`, that of the workspace `name`, is here. Raises Unavailable, naming the volume."""
        path = self.resolve(place)
        if path is None:
            raise Unavailable(
                f"The workspace {name!r} lies on the volume {place.volume_id}, which this process has not "
                "mounted. Ask a process that has, or mount it and name it in FLYNN_VOLUMES.",
                retry_after=_AWAY_SECONDS,
            )
        return path

    def private(self, place: Place, name: str) -> Path:
        """Where the service keeps, on the same volume, what belongs to the workspace `name` at `place`.

        It is out of reach for every tool, and the same for every process that has the volume mounted. Made
        on the way, mode 0711: what lies in it guards itself. Raises Unavailable, OSError.
        """
        self.path(place, name)
        volume = next((v for v in self.volumes if v.id == place.volume_id), self.host)
        if volume is None:
            raise Unavailable(
                f"The workspace {name!r} lies on no volume; start a service that has its directory.",
                retry_after=_AWAY_SECONDS,
            )
        volume.private.mkdir(mode=0o711, exist_ok=True)
        return volume.private

    def open(
        self, place: Place, name: str, *, quota_bytes: int | None = None, forbidden: Iterable[Path] = ()
    ) -> Workspace:
        """Open the workspace `name` at `place`. Raises Unavailable when it is not here, WorkspaceError."""
        return self.open_path(self.path(place, name), quota_bytes=quota_bytes, forbidden=forbidden)

    def open_path(
        self, path: Path | str, *, quota_bytes: int | None = None, forbidden: Iterable[Path] = ()
    ) -> Workspace:
        """Open the directory `path`, which may be no volume's root. Raises WorkspaceError."""
        quota = None if quota_bytes is None else Quota(quota_bytes, self.meter)
        return Workspace.open(path, forbidden=forbidden, grounds=self._grounds, quota=quota)

    def open_private(
        self, path: Path, *, quota_bytes: int | None = None, beside: Beside | None = None
    ) -> Workspace:
        """Open `path`, a directory beneath `private` that a run works in. Raises WorkspaceError."""
        quota = None if quota_bytes is None else Quota(quota_bytes, self.meter)
        return Workspace.open(path, quota=quota, beside=beside)

    def usage(self, workspace: Workspace) -> Usage:
        """What the workspace takes on the disk. Blocks: run it in a thread."""
        with workspace.locate(".") as root:
            return self.meter.usage(root.fileno())

    def may_own(self, directory: Path, uid: int) -> bool:
        """Whether commands that become `uid` will reach a workspace in `directory`."""
        return self.by_descriptor or walkable(directory / "workspace", (uid, uid))

    @property
    def _grounds(self) -> tuple[Path, ...]:
        return tuple(v.root for v in (*self.declared, self.own) if v is not None)


def find_mounts(data_dir: Path, declared: Iterable[Path]) -> Mounts:
    """Read the markers of the declared volumes; make those of the data directory `data_dir`.

    A declared volume without a marker is one that is not mounted now: it is named in `missing`. Raises
    WorkspaceError when the data directory cannot hold workspaces, or two declared paths are one volume.
    """
    data = data_dir.resolve()
    made = data / "workspaces"
    made.mkdir(mode=0o711, parents=True, exist_ok=True)
    own, host = make_volume(made), make_volume(data)
    found: list[Volume] = []
    missing: list[str] = []
    for path in declared:
        try:
            volume = read_volume(path.resolve())
        except NoMarker as error:
            missing.append(error.detail)
            continue
        if volume == host:
            raise WorkspaceError(
                f"FLYNN_VOLUMES names the data directory {data}: name the directories that are to be served, "
                "or its workspaces/ where another process serves it."
            )
        for other in (own, host, *found):
            if other.id == volume.id and other.root != volume.root:
                raise WorkspaceError(
                    f"{volume.root} and {other.root} carry the same volume marker: one is a copy of the "
                    "other. Remove the marker of the copy and run `flynn volumes add` for it."
                )
        if volume not in (own, *found):
            found.append(volume)
    around = Volume(host.id, Path("/"), kept=host.private)
    return Mounts(own=own, host=around, declared=tuple(found), missing=tuple(missing))


def make_directory(path: Path, owner: int | None) -> None:
    """Make the directory of a new workspace, mode 0700, for the uid (and gid) `owner` or for this process.

    Raises OSError.
    """
    path.mkdir(mode=0o700)
    if owner is not None:
        try:
            os.chown(path, owner, owner, follow_symlinks=False)
        except OSError:
            path.rmdir()
            raise


def owner_of(path: Path) -> int | None:
    """The uid of what is at `path`, None when there is nothing."""
    try:
        return path.lstat().st_uid
    except FileNotFoundError:
        return None


def adopt_directory(path: Path, owner: int) -> bool:
    """Give an empty directory of root's to `owner`; False, and nothing done, when it is anything else."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with os.scandir(directory) as entries:
            empty = next(entries, None) is None
        if os.fstat(directory).st_uid != 0 or not empty:
            return False
        os.fchown(directory, owner, owner)
        os.fchmod(directory, stat.S_IRWXU)
    finally:
        os.close(directory)
    return True
