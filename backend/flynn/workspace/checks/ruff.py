"""ruff over Python files, where the repository configures it: its own rules, and no others."""

from collections.abc import Sequence

from pydantic import BaseModel, TypeAdapter

from flynn.domain.finding import Finding, Severity
from flynn.sandbox.command import Completed
from flynn.workspace.checks.linter import finding
from flynn.workspace.checks.program import ProgramLinter
from flynn.workspace.checks.source import Sources, directory_of
from flynn.workspace.path import join

_SYNTAX = "invalid-syntax"


class _Point(BaseModel):
    row: int
    column: int


class _Said(BaseModel):
    code: str | None
    filename: str
    location: _Point
    end_location: _Point
    message: str
    url: str | None


_ANSWER = TypeAdapter(list[_Said])


def _wants(path: str, sources: Sources) -> bool:
    return path.endswith((".py", ".pyi")) and _configured(directory_of(path), sources)


def _configured(directory: str, sources: Sources) -> bool:
    """Whether a configuration of ruff is in effect in `directory`: its own, or one above it."""
    while True:
        if any(join(directory, name) in sources.known for name in ("ruff.toml", ".ruff.toml")):
            return True
        project = join(directory, "pyproject.toml")
        if project in sources.known and "[tool.ruff" in (sources.text(project) or ""):
            return True
        if directory == ".":
            return False
        directory = directory_of(directory)


def _read(done: Completed, paths: Sequence[str], sources: Sources) -> list[Finding]:  # noqa: ARG001 - as all linters are asked
    root = f"{sources.workspace.path}/"
    return [
        finding(
            "ruff",
            said.code or _SYNTAX,
            Severity.ERROR if said.code in (None, _SYNTAX) else Severity.WARNING,
            said.message,
            said.filename.removeprefix(root).removeprefix("./"),
            line=said.location.row,
            column=said.location.column,
            end_line=said.end_location.row,
            url=said.url,
        )
        for said in _ANSWER.validate_json(done.output)
    ]


RUFF = ProgramLinter(
    tool="ruff",
    package="ruff",
    wants=_wants,
    words=("check", "--output-format=json", "--no-cache", "--no-fix", "--force-exclude", "--quiet", "--"),
    ends=(0, 1),
    read=_read,
    batch=1_000,
)
