"""Changes: what the calls of a run do to the workspace, told by snapshots around them.

One snapshot before the first call that writes, one after each. A snapshot that cannot be taken never stops
a run: the call's event then says that it is not covered, and why. Reads take none.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from flynn.agent.fold import Transcript
from flynn.agent.step import Call
from flynn.domain import events as ev
from flynn.domain.content import clean
from flynn.domain.difference import CALL_BYTES, Difference
from flynn.domain.evidence import FileChanged, JobStarted
from flynn.domain.tool_result import Outcome
from flynn.telemetry.crash_point import reach
from flynn.telemetry.redaction import MARK, redact
from flynn.tools.thread import in_thread
from flynn.workspace.root import Workspace
from flynn.workspace.snapshots.comparison import Change
from flynn.workspace.snapshots.git_state import GitState, look_at_git
from flynn.workspace.snapshots.node import REASONS
from flynn.workspace.snapshots.patch import LARGEST, FilePatch, joined, patch_of
from flynn.workspace.snapshots.snapshots import SnapshotFailed, Snapshots, Taken

MOST_FILES: Final = 200
MOST_UNCOVERED: Final = 50
MOST_COMPARED: Final = 1_000
MOST_COMPARED_BYTES: Final = 32 * 2**20
"""Files of one difference whose lines are compared, and what they may hold on both sides together."""
TURNED_OFF: Final = "snapshots are turned off (FLYNN_SNAPSHOTS_MB=0)"
_OTHERWISE: Final = ("\N{REPLACEMENT CHARACTER}", MARK)
"""What stands in a path of evidence that is not the one on the disk."""
_EDITORS: Final = frozenset({"Write", "Edit"})
_Result = TypeVar("_Result")


class Changes:
    """The snapshots of one run, and the events that tell of them. `off` says why there are none."""

    def __init__(
        self,
        transcript: Transcript,
        workspace: Workspace,
        snapshots: Snapshots | None,
        *,
        off: str = TURNED_OFF,
    ) -> None:
        self.snapshots = snapshots
        self._transcript = transcript
        self._workspace = workspace
        self._off = off
        self._tree: str | None = None
        self._git: GitState | None = None
        self._why: str | None = None
        """Why the last snapshot could not be taken."""
        self._jobs = False

    async def prepare(self) -> None:
        """Take the snapshot that later ones are compared with, unless there is one. Before a call writes."""
        snapshots = self.snapshots
        if snapshots is None or self._tree is not None:
            return
        reach("snapshot.before-base")
        try:
            self._tree = (await self._do(lambda: snapshots.begin(self._transcript.seq))).tree
            self._git = await self._do(lambda: look_at_git(self._workspace))
        except SnapshotFailed as error:
            self._why = str(error)
        reach("snapshot.after-base")

    async def after(self, finished: ev.ToolFinished) -> list[ev.EventData]:
        """What the call that came to this end has changed; nothing when it changed nothing.

        A change that only Write and Edit could have made is looked for where they say that it is.
        """
        self._jobs = self._jobs or any(isinstance(item, JobStarted) for item in finished.evidence)
        if finished.outcome is Outcome.DENIED:
            return []
        path: str | None = None
        if finished.tool in _EDITORS:
            changed = [item for item in finished.evidence if isinstance(item, FileChanged)]
            if not changed:
                return []
            # A name that is no text, or passes for a secret, stands otherwise in the evidence: then all
            # is looked at.
            if len(changed) == 1 and not any(mark in changed[0].path for mark in _OTHERWISE):
                path = changed[0].path
        return await self._told(finished.step, finished.call_id, finished.tool, path)

    async def lost(self, calls: Iterable[Call], step: int) -> list[ev.EventData]:
        """What calls have changed that a lost worker had begun, as far as the run's snapshots tell."""
        found = list(calls)
        snapshots = self.snapshots
        if not found:
            return []
        if snapshots is not None:
            try:
                began = await self._do(snapshots.began)
            except SnapshotFailed as error:
                began, self._why = None, str(error)
            if began is None:
                # The call acts only after the first snapshot: without one, nobody knows whether it did.
                self._why = "its worker was lost, and had no snapshot from before"
            else:
                tree, seq = began
                logged = self._transcript.tree
                self._tree = logged[1] if logged is not None and logged[0] > seq else tree
                self._git = None
        return await self._told(step, found[0].call_id, found[0].tool, None)

    async def stopped(self, calls: Iterable[Call], step: int) -> list[ev.EventData]:
        """What calls have changed that were stopped while they ran, and the run's jobs until now."""
        for call in calls:
            return await self._told(step, call.call_id, call.tool, None)
        return await self.rest()

    async def rest(self) -> list[ev.EventData]:
        """What background jobs have changed since the last call. Nothing of the run may be alive any more."""
        if not self._jobs or self._tree is None:
            return []
        self._jobs = False
        return await self._told(self._transcript.last_step, None, None, None)

    async def close(self) -> None:
        """Let go of the store."""
        snapshots = self.snapshots
        if snapshots is not None:
            try:
                await self._do(snapshots.close)
            except SnapshotFailed:
                return  # only what was remembered of the files is lost

    async def _do(self, act: Callable[[], _Result]) -> _Result:
        def stop() -> None:
            if self.snapshots is not None:
                self.snapshots.stop()

        return await in_thread(act, stop)

    async def _told(
        self, step: int, call_id: str | None, tool: str | None, path: str | None
    ) -> list[ev.EventData]:
        snapshots, before = self.snapshots, self._tree
        if snapshots is None or before is None:
            if snapshots is not None and self._why is None:
                return []  # it was stopped before the snapshot that comes before it, so it did not act
            missed = redact(self._why or self._off)
            return [ev.WorkspaceChanged(step=step, call_id=call_id, tool=tool, missed=missed)]
        reach("snapshot.before-look")
        try:
            event, difference = await self._do(lambda: self._compared(snapshots, before, path))
        except SnapshotFailed as error:
            self._tree, self._why = None, str(error)
            return [ev.WorkspaceChanged(step=step, call_id=call_id, tool=tool, missed=redact(str(error)))]
        reach("snapshot.after-look")
        if event is None:
            return []
        event = event.model_copy(update={"step": step, "call_id": call_id, "tool": tool})
        self._transcript.differences.put(event, difference)
        self._tree = event.after
        return [event]

    def _compared(
        self, snapshots: Snapshots, before: str, path: str | None
    ) -> tuple[ev.WorkspaceChanged | None, Difference]:
        """Take a snapshot and tell what is different since `before`. Blocks."""
        taken = snapshots.look(path)
        git = self._moved() if path is None else None
        if taken.tree == before and git is None:
            return None, Difference(b"")
        changes = snapshots.changes(before, taken.tree)
        told, difference = tell(changes, snapshots)
        uncovered = _uncovered(taken, changes)
        return ev.WorkspaceChanged(
            step=0,
            before=before,
            after=taken.tree,
            files=told[:MOST_FILES],
            more=max(0, len(told) - MOST_FILES),
            uncovered=uncovered,
            uncovered_more=max(0, taken.left_out - len(uncovered)),
            git=git,
            diff_bytes=len(difference.text),
            diff_cut=difference.cut,
        ), difference

    def _moved(self) -> ev.GitMoved | None:
        before, now = self._git, look_at_git(self._workspace)
        self._git = now
        if before is None or before == now:
            return None
        return ev.GitMoved(
            head_before=shown(before.head),
            head=shown(now.head) if now else None,
            commit_before=before.commit,
            commit=now.commit if now else None,
            refs=now is None or before.refs != now.refs,
            index=now is None or before.index != now.index,
        )


