"""YAML: what does not parse, and keys that stand there twice, of which parsers keep one in silence."""

import re
from collections.abc import Iterator

from flynn.domain.finding import Finding, Severity
from flynn.workspace.checks.linter import finding
from flynn.workspace.checks.source import Sources, directory_of
from flynn.workspace.checks.syntax import SyntaxLinter
from flynn.workspace.checks.yaml_node import Node, YamlFault, parse_yaml

TOOL = "yaml"
_LOCKS = ("pnpm-lock.yaml", "yarn.lock")


def _wants(path: str, sources: Sources) -> bool:
    return path.endswith((".yml", ".yaml")) and not path.endswith(_LOCKS) and not _template(path, sources)


def _template(path: str, sources: Sources) -> bool:
    """Whether the file is a template, YAML only after it was rendered: Helm's, or one whose name is one."""
    if "{{" in path:
        return True
    place = directory_of(path)
    while place not in (".", ""):
        if place.endswith("templates") and f"{directory_of(place)}/Chart.yaml".removeprefix("./") in (
            sources.known
        ):
            return True
        place = directory_of(place)
    return False


def _faults(path: str, text: str) -> Iterator[Finding]:
    try:
        documents = parse_yaml(text)
    except YamlFault as fault:
        message = re.sub(r"^while ", "While ", fault.message)
        yield finding(TOOL, "syntax", Severity.ERROR, message, path, line=fault.line, column=fault.column)
        return
    seen: set[int] = set()
    pending = documents[::-1]
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        for key, line, column in node.doubled:
            message = f"The key {key!r} stands in this mapping twice; all but the last are lost."
            yield finding(TOOL, "duplicate-key", Severity.ERROR, message, path, line=line, column=column)
        pending += _below(node)


def _below(node: Node) -> list[Node]:
    return [*node.sequence(), *node.mapping().values()]


YAML = SyntaxLinter(TOOL, _wants, _faults)
