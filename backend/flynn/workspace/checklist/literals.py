"""Literals: what of a program's text is a string, a pattern or a comment, so that code that only looks for a
thing is not taken for the thing.

Texts are cut by one regular expression a family of languages, without a parser (decision 0019): where that is
wrong, as in a text that is no program, it is so for a line.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["code", "text", "pattern", "comment"]
"""`pattern`: a string or literal in the grammar of regular expressions."""

# None of these fails once it has begun, whatever is missing at its end: each character is looked at once.
_DOUBLE, _SINGLE = r'"(?:[^"\\\n]|\\.)*"?', r"'(?:[^'\\\n]|\\.)*'?"
_THREE = (
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*(?:""")?',
    r"'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*(?:''')?",
)
_CHARACTER = r"'(?:[^'\\\n]|\\[^'\n]{1,8}|\\')'"
_TEMPLATE = r"`[^`\\]*(?:\\.[^`\\]*)*`?"
_SLASHES = r"//[^\n]*|/\*[^*]*(?:\*(?!/)[^*]*)*(?:\*/)?"
_REGEX = r"(?<=[(,=:\[!&|?{;])\s*/(?![*/\s])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\]?)+(?:/[a-z]*)?"
_HASH = r"#[^\n]*"


def _cut(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.DOTALL)


_BY_SUFFIX = {
    **dict.fromkeys((".py", ".rb", ".ex", ".exs"), _cut(*_THREE, _DOUBLE, _SINGLE, _HASH)),
    **dict.fromkeys((".php",), _cut(_DOUBLE, _SINGLE, _SLASHES, _HASH)),
    **dict.fromkeys(
        (".js", ".cjs", ".mjs", ".jsx", ".ts", ".cts", ".mts", ".tsx", ".vue", ".svelte"),
        _cut(_SLASHES, _REGEX, _TEMPLATE, _DOUBLE, _SINGLE),
    ),
    **dict.fromkeys(
        (".go", ".rs", ".java", ".kt", ".scala", ".cs"),
        _cut(_SLASHES, _THREE[0], _TEMPLATE, _DOUBLE, _CHARACTER),
    ),
}
_GRAMMAR = re.compile(r"\\[bBsSwWdDA]|\(\?[:!=<P]|\[\^|\.\*|\.\+|\w\|\w|\\\.|\\\(")
"""What is in patterns, and hardly ever in words."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What stands at a place: of which kind it is, and its text, without quotes; "" for code."""

    kind: Kind
    text: str = ""


_CODE = Piece("code")


class Literals:
    """The literals of one text. `path` says in what it is written; of what is unknown all is code."""

    def __init__(self, text: str, path: str) -> None:
        self._text = text
        pattern = _BY_SUFFIX.get("." + path.rpartition(".")[2])
        self._spans = [found.span() for found in pattern.finditer(text)] if pattern else []
        self._starts = [start for start, _ in self._spans]

    def at(self, place: int) -> Piece:
        """What the character at `place` belongs to."""
        before = bisect_right(self._starts, place) - 1
        if before < 0 or place >= self._spans[before][1]:
            return _CODE
        start, stop = self._spans[before]
        whole = self._text[start:stop].strip()
        if whole.startswith(("#", "//", "/*")) or self._stands_alone(whole, start):
            return Piece("comment", whole)
        inner = whole.strip("\"'`")
        if whole.startswith("/") or _GRAMMAR.search(inner):
            return Piece("pattern", inner)
        return Piece("text", inner)

    def _stands_alone(self, whole: str, start: int) -> bool:
        """Whether it is a docstring: three quotes with nothing before them on their line."""
        if not whole.startswith(('"""', "'''")):
            return False
        line = self._text.rfind("\n", 0, start) + 1
        return not self._text[line:start].strip(" \trRuU")
