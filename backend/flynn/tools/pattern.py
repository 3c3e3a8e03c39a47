"""Globs as Glob understands them: those of .gitignore, with alternatives in braces.

A pattern without a slash is a name, wherever it is; one with a slash (`./name` too) is a path from where
the search starts. `*` and `?` stop at a slash, `**` does not.
"""

import re


class BadPattern(ValueError):
    """The glob cannot be read; the message says why."""


def compile_glob(pattern: str) -> re.Pattern[str]:
    """The regular expression that fully matches the relative paths which `pattern` means.

    Raises BadPattern.
    """
    wanted = pattern.removeprefix("./").lstrip("/")
    if not wanted:
        raise BadPattern("the pattern is empty")
    if "/" not in pattern:
        wanted = f"**/{wanted}"
    elif wanted.endswith("/"):
        wanted += "**"
    try:
        return re.compile(_expression(wanted), re.DOTALL)
    except re.error as error:
        raise BadPattern(f"the pattern {pattern!r} cannot be read: {error.msg}") from None


def _expression(pattern: str) -> str:
    pieces: list[str] = []
    depth = 0
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if pattern.startswith("**/", position) and _at_start(pattern, position):
            pieces.append("(?:[^/]+/)*")
            position += 3
            continue
        if character == "*":
            stars = len(pattern) - position - len(pattern[position:].lstrip("*"))
            pieces.append(".*" if stars > 1 else "[^/]*")
            position += stars
            continue
        if character == "[":
            piece, position = _class(pattern, position)
            pieces.append(piece)
            continue
        if character == "\\" and position + 1 < len(pattern):
            position += 1
            pieces.append(re.escape(pattern[position]))
        elif character == "?":
            pieces.append("[^/]")
        elif character == "{":
            depth += 1
            pieces.append("(?:")
        elif character == "}" and depth:
            depth -= 1
            pieces.append(")")
        elif character == "," and depth:
            pieces.append("|")
        else:
            pieces.append(re.escape(character))
        position += 1
    if depth:
        raise BadPattern(f"a brace is not closed in the pattern {pattern!r}")
    return "".join(pieces)


def _at_start(pattern: str, position: int) -> bool:
    """Whether a component may begin at `position`."""
    return position == 0 or pattern[position - 1] in "/{,"


def _class(pattern: str, position: int) -> tuple[str, int]:
    """The character class that begins at `position`, and where it ends."""
    begin = position + 1
    negated = pattern[begin : begin + 1] in ("!", "^")
    first = begin + negated
    end = pattern.find("]", first + 1)
    if end < 0:
        raise BadPattern(f"a bracket is not closed in the pattern {pattern!r} (write \\[ for the character)")
    inside = re.sub(r"([\\\[&~|^])", r"\\\1", pattern[first:end])
    if inside.startswith("]"):
        inside = "\\" + inside
    return ("[^/" if negated else "[") + inside + "]", end + 1
