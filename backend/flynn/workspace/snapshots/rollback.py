"""The way back: paths of a workspace become again what a snapshot says they were.

All paths are looked at first, and where one is neither as it was left nor as it is to be, nothing is done to
any. Whether there is anything to do is told by contents alone, so what was cut short is simply done again.
Nothing is done through a link, and nothing that is not covered is removed.
"""

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from flynn.domain.errors import WorkspaceError
from flynn.telemetry.crash_point import reach
from flynn.workspace.fence import Fence
from flynn.workspace.path import ContentChanged, PathMissing, join, refusing, split
from flynn.workspace.quota import growth
from flynn.workspace.replacement import put
from flynn.workspace.root import Workspace
from flynn.workspace.snapshots.comparison import Change
from flynn.workspace.snapshots.node import Node, alike, permissions
from flynn.workspace.snapshots.scan import LARGEST
from flynn.workspace.target import (
    Target,
    check_unchanged,
    owner_beneath,
    refuse_protected,
    sync_directory,
    target_in,
)

_NAMED = 10


class RolledBackPartly(WorkspaceError):
    """The disk refused in the middle: some paths are back, the others as they were."""

    code = "rolled-back-partly"
    title = "Only some of the files are as they were"


@dataclass(slots=True)
class _Way:
    """What is to be done: paths to remove, to make, and to give their mode."""

    remove: list[Change] = field(default_factory=list)
    make: list[Change] = field(default_factory=list)
    modes: list[Change] = field(default_factory=list)


def roll_back(
    workspace: Workspace,
    changes: Sequence[Change],
    content: Callable[[str], bytes | None],
    *,
    fence: Fence,
) -> list[str]:
    """Take `changes` back: what is as `after` says becomes as `before` says.

    `content` gives what a digest names. Of a mode only bits that differ between the two are set, so a later
    chmod stays. Returns the directories that had to stay, since they hold what is not covered. Raises
    ContentChanged, naming the paths, when something is neither; another WorkspaceError where it cannot be
    done, and LeaseLost; nothing was changed then, but for RolledBackPartly. Blocks on the disk.
    """
    way = _checked(workspace, changes, content)
    more = sum(
        growth(len(content(change.before.digest) or b""), None)
        for change in way.make
        if change.before is not None and change.before.kind == "file"
    )
    workspace.admit(".", more)
    left: list[str] = []
    acted = False
    try:
        for change in sorted(way.remove, key=lambda change: change.path, reverse=True):
            fence.check()
            if not _remove(workspace, change):
                left.append(change.path)
            acted = True
            reach("rollback.acted")
        for change in sorted(way.make, key=lambda change: change.path):
            fence.check()
            _make(workspace, change, content, fence)
            acted = True
            reach("rollback.acted")
        for change in sorted(way.modes, key=lambda change: change.path, reverse=True):
            fence.check()
            _set_mode(workspace, change)
    except (OSError, WorkspaceError) as error:
        if not acted:
            raise
        told = error.detail if isinstance(error, WorkspaceError) else f"the disk said: {error.strerror}"
        raise RolledBackPartly(f"Some files are as they were, then {told}") from error
    finally:
        workspace.worked_on()
    return sorted(left)


# -- looking -----------------------------------------------------------------------------------------


def _checked(workspace: Workspace, changes: Sequence[Change], content: Callable[[str], bytes | None]) -> _Way:
    way = _Way()
    others: list[str] = []
    for change in changes:
        refuse_protected(change.path)
        present = _present(workspace, change.path)
        begun = (
            present is None
            and change.before is not None
            and change.after is not None
            and change.before.kind != change.after.kind
        )
        if alike(present, change.before):
            if change.before is not None:
                way.modes.append(change)
            continue
        if not begun and not alike(present, change.after):
            others.append(change.path)
            continue
        if present is not None and (change.before is None or change.before.kind != present.kind):
            way.remove.append(change)
        if change.before is not None:
            if change.before.kind != "directory" and content(change.before.digest) is None:
                raise WorkspaceError(f"What {change.path} held then is not kept any more.")
            way.make.append(change)
            way.modes.append(change)
    others += _in_the_way(workspace, way)
    if others:
        named = ", ".join(sorted(others)[:_NAMED])
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        raise ContentChanged(
            f"Somebody else has changed what is to be undone, or put something in its way: {named}{more}"
        )
    return way


def _present(workspace: Workspace, path: str) -> Node | None:
    """What is at this very path; None for nothing, also where the path leads through a link."""
    try:
        entry = workspace.locate(path, follow=False)
    except PathMissing:
        return None
    except WorkspaceError:
        return None  # a part of the path is no directory, or a link to elsewhere: nothing is at this path
    with entry:
        if entry.path != path:
            return None
        mode = permissions(entry.status.st_mode)
        if entry.is_directory:
            return Node("directory", mode, "")
        if stat.S_ISLNK(entry.status.st_mode):
            target = os.fsencode(os.readlink("", dir_fd=entry.fileno()))
            return Node("link", 0o777, sha256(target).hexdigest())
        if not entry.is_file or entry.status.st_size > LARGEST:
            return Node("uncovered", mode, entry.kind)
        return Node("file", mode, entry.read(LARGEST).sha256)


