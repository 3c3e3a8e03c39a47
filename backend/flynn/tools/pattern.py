r"""Globs as Glob understands them: those of .gitignore, with alternatives in braces.

A pattern without a slash is a name, wherever it is; one with a slash (`./name` too) is a path from where
the search starts. `*` and `?` stop at a slash; `**` as a whole component stands for any directories.

The expressions never backtrack more than a constant number of times over a path: behind each star but
the last of its component, and behind each `**` but the last, the first place that fits is as good as any
other, so it is taken for good (an atomic group). No pattern can hang the service.
"""

import re
from collections.abc import Iterator

_MOST_ALTERNATIVES = 256
_ANY = "**"


class BadPattern(ValueError):
    """The glob cannot be read; the message says why."""


def compile_glob(pattern: str) -> re.Pattern[str]:
    """The regular expression that fully matches the relative paths which `pattern` means.

    Raises BadPattern.
    """
    expressions: list[str] = []
    for alternative in _alternatives(pattern):
        expressions.append(_path(alternative))
        if len(expressions) > _MOST_ALTERNATIVES:
            raise BadPattern(f"the braces of the pattern stand for more than {_MOST_ALTERNATIVES} patterns")
    try:
        return re.compile("|".join(expressions), re.DOTALL)
    except re.error as error:
        raise BadPattern(f"the pattern {pattern!r} cannot be read: {error.msg}") from None


def _path(pattern: str) -> str:
    """The expression of a pattern without braces."""
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if not parts:
        raise BadPattern("the pattern is empty")
    if "/" not in pattern:
        parts.insert(0, _ANY)
    if pattern.endswith("/"):
        parts.append(_ANY)
    runs: list[list[str]] = [[]]
    for part in parts:
        if part == _ANY:
            runs.append([])
        else:
            runs[-1].append(_component(part))
    first, *later = ("/".join(run) for run in runs)
    if not later:
        return first
    said = [first + "/"] if first else []
    said += [f"(?>(?:[^/]+/)*?{run}/)" for run in later[:-1] if run]
    said.append(f"(?:[^/]+/)*{later[-1]}" if later[-1] else ".+")
    return "".join(said)


def _component(part: str) -> str:
    """The expression of one component: pieces of a fixed length with stars between them."""
    pieces = [""]
    position = 0
    while position < len(part):
        character = part[position]
        match character:
            case "*":
                pieces.append("")
                position += 1
                continue
            case "?":
                piece, position = "[^/]", position + 1
            case "[":
                piece, position = _class(part, position)
            case "\\" if position + 1 < len(part):
                piece, position = re.escape(part[position + 1]), position + 2
            case _:
                piece, position = re.escape(character), position + 1
        pieces[-1] += piece
    first, *later = pieces
    if not later:
        return first
    between = "".join(f"(?>[^/]*?{piece})" for piece in later[:-1] if piece)
    needed = "[^/]+" if not any(pieces) else "[^/]*"
    return f"{first}{between}{needed}{later[-1]}"


def _class(part: str, position: int) -> tuple[str, int]:
    """The character class that begins at `position`, and where it ends."""
    begin = position + 1
    negated = part[begin : begin + 1] in ("!", "^")
    first = begin + negated
    end = part.find("]", first + 1)
    if end < 0:
        raise BadPattern(rf"a bracket is not closed in the pattern {part!r} (write \[ for the character)")
    inside = re.sub(r"([\\\[&~|^\]])", r"\\\1", part[first:end])
    return ("[^/" if negated else "[") + inside + "]", end + 1


def _alternatives(pattern: str) -> Iterator[str]:
    """Every pattern that the braces of `pattern` stand for."""
    opened = _find(pattern, "{", 0)
    if opened is None:
        yield pattern
        return
    begin = opened + 1
    choices: list[str] = []
    depth = 0
    position: int | None = opened
    while position is not None:
        character = pattern[position]
        if character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
        if (character == "," and depth == 1) or depth == 0:
            choices.append(pattern[begin:position])
            begin = position + 1
        if depth == 0:
            for choice in choices:
                yield from _alternatives(pattern[:opened] + choice + pattern[begin:])
            return
        position = _find(pattern, "{,}", position + 1)
    raise BadPattern(f"a brace is not closed in the pattern {pattern!r}")


def _find(pattern: str, wanted: str, position: int) -> int | None:
    """Where the next of the characters `wanted` is that is neither escaped nor in brackets."""
    while position < len(pattern):
        if pattern[position] in wanted:
            return position
        if pattern[position] == "\\":
            position += 1
        elif pattern[position] == "[" and (end := pattern.find("]", position + 2)) > 0:
            position = end
        position += 1
    return None
