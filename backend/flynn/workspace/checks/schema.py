"""check-jsonschema: compose files, GitHub workflows, actions and Dependabot's file against their schemas.

The schemas are those that the package carries, so nothing is fetched. It names places by their path in the
document; the lines are looked up here.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib.resources import files

from pydantic import BaseModel

from flynn.domain.finding import Finding, Severity
from flynn.sandbox.command import Completed
from flynn.workspace.checks.linter import finding
from flynn.workspace.checks.program import ProgramLinter
from flynn.workspace.checks.source import Sources, name_of
from flynn.workspace.checks.yaml_node import Node
from flynn.workspace.checks.zizmor import is_action, is_workflow

_COMPOSE = re.compile(r"^(?:docker-)?compose(?:[.-][\w.-]+)?\.ya?ml$")
_MAIN = re.compile(r"^(?:docker-)?compose\.ya?ml$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[(['\"])(.*?)\3\]")
_INDEX = re.compile(r"[0-9]{1,6}")
_UNEXPECTED = re.compile(r" properties are not allowed \((?P<names>.+) (?:was|were) unexpected\)$")
_QUOTED = re.compile(r"'([^']*)'")

Steps = tuple[str, ...]


class _Match(BaseModel):
    path: str
    message: str


class _Error(_Match):
    filename: str
    best_deep_match: _Match | None = None


class _Unparsed(BaseModel):
    filename: str


class _Answer(BaseModel):
    errors: list[_Error]
    parse_errors: list[_Unparsed] = []


def is_named_compose(path: str) -> bool:
    """Whether `path` is named like a compose file, whatever is in it."""
    return bool(_COMPOSE.match(name_of(path)))


def is_compose(path: str, sources: Sources) -> bool:
    """Whether `path` is a compose file: named like one, and with services or includes in it."""
    name = name_of(path)
    if not is_named_compose(path):
        return False
    documents = sources.yaml(path)
    if not documents:
        return False
    # One that is called so is one, whatever is in it.
    return bool(_MAIN.match(name)) or any(key in documents[0].mapping() for key in ("services", "include"))


def _is_dependabot(path: str) -> bool:
    return path in (".github/dependabot.yml", ".github/dependabot.yaml")


def _of_name(wanted: Callable[[str], bool], path: str, sources: Sources) -> bool:
    """Whether a file is named so and has no fault of YAML: of that another linter speaks."""
    return wanted(path) and bool(sources.yaml(path))


def _read(schema: str, done: Completed, paths: Sequence[str], sources: Sources) -> list[Finding]:  # noqa: ARG001 - as all linters are asked
    answer = _Answer.model_validate_json(done.output)
    found: list[Finding] = []
    by_file: dict[str, list[_Match]] = {}
    for error in answer.errors:
        path = error.filename.removeprefix("./")
        by_file.setdefault(path, []).append(error.best_deep_match or error)
    for path, errors in by_file.items():
        documents = sources.yaml(path)
        found += _findings(schema, path, errors, documents[0] if documents else None)
    return found


def _findings(schema: str, path: str, errors: list[_Match], document: Node | None) -> Iterator[Finding]:
    own = {steps for error in errors if (steps := _steps(error.path)) is not None}
    for error in errors:
        steps = _steps(error.path) or ()
        message = error.message
        unexpected = _unexpected(message)
        if unexpected:
            # A property that is wrong in itself makes its mapping wrong as well: that is one fault. It also
            # keeps the validator from seeing its neighbours, which then pass for unexpected.
            beside = any(len(other) > len(steps) and other[: len(steps)] == steps for other in own)
            known = _properties(schema) if beside and message.startswith("Unevaluated") else frozenset()
            unexpected = [name for name in unexpected if (*steps, name) not in own and name not in known]
            if not unexpected:
                continue
            names = ", ".join(map(repr, unexpected))
            message = f"{names} {'is' if len(unexpected) == 1 else 'are'} not allowed here"
        line, column = _place(document, steps, unexpected[0] if unexpected else None)
        where = ".".join(steps) or "the document"
        yield finding(
            "check-jsonschema",
            schema,
            Severity.ERROR,
            f"{where}: {message}.",
            path,
            line=line,
            column=column,
        )


def _unexpected(message: str) -> list[str]:
    found = _UNEXPECTED.search(message)
    return _QUOTED.findall(found["names"]) if found else []


@cache
def _properties(schema: str) -> frozenset[str]:
    """Every name that `schema` knows for a property somewhere; none where the package keeps it elsewhere."""
    file = files("check_jsonschema").joinpath("builtin_schemas", "vendor", f"{schema}.json")
    if not file.is_file():
        return frozenset()
    found: set[str] = set()
    pending = [json.loads(file.read_text(encoding="utf-8"))]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if isinstance(named := part.get("properties"), dict):
                found |= named.keys()
            pending += part.values()
        elif isinstance(part, list):
            pending += part
    return frozenset(found)


def _steps(path: str) -> Steps | None:
    """The keys and indexes of a path such as `$.services.web.ports[0]`."""
    return tuple(a or b or d for a, b, _, d in _STEP.findall(path)) if path.startswith("$") else None


def _place(document: Node | None, steps: Steps, key: str | None) -> tuple[int | None, int | None]:
    """The line and column of what `steps` lead to, as far as they lead; of its `key` where one is given."""
    if document is None:
        return None, None
    node, line, column = document, document.line, document.column
    for step in (*steps, *((key,) if key else ())):
        if node.entries is not None and step in node.entries:
            line, node = node.line_of(step), node.entries[step]
            column = node.column if node.line == line else 1
        elif node.items is not None and _INDEX.fullmatch(step) and int(step) < len(node.items):
            node = node.items[int(step)]
            line, column = node.line, node.column
        else:
            break
    return line, column


def _linter(schema: str, wants: Callable[[str, Sources], bool]) -> ProgramLinter:
    return ProgramLinter(
        tool="check-jsonschema",
        package="check-jsonschema",
        interpreted=("-I", "-m", "check_jsonschema"),
        words=("--builtin-schema", f"vendor.{schema}", "--output-format", "json", "--color", "never", "--"),
        wants=wants,
        ends=(0, 1),
        read=partial(_read, schema),
    )


SCHEMAS = (
    _linter("compose-spec", is_compose),
    _linter("github-workflows", partial(_of_name, is_workflow)),
    _linter("github-actions", partial(_of_name, is_action)),
    _linter("dependabot", partial(_of_name, _is_dependabot)),
)
