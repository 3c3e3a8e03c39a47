r"""What git would ignore, by the `.gitignore` files of the tree, and what is known to be made from others.

Being ignored does not uncover anything by itself: it only lowers the size up to which it is covered. So a
pattern that is read otherwise than git reads it costs a little room, never a promise. Source: gitignore(5).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

MADE_ANEW: Final = frozenset(
    [
        *("node_modules", ".venv", "venv", "__pycache__", ".tox", ".nox", ".terraform", ".gradle"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", ".cache", ".next", ".parcel-cache"),
    ]
)
"""Directories that tools fill from other files, also where nobody has told git so."""
MOST_BYTES: Final = 256 * 1024
"""Of a `.gitignore`; a longer one is not read."""
_MOST_RULES: Final = 500
_LONGEST: Final = 1_000
_MOST_DEEP: Final = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: `pattern` matches paths relative to the directory of its file."""

    pattern: re.Pattern[str]
    directories_only: bool
    again: bool
    """Whether what it matches is not ignored after all."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that hold in one directory; `outer` are those of the directories above, by their depth."""

    own: tuple[tuple[str, tuple[Rule, ...]], ...] = ()

    def within(self, directory: str, text: str) -> "Rules":
        """These, and those of the `.gitignore` with `text` in `directory` (relative, "" for the root)."""
        rules = _rules(text)
        return Rules((*self.own, (directory, rules))) if rules else self

    def ignores(self, path: str, *, directory: bool) -> bool:
        """Whether the relative `path` is ignored by itself; what lies in an ignored directory is as well."""
        if directory and path.rpartition("/")[2] in MADE_ANEW:
            return True
        for base, rules in reversed(self.own):
            below = path[len(base) + 1 :] if base else path
            for rule in reversed(rules):
                if (directory or not rule.directories_only) and rule.pattern.fullmatch(below):
                    return not rule.again
        return False


@lru_cache(maxsize=64)
def _rules(text: str) -> tuple[Rule, ...]:
    return tuple(rule for line in text.splitlines()[:_MOST_RULES] if (rule := _rule(line)) is not None)


def _rule(line: str) -> Rule | None:
    line = line.rstrip("\r")
    if not line.endswith("\\ "):
        line = line.rstrip(" ")
    if not line or line.startswith("#"):
        return None
    again = line.startswith("!")
    line = line[1:] if again else line
    directories_only = line.endswith("/")
    line = line.rstrip("/")
    anchored = "/" in line
    parts = line.lstrip("/").split("/")
    if parts == [""] or len(line) > _LONGEST or parts.count("**") > _MOST_DEEP:
        return None
    try:
        pattern = re.compile(("" if anchored else "(?:.*/)?") + _translated(parts), re.DOTALL)
    except re.error:
        return None
    return Rule(pattern, directories_only, again)


def _translated(parts: Sequence[str]) -> str:
    found = ""
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if part == "**":
            found += ".*" if last else "(?:.*/)?"
        else:
            found += _glob(part) + ("" if last else "/")
    return found


def _glob(part: str) -> str:
    """One name of a pattern. What follows a star is taken where it comes first, and never looked for again:
    whoever writes a row of stars cannot make matching slow."""
    pieces: list[str] = [""]
    at = 0
    while at < len(part):
        letter = part[at]
        at += 1
        if letter == "*":
            if pieces[-1] or len(pieces) == 1:
                pieces.append("")
        elif letter == "?":
            pieces[-1] += "[^/]"
        elif letter == "[" and (end := part.find("]", at + 1)) > 0:
            inner = part[at:end].replace("\\", "\\\\").replace("[", "\\[")
            pieces[-1] += "[" + ("^" + inner[1:] if inner.startswith("!") else inner) + "]"
            at = end + 1
        elif letter == "\\" and at < len(part):
            pieces[-1] += re.escape(part[at])
            at += 1
        else:
            pieces[-1] += re.escape(letter)
    if len(pieces) == 1:
        return pieces[0]
    middle = "".join(f"(?>[^/]*?{piece})" for piece in pieces[1:-1])
    return f"{pieces[0]}{middle}[^/]*{pieces[-1]}"
