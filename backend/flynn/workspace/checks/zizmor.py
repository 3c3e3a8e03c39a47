"""zizmor over GitHub workflows and actions, offline: what an outsider could make them do."""

import re
from collections.abc import Sequence

from pydantic import BaseModel, TypeAdapter

from flynn.domain.finding import Finding, Severity
from flynn.sandbox.command import Completed
from flynn.workspace.checks.linter import finding
from flynn.workspace.checks.program import ProgramLinter
from flynn.workspace.checks.source import Sources, name_of

_WORKFLOW = re.compile(r"(?:^|/)\.github/workflows/[^/]+\.ya?ml$")
_REFUSED = re.compile(rb"failed to (?:validate|load|parse) file://")
_AGAINST_SCHEMA = "it takes no file that is against the schema of GitHub"
_LEVELS = {"High": Severity.ERROR, "Medium": Severity.WARNING}


class _Determinations(BaseModel):
    confidence: str
    severity: str


class _Local(BaseModel):
    verbatim_path: str


class _Key(BaseModel):
    Local: _Local


class _Symbolic(BaseModel):
    key: _Key
    annotation: str
    kind: str


class _Point(BaseModel):
    row: int
    column: int


class _Span(BaseModel):
    start_point: _Point
    end_point: _Point


class _Concrete(BaseModel):
    location: _Span


class _Location(BaseModel):
    symbolic: _Symbolic
    concrete: _Concrete


class _Said(BaseModel):
    ident: str
    desc: str
    url: str
    determinations: _Determinations
    locations: list[_Location]
    ignored: bool


_ANSWER = TypeAdapter(list[_Said])


def is_workflow(path: str) -> bool:
    """Whether `path` is a GitHub workflow, of this repository or of one within it."""
    return bool(_WORKFLOW.search(path))


def is_action(path: str) -> bool:
    """Whether `path` is named like the definition of a GitHub action."""
    return name_of(path) in ("action.yml", "action.yaml")


def _wants(path: str, sources: Sources) -> bool:
    # Of a fault of YAML another linter speaks.
    return (is_workflow(path) or is_action(path)) and bool(sources.yaml(path))


def _explain(done: Completed) -> str | None:
    return _AGAINST_SCHEMA if _REFUSED.search(done.errors) else None


def _read(done: Completed, paths: Sequence[str], sources: Sources) -> list[Finding]:  # noqa: ARG001 - as all linters are asked
    if _REFUSED.search(done.errors):
        # Beside others it leaves a file out, and only its log says so: ask about each alone.
        raise ValueError("a file was left out")
    return [_finding(said) for said in _ANSWER.validate_json(done.output) if not said.ignored]


def _finding(said: _Said) -> Finding:
    primary = next((at for at in said.locations if at.symbolic.kind == "Primary"), None)
    at = primary or next(iter(said.locations), None)
    if at is None:
        raise ValueError("a finding without a place")
    severity = _LEVELS.get(said.determinations.severity, Severity.NOTE)
    if said.determinations.confidence == "Low" and severity is Severity.ERROR:
        severity = Severity.WARNING
    span = at.concrete.location
    return finding(
        "zizmor",
        said.ident,
        severity,
        f"{said.desc}: {at.symbolic.annotation}",
        at.symbolic.key.Local.verbatim_path.removeprefix("./"),
        line=span.start_point.row + 1,
        column=span.start_point.column + 1,
        end_line=span.end_point.row + 1,
        url=said.url,
    )


ZIZMOR = ProgramLinter(
    tool="zizmor",
    package="zizmor",
    wants=_wants,
    words=("--offline", "--no-progress", "--no-exit-codes", "--quiet", "--format=json-v1", "--"),
    ends=(0,),
    read=_read,
    explain=_explain,
)
