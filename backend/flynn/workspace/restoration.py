"""Restoring: what one call did to one file is taken back, if the file is still as the call left it.

Whether there is anything to do is told by digests alone, so a restoration that was cut short at any place
is simply done again. Nothing is restored through a link, into another directory than the one that the
call wrote to, or over what somebody has written since.
"""

import os
import stat
from typing import Final

from flynn.domain.errors import PathEscapes, WorkspaceError
from flynn.domain.evidence import FileChanged
from flynn.telemetry.crash_point import reach
from flynn.workspace.entry import Entry
from flynn.workspace.fence import Fence
from flynn.workspace.path import ContentChanged, PathMissing, refusing, split
from flynn.workspace.quota import growth
from flynn.workspace.replacement import put
from flynn.workspace.root import Workspace
from flynn.workspace.target import Target, check_unchanged, refuse_protected, sync_directory, target_in

_PERMISSIONS: Final = 0o777
"""What is restored of a mode: no file gets the right to act as somebody else by an undo."""
_LARGEST: Final = 256 * 1024 * 1024
"""Bytes of a file that is looked at: no call of a tool leaves a longer one."""


def restore(workspace: Workspace, change: FileChanged, original: bytes | None, *, fence: Fence) -> bool:
    """Give the file of `change` the content `original` again; None removes it, as it was new.

    Permission bits that the call changed are turned back, those that were changed since stay. With a new
    file go the directories that the call had made for it, as far as they are empty. `fence` is checked
    right before each act. False when the file was as before already. Raises ContentChanged when it is
    neither as the call left it nor as it was before, another WorkspaceError where it cannot be written, and
    LeaseLost; the file then stays as it is. Blocks on the disk: run it in a thread.
    """
    with refusing(change.path):
        refuse_protected(change.path)
        present = _present(workspace, change)
        if present == change.before:
            # Somebody was here before: most likely this very undo, under a worker that was lost.
            _remove_directories(workspace, change, fence)
            return False
        if present != change.after:
            what = "is not there any more" if present is None else "has changed since that call"
            raise ContentChanged(f"{change.path} {what}.")
        if original is None:
            _remove(workspace, change, fence)
            _remove_directories(workspace, change, fence)
        else:
            _put_back(workspace, change, original, fence)
        return True


def _present(workspace: Workspace, change: FileChanged) -> str | None:
    """The sha256 of what is at the very path that the call wrote to; None when nothing is."""
    try:
        entry = workspace.locate(change.path, follow=False)
    except PathMissing:
        return None
    with entry:
        _same_place(entry, change.path)
        if not entry.is_file:
            raise ContentChanged(f"{change.path} is a {entry.kind} now.")
        if entry.status.st_size > _LARGEST:
            raise ContentChanged(f"{change.path} has changed since that call.")
        if not os.access(f"/proc/self/fd/{entry.fileno()}", os.W_OK, effective_ids=True):
            raise WorkspaceError(f"{change.path} is read-only for this process.")
        return entry.read(_LARGEST).sha256


def _same_place(entry: Entry, path: str) -> None:
    """Raise ContentChanged when `path` leads through links that were not there when the call resolved it."""
    if entry.path != path:
        raise ContentChanged(f"{path} leads to another place now: {entry.path}.")


def _target(workspace: Workspace, path: str) -> Target:
    """The file at `path` in its directory, which is held."""
    directory, name = split(path)
    parent = workspace.locate(directory)
    try:
        _same_place(parent, directory)
    except ContentChanged:
        parent.close()
        raise
    return target_in(parent, name)


def _put_back(workspace: Workspace, change: FileChanged, original: bytes, fence: Fence) -> None:
    target = _target(workspace, change.path)
    with target.parent:
        more = growth(len(original), target.status)
        workspace.admit(change.path, more)
        flipped = 0
        if change.mode_before is not None and change.mode is not None:
            flipped = (change.mode_before ^ change.mode) & _PERMISSIONS
        put(target, original, expected=change.after, fence=fence, flipped=flipped)
    workspace.grew(more)


def _remove(workspace: Workspace, change: FileChanged, fence: Fence) -> None:
    target = _target(workspace, change.path)
    with target.parent:
        check_unchanged(target, change.after)
        fence.check()
        os.unlink(target.name, dir_fd=target.parent.fileno())
        reach("file.removed")
        sync_directory(target.parent)
    workspace.grew(growth(0, target.status))


def _remove_directories(workspace: Workspace, change: FileChanged, fence: Fence) -> None:
    """Remove what the call made above a new file, the innermost first, as long as it is empty."""
    path = change.path
    for _ in range(change.directories_made):
        path, _name = split(path)
        try:
            target = _target(workspace, path)
        except (PathMissing, PathEscapes, ContentChanged):
            return  # moved or gone: it is somebody else's now
        with target.parent:
            if target.status is None or not stat.S_ISDIR(target.status.st_mode):
                return
            fence.check()
            try:
                os.rmdir(target.name, dir_fd=target.parent.fileno())
            except OSError:
                return  # not empty, or not ours to remove: it stays
            sync_directory(target.parent)