def _in_the_way(workspace: Workspace, way: _Way) -> list[str]:
    """What lies in directories that have to give way to a file or link, and would not go with them."""
    going = {change.path for change in way.remove}
    giving = {
        change.path
        for change in way.remove
        if change.before is not None and change.after is not None and change.after.kind == "directory"
    }
    found: list[str] = []
    for path in going:
        if not any(path == top or path.startswith(f"{top}/") for top in giving):
            continue
        with suppress(WorkspaceError), workspace.locate(path, follow=False) as entry:
            if entry.is_directory:
                names = [child.name for child in entry.children()]
                found += [inner for name in names if (inner := join(path, name)) not in going]
    return found


# -- acting ------------------------------------------------------------------------------------------


def _target(workspace: Workspace, path: str) -> Target:
    """The name `path` in its directory, which is held; raises ContentChanged where a link leads elsewhere."""
    directory, name = split(path)
    parent = workspace.locate(directory)
    if parent.path != directory:
        parent.close()
        raise ContentChanged(f"{path} leads to another place now.")
    return target_in(parent, name)


def _remove(workspace: Workspace, change: Change) -> bool:
    """Remove what is at the path; False for a directory that is not empty."""
    with refusing(change.path):
        target = _target(workspace, change.path)
        with target.parent:
            if target.status is None:
                return True
            if stat.S_ISDIR(target.status.st_mode):
                try:
                    os.rmdir(target.name, dir_fd=target.parent.fileno())
                except OSError as error:
                    if change.before is not None:
                        raise
                    if not _holds_something(workspace, change.path):
                        raise WorkspaceError(f"{change.path} cannot be removed: {error.strerror}") from error
                    return False
            else:
                if stat.S_ISREG(target.status.st_mode) and change.after is not None:
                    check_unchanged(target, change.after.digest)
                os.unlink(target.name, dir_fd=target.parent.fileno())
            sync_directory(target.parent)
    return True


def _holds_something(workspace: Workspace, path: str) -> bool:
    with workspace.locate(path, follow=False) as entry:
        return any(True for _ in entry.children())


def _make(workspace: Workspace, change: Change, content: Callable[[str], bytes | None], fence: Fence) -> None:
    node = change.before
    if node is None:
        raise ValueError("nothing is to be made here")
    with refusing(change.path):
        target = _target(workspace, change.path)
        with target.parent:
            if node.kind == "directory":
                os.mkdir(target.name, mode=stat.S_IRWXU, dir_fd=target.parent.fileno())
                _give(target)
                sync_directory(target.parent)
                return
            data = content(node.digest)
            if data is None:
                raise WorkspaceError(f"What {change.path} held then is not kept any more.")
            if node.kind == "link":
                _link(target, data)
                return
            there = target.status is not None and change.after is not None
            put(target, data, expected=change.after.digest if there and change.after else None, fence=fence)


def _link(target: Target, to: bytes) -> None:
    staged = f".flynn-{token_hex(8)}.tmp"
    directory = target.parent.fileno()
    os.symlink(os.fsdecode(to), staged, dir_fd=directory)
    try:
        owner = owner_beneath(target.parent)
        if owner is not None:
            os.chown(staged, *owner, dir_fd=directory, follow_symlinks=False)
        os.rename(staged, target.name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(staged, dir_fd=directory)
        raise
    sync_directory(target.parent)


def _give(target: Target) -> None:
    owner = owner_beneath(target.parent)
    if owner is not None:
        os.chown(target.name, *owner, dir_fd=target.parent.fileno(), follow_symlinks=False)


def _set_mode(workspace: Workspace, change: Change) -> None:
    """Set the permission bits that the changes turned over, or all of them where the thing was made anew."""
    before, after = change.before, change.after
    if before is None or before.kind == "link":
        return
    bits = permissions(~0)
    if after is not None and after.kind == before.kind:
        bits = before.mode ^ after.mode
    if not bits:
        return
    with refusing(change.path), workspace.locate(change.path, follow=False) as entry:
        if entry.path != change.path or stat.S_ISLNK(entry.status.st_mode):
            raise ContentChanged(f"{change.path} leads to another place now.")
        present = stat.S_IMODE(entry.status.st_mode)
        wanted = (present & ~bits) | (before.mode & bits)
        if wanted != present:
            # O_PATH takes no fchmod; this name of the descriptor is the thing itself.
            Path(f"/proc/self/fd/{entry.fileno()}").chmod(wanted)
