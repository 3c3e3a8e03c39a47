"""Fenced blocks of the documents: what a reader copies is what the tests run.

A block has a name in its info string, behind the language: "```python chat". What stands for the reader's own
things in it, such as the service's address, is replaced by what the test has.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

ADDRESS = "http://127.0.0.1:8000"
"""Where the documents suppose the service."""

_BLOCK = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_LANGUAGES = ("bash", "python", "javascript")
"""Languages whose blocks can be run."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block. `name` is empty where it has none, `line` is that of its first line of text."""

    document: str
    line: int
    language: str
    name: str
    text: str

    def with_address(self, url: str, **more: str) -> str:
        """The text with the service's address, and with other words in the place of `more`'s names.

        Raises AssertionError for a name that the text does not contain: the test would run something else
        than it thinks.
        """
        text = self.text.replace(ADDRESS, url)
        for word, instead in more.items():
            assert word in text, f"{self.document}:{self.line} has no {word}"
            text = text.replace(word, instead)
        return text


def blocks_of(document: str) -> list[Block]:
    """The blocks of a document, by its path in the repository, that a reader could run."""
    return found_in((ROOT / document).read_text(encoding="utf-8"), document)


def found_in(text: str, document: str = "") -> list[Block]:
    """The blocks of a text that a reader could run, in their order."""
    found = []
    for match in _BLOCK.finditer(text):
        language, _, name = match["info"].strip().partition(" ")
        if language in _LANGUAGES:
            line = text.count("\n", 0, match.start()) + 2
            found.append(Block(document, line, language, name, match["text"]))
    return found


def block(document: str, language: str, name: str) -> Block:
    """The one block of that language and name. Raises AssertionError when there is none, or two."""
    found = [each for each in blocks_of(document) if (each.language, each.name) == (language, name)]
    assert len(found) == 1, f"{document} has {len(found)} blocks ```{language} {name}"
    return found[0]


def named(document: Path) -> set[tuple[str, str]]:
    """Language and name of every block of a document."""
    return {(each.language, each.name) for each in found_in(document.read_text(encoding="utf-8"))}
