"""Differences as text: unified, in git's form, so that people read them and `git apply` takes them.

Secrets are redacted on both sides before they are compared, so no diff shows one, not even in part.
Source of the form: git-diff(1), "Generating patch text with -p".
"""

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from flynn.telemetry.redaction import redact
from flynn.workspace.common_ends import common_ends
from flynn.workspace.snapshots.comparison import Change
from flynn.workspace.snapshots.node import Node

_CONTEXT: Final = 3
LARGEST: Final = 1 << 20
"""Bytes of a file on either side up to which lines are compared."""
_COMPARED: Final = 2_000
"""Differing lines on both sides together up to which the shortest difference is looked for: it takes
quadratic time. Beyond them all the old lines go and all the new ones come."""
_SNIFFED: Final = 8_000

Content = Callable[[str], bytes | None]
"""What a digest names; None when it is not kept."""
_Codes = list[tuple[str, int, int, int, int]]


@dataclass(frozen=True, slots=True)
class FilePatch:
    """The patch of one file, and the lines it adds and removes; `binary` where there are none to show."""

    text: bytes
    added: int
    removed: int
    binary: bool


@dataclass(frozen=True, slots=True)
class Patch:
    """Patches one after the other; `cut` when not all of them found room."""

    text: bytes
    cut: bool


