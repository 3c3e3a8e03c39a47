"""Changing a file that the model has seen: the rule, the act, and the evidence of it."""

import difflib
from collections import Counter
from dataclasses import dataclass
from functools import partial

from flynn.domain.content import clean
from flynn.domain.evidence import FileChanged
from flynn.domain.original import MOST_BYTES, Original
from flynn.telemetry.redaction import redact
from flynn.tools.thread import by_size, in_thread
from flynn.tools.tool import ToolContext
from flynn.workspace.common_ends import common_ends
from flynn.workspace.entry import Content, Entry
from flynn.workspace.fence import Fence
from flynn.workspace.replacement import replace

MAX_FILE = 32 * 1024 * 1024
"""Bytes of a file that tools read: the whole of it is hashed, so that a change can tell what was seen."""
_DIFFED = 2_000
"""Lines on both sides together up to which a real difference is made; it takes quadratic time."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A change that was made: what it can show for itself, and what the file held before, if that is kept."""

    evidence: FileChanged
    originals: tuple[Original, ...] = ()


def unseen(context: ToolContext, path: str, content: Content) -> str | None:
    """Why `path`, which holds `content`, may not be changed now; None when the model has seen it."""
    seen = context.seen.get(path)
    if seen is None:
        return f"{path} has not been read yet in this conversation. Read it, then make the change."
    if seen != content.sha256:
        return (
            f"{path} has changed since you last saw it (by a command or by somebody else). "
            "Read it again, then make the change."
        )
    return None


async def load(entry: Entry) -> Content:
    """Read the whole of a file that is to be changed. Raises WorkspaceError over MAX_FILE bytes."""
    return await by_size(entry.status.st_size, partial(entry.read, MAX_FILE))


async def change(context: ToolContext, path: str, before: Content | None, data: bytes) -> Changed:
    """Make `data` the content of `path`, which holds `before` (None: nothing yet).

    Raises what `flynn.workspace.replacement.replace` raises. Cancelled, it waits until the file work has
    stopped; what is not yet renamed then stays as it was.
    """
    fence = Fence(deadline=context.deadline, confirm=context.confirm)
    expected = before.sha256 if before else None

    def act() -> Changed:
        written = replace(context.workspace, path, data, expected=expected, fence=fence)
        added, removed = line_changes(before.data if before else b"", data)
        kept = _keepable(written.path, before)
        evidence = FileChanged(
            path=written.path,
            before=expected,
            after=written.sha256,
            lines_added=added,
            lines_removed=removed,
            kept=kept,
            mode_before=written.mode_before,
            mode=written.mode,
            directories_made=written.made,
        )
        return Changed(evidence, (Original(before.data),) if kept and before is not None else ())

    return await in_thread(act, fence.stop)


def _keepable(path: str, before: Content | None) -> bool:
    """Whether the change can be undone: what was there is not too much, and the log can name the place.

    A name that is no text, or that passes for a secret, stands otherwise in the log than on the disk.
    """
    plain = redact(clean(path)) == path
    return plain and (before is None or len(before.data) <= MOST_BYTES)


def line_changes(before: bytes, after: bytes) -> tuple[int, int]:
    """How many lines a change adds and removes, as a diff counts them.

    Beyond _DIFFED changed lines they are counted as sets with repetition: a line that only moved is
    then no change.
    """
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    start, end = common_ends(old, new)
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    if not old or not new:
        return len(new), len(old)
    if len(old) + len(new) > _DIFFED:
        was, is_now = Counter(old), Counter(new)
        return (is_now - was).total(), (was - is_now).total()
    added = removed = 0
    for tag, old_from, old_to, new_from, new_to in difflib.SequenceMatcher(None, old, new).get_opcodes():
        if tag != "equal":
            added += new_to - new_from
            removed += old_to - old_from
    return added, removed
