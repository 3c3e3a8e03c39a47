"""TOML: what does not parse. A key that stands there twice is an error of the format itself."""

import re
import tomllib
from collections.abc import Iterator

from flynn.domain.finding import Finding, Severity
from flynn.workspace.checks.linter import finding
from flynn.workspace.checks.source import Sources
from flynn.workspace.checks.syntax import SyntaxLinter

TOOL = "toml"
_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


def _wants(path: str, sources: Sources) -> bool:  # noqa: ARG001 - as all linters ask
    return path.endswith(".toml")


def _faults(path: str, text: str) -> Iterator[Finding]:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        place = _PLACE.search(said)
        line = int(place["line"]) if place and place["line"] else text.rstrip().count("\n") + 1
        column = int(place["column"]) if place and place["column"] else None
        message = f"{_PLACE.sub('', said)}."
        yield finding(TOOL, "syntax", Severity.ERROR, message, path, line=line, column=column)
    except RecursionError:
        yield finding(TOOL, "syntax", Severity.ERROR, "It is nested too deeply.", path)


TOML = SyntaxLinter(TOOL, _wants, _faults)
