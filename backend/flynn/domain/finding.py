"""Findings: what a linter says about a place in a file."""

import hashlib
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

MOST_MESSAGE = 500
"""Characters of a message; a linter may repeat half of the file in one."""


class Severity(StrEnum):
    """How much a finding weighs. An error is wrong or dangerous, a warning likely so, a note is advice."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def weight(self) -> int:
        """The heavier, the greater: 3, 2, 1."""
        return {Severity.ERROR: 3, Severity.WARNING: 2, Severity.NOTE: 1}[self]


class Finding(BaseModel):
    """One fault. `path` is relative to the root; lines and columns count from 1, None where unknown.

    `rule` is the tool's own name for what is wrong, `url` the page about it where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    rule: str
    severity: Severity
    message: str
    path: str
    line: int | None = Field(default=None, ge=1)
    column: int | None = Field(default=None, ge=1)
    end_line: int | None = Field(default=None, ge=1)
    url: str | None = None

    @property
    def fingerprint(self) -> str:
        """The same for the same fault after lines were moved: without line and column, in hexadecimal."""
        said = "\0".join((self.tool, self.rule, self.path, self.message))
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    @property
    def order(self) -> tuple[str, int, int, str, str, str]:
        """Sorts by path and line."""
        return (self.path, self.line or 0, self.column or 0, self.tool, self.rule, self.message)