def tell(
    changes: Sequence[Change], snapshots: Snapshots, limit: int = CALL_BYTES
) -> tuple[list[ev.ChangedPath], Difference]:
    """The covered ones of `changes` as events tell them, and as a text of at most `limit` bytes. Blocks.

    Beyond MOST_COMPARED files, or MOST_COMPARED_BYTES, they are told without lines and are not in the text: a
    command may write more than anybody compares. No text is held that finds no room.
    """
    covered = [change for change in changes if change.covered]
    above = {change.path.rpartition("/")[0] for change in covered}
    told: list[ev.ChangedPath] = []
    compared = size = passed_over = 0

    def content(digest: str) -> bytes | None:
        nonlocal size
        data = snapshots.content(digest)
        size += len(data) if data is not None and len(data) <= LARGEST else 0
        return data

    def patches() -> Iterator[FilePatch]:
        nonlocal compared, passed_over
        for change in covered:
            if _is_directory(change):
                # What lies in the directory tells of it.
                if change.path not in above:
                    told.append(_path(change, None))
            elif compared >= MOST_COMPARED or size >= MOST_COMPARED_BYTES:
                passed_over += 1
                told.append(_path(change, None))
            elif (patch := patch_of(change, content)) is not None:
                compared += 1
                told.append(_path(change, patch))
                yield patch

    text = joined(patches(), limit)
    return told, Difference(text.text, text.cut or passed_over > 0)


def _is_directory(change: Change) -> bool:
    """Whether it is about a directory and nothing else, of which git tells nothing."""
    return all(node is None or node.kind == "directory" for node in (change.before, change.after))


def _path(change: Change, patch: FilePatch | None) -> ev.ChangedPath:
    before, after = change.before, change.after
    there = after or before
    if there is None or there.kind == "uncovered":
        raise ValueError("nothing covered is here")
    if before is None:
        kind = "added"
    elif after is None:
        kind = "deleted"
    elif before.kind != after.kind:
        kind = "type"
    else:
        kind = "mode" if before.digest == after.digest or after.kind == "directory" else "modified"
    return ev.ChangedPath.model_validate(
        {
            "path": shown(change.path),
            "change": kind,
            "kind": there.kind,
            "before": before.digest if before is not None and before.kind != "directory" else None,
            "after": after.digest if after is not None and after.kind != "directory" else None,
            "lines_added": patch.added if patch else 0,
            "lines_removed": patch.removed if patch else 0,
            "binary": patch.binary if patch else False,
            "executable": after.executable if after is not None else False,
        }
    )


def _uncovered(taken: Taken, changes: Sequence[Change]) -> list[ev.UncoveredPath]:
    """What the snapshot leaves out: first what has to do with the changes."""
    touched = {change.path for change in changes if not change.covered}
    first = sorted(taken.uncovered, key=lambda pair: (pair[0] not in touched, pair[0]))
    return [ev.UncoveredPath(path=shown(path), why=REASONS[why]) for path, why in first[:MOST_UNCOVERED]]


def shown(path: str) -> str:
    """A path of the file system as text, without secrets."""
    return redact(clean(path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")))
