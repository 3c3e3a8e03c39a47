"""Claimed files: what the workspace itself says of the files that an account calls changed."""

import os
import posixpath
from collections.abc import Iterable, Sequence
from typing import Final

from flynn.domain import events as ev
from flynn.domain.errors import WorkspaceError
from flynn.workspace.path import PathMissing
from flynn.workspace.root import Workspace
from flynn.workspace.snapshots.snapshots import SnapshotFailed, Snapshots

_LARGEST: Final = 64 << 20
"""Bytes of a file that is read to compare it: of larger ones nothing is said."""


def claimed(
    workspace: Workspace,
    paths: Iterable[str],
    *,
    since: float,
    snapshots: Snapshots | None,
    whole: Sequence[ev.Recorded],
) -> tuple[list[str], list[str]]:
    """Those of `paths` that hold what they held when the task began, and those that are not there.

    Either nobody changed content, mode or name after `since` (seconds since 1970, by the clock of the disk),
    or the first snapshot that the log `whole` tells of held the same. The latter is all there is in a
    checkout, whose files are all new. Of other paths nothing is said. Blocks on the disk.
    """
    tree = _first_tree(snapshots, whole)
    same: list[str] = []
    absent: list[str] = []
    for given in dict.fromkeys(paths):
        path = posixpath.normpath(given.strip().strip("`"))
        if path.startswith(f"{workspace.path}/"):
            path = path[len(str(workspace.path)) + 1 :]
        try:
            with workspace.locate(path, follow=False) as entry:
                if entry.is_directory:
                    continue  # what lies in it may have changed without a trace in itself
                if os.fstat(entry.fileno()).st_ctime < since:
                    same.append(path)
                elif snapshots is not None and tree is not None:
                    held = snapshots.digest_at(tree, path)
                    if held is not None and entry.is_file and entry.read(_LARGEST).sha256 == held:
                        same.append(path)
        except PathMissing:
            absent.append(path)
        except (WorkspaceError, SnapshotFailed, OSError):
            continue
    return same, absent


def _first_tree(snapshots: Snapshots | None, whole: Sequence[ev.Recorded]) -> str | None:
    """The tree from before the first change; None when nobody knows what an earlier call has changed."""
    for item in whole:
        if isinstance(item.event, ev.WorkspaceChanged):
            return item.event.before
    if snapshots is None or len({item.run_id for item in whole if item.run_id is not None}) != 1:
        return None
    try:
        began = snapshots.began()
    except SnapshotFailed:
        return None
    return began[0] if began is not None else None
