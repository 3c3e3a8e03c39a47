"""JSON: what does not parse, and keys that stand in an object twice, of which parsers keep one in silence."""

import json
import re
from collections.abc import Iterator

from flynn.domain.finding import Finding, Severity
from flynn.workspace.checks.linter import finding
from flynn.workspace.checks.source import Sources, name_of
from flynn.workspace.checks.syntax import SyntaxLinter

TOOL = "json"
_WITH_COMMENTS = re.compile(
    r"(^|/)(\.vscode|\.devcontainer|\.cursor)/|(^|/)(ts|js)config[\w.-]*\.json$|"
    r"(^|/)(\.eslintrc|\.jshintrc|\.swcrc|\.babelrc|babel\.config|devcontainer|tslint|api-extractor|renovate|"
    r"turbo|nx|angular|deno|biome|cspell|wrangler)\.jsonc?$"
)
"""Files that are named JSON and whose programs allow comments in them."""
_GENERATED = re.compile(r"(-lock|\.lock|\.min)\.json$|^(composer|Pipfile)\.lock$|npm-shrinkwrap\.json$")
_TOKEN = re.compile(r'"(?P<string>(?:[^"\\]|\\.)*+)"(?P<key>\s*+:)?|(?P<open>[{\[])|(?P<close>[}\]])')


def _wants(path: str, sources: Sources) -> bool:  # noqa: ARG001 - as all linters ask
    return path.endswith(".json") and not _WITH_COMMENTS.search(path) and not _GENERATED.search(name_of(path))


def _faults(path: str, text: str) -> Iterator[Finding]:
    if not text.strip():
        yield finding(TOOL, "syntax", Severity.ERROR, "It is empty, and an empty file is no JSON.", path)
        return
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        yield finding(
            TOOL, "syntax", Severity.ERROR, f"{error.msg}.", path, line=error.lineno, column=error.colno
        )
        return
    except ValueError as error:  # a number of more digits than Python reads
        yield finding(TOOL, "syntax", Severity.ERROR, f"{error}.", path)
        return
    except RecursionError:
        yield finding(TOOL, "syntax", Severity.ERROR, "It is nested too deeply.", path)
        return
    yield from _doubled(path, text)


def _doubled(path: str, text: str) -> Iterator[Finding]:
    """Keys that stand twice in an object of `text`, which is valid JSON."""
    open_objects: list[set[str]] = []
    line, counted = 1, 0
    for token in _TOKEN.finditer(text):
        if token["open"]:
            open_objects.append(set())
        elif token["close"]:
            open_objects.pop()
        elif token["key"] and open_objects:
            key = token["string"]
            if key in open_objects[-1]:
                line += text.count("\n", counted, token.start())
                counted = token.start()
                column = counted - text.rfind("\n", 0, counted)
                message = f"The key {key!r} stands in this object twice; all but the last are lost."
                yield finding(TOOL, "duplicate-key", Severity.ERROR, message, path, line=line, column=column)
            open_objects[-1].add(key)


JSON = SyntaxLinter(TOOL, _wants, _faults)