def joined(patches: Iterable[FilePatch], limit: int) -> Patch:
    """`patches` in order, whole ones only, within `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    cut = False
    for patch in patches:
        if size + len(patch.text) > limit:
            cut = True
            continue
        parts.append(patch.text)
        size += len(patch.text)
    return Patch(b"".join(parts), cut)


def patch_of(change: Change, content: Content) -> FilePatch | None:
    """The patch of a change of a file or link; None for what git does not tell: directories."""
    before, after = _told(change.before), _told(change.after)
    if before is None and after is None:
        return None
    if before is not None and after is not None and before.kind != after.kind:
        gone = _patch(change.path, before, None, content)
        come = _patch(change.path, None, after, content)
        return FilePatch(gone.text + come.text, come.added, gone.removed, gone.binary or come.binary)
    return _patch(change.path, before, after, content)


def _told(node: Node | None) -> Node | None:
    return node if node is not None and node.kind in ("file", "link") else None


def _patch(path: str, before: Node | None, after: Node | None, content: Content) -> FilePatch:
    old_name, new_name = _quoted(f"a/{path}"), _quoted(f"b/{path}")
    head = [b"diff --git %s %s\n" % (old_name, new_name)]
    if before is None and after is not None:
        head.append(b"new file mode %s\n" % _mode(after))
    elif after is None and before is not None:
        head.append(b"deleted file mode %s\n" % _mode(before))
    elif before is not None and after is not None and _mode(before) != _mode(after):
        head.append(b"old mode %s\nnew mode %s\n" % (_mode(before), _mode(after)))
    if before is not None and after is not None and before.digest == after.digest:
        text = b"".join(head) if len(head) > 1 else b""
        return FilePatch(text, 0, 0, binary=False)
    old, new = _lines(before, content), _lines(after, content)
    sides = (
        b"/dev/null" if before is None else old_name,
        b"/dev/null" if after is None else new_name,
    )
    if old is None or new is None:
        head.append(b"Binary files %s and %s differ\n" % sides)
        return FilePatch(b"".join(head), 0, 0, binary=True)
    codes = _codes(old, new)
    added = sum(to - at for tag, _, _, at, to in codes if tag != "equal")
    removed = sum(to - at for tag, at, to, _, _ in codes if tag != "equal")
    if added or removed:
        head.append(b"--- %s\n+++ %s\n" % tuple(_ended(side) for side in sides))
        head += _hunks(old, new, codes)
    return FilePatch(b"".join(head), added, removed, binary=False)


def _ended(name: bytes) -> bytes:
    """A tab ends a name with a space in it, as git writes it."""
    return name + b"\t" if b" " in name and not name.startswith(b'"') else name


def _mode(node: Node) -> bytes:
    if node.kind == "link":
        return b"120000"
    return b"100755" if node.executable else b"100644"


def _lines(node: Node | None, content: Content) -> list[bytes] | None:
    """The lines of a side, secrets redacted; None when it is binary, too large or not kept."""
    if node is None:
        return []
    data = content(node.digest)
    if data is None or len(data) > LARGEST or b"\0" in data[:_SNIFFED]:
        return None
    clean = redact(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    lines = clean.split(b"\n")
    whole = [line + b"\n" for line in lines[:-1]]
    return [*whole, lines[-1]] if lines[-1] else whole


def _codes(old: list[bytes], new: list[bytes]) -> _Codes:
    start, end = common_ends(old, new)
    was, now = old[start : len(old) - end], new[start : len(new) - end]
    codes: _Codes = [("equal", 0, start, 0, start)] if start else []
    if was and now and len(was) + len(now) <= _COMPARED:
        codes += [
            (tag, a + start, b + start, c + start, d + start)
            for tag, a, b, c, d in difflib.SequenceMatcher(None, was, now).get_opcodes()
        ]
    elif was or now:
        codes.append(("replace", start, start + len(was), start, start + len(now)))
    if end:
        codes.append(("equal", len(old) - end, len(old), len(new) - end, len(new)))
    return codes


def _hunks(old: list[bytes], new: list[bytes], codes: _Codes) -> Iterator[bytes]:
    for group in _grouped(codes):
        first, last = group[0], group[-1]
        yield b"@@ -%s +%s @@\n" % (_range(first[1], last[2]), _range(first[3], last[4]))
        for tag, a, b, c, d in group:
            if tag == "equal":
                yield from (_line(b" ", line) for line in old[a:b])
                continue
            yield from (_line(b"-", line) for line in old[a:b])
            yield from (_line(b"+", line) for line in new[c:d])


def _grouped(codes: _Codes) -> Iterator[_Codes]:
    """Differences with their context; such that are near each other together."""
    group: _Codes = []
    for place, (tag, a, b, c, d) in enumerate(codes):
        if tag != "equal":
            group.append((tag, a, b, c, d))
            continue
        ahead = place < len(codes) - 1
        if group and ahead and b - a > 2 * _CONTEXT:
            yield [*group, (tag, a, a + _CONTEXT, c, c + _CONTEXT)]
            group = []
        if not group:
            if ahead:
                skip = max(0, b - a - _CONTEXT)
                group = [(tag, a + skip, b, c + skip, d)]
        else:
            keep = b - a if ahead else min(_CONTEXT, b - a)
            group.append((tag, a, a + keep, c, c + keep))
    if any(tag != "equal" for tag, *_ in group):
        yield group


def _range(start: int, stop: int) -> bytes:
    length = stop - start
    begin = start + 1 if length else start
    return b"%d" % begin if length == 1 else b"%d,%d" % (begin, length)


def _line(sign: bytes, line: bytes) -> bytes:
    return sign + line if line.endswith(b"\n") else sign + line + b"\n\\ No newline at end of file\n"


def _quoted(name: str) -> bytes:
    """A name as git writes it: in quotes, bytes in octal, when it would not be one name on a line."""
    clean = redact(name)
    raw = clean.encode("utf-8", "surrogateescape")
    try:
        raw.decode("utf-8")
        odd = any(byte < 0x20 or byte in b'"\\\x7f' for byte in raw)
    except UnicodeDecodeError:
        odd = True
    if not odd:
        return raw
    escapes = {0x22: b'\\"', 0x5C: b"\\\\", 0x09: b"\\t", 0x0A: b"\\n", 0x0D: b"\\r"}
    told = [escapes.get(byte, bytes([byte]) if 0x20 <= byte < 0x7F else b"\\%03o" % byte) for byte in raw]
    return b'"' + b"".join(told) + b'"'
