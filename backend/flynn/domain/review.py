"""A review: what the linters and the deployment checklist say about a directory tree."""

from pydantic import BaseModel, ConfigDict

from flynn.domain.checklist import ChecklistItem, Verdict
from flynn.domain.finding import Finding, Severity


class NotRun(BaseModel):
    """A linter, or a part of its work, that was not done, and why. `severity` is that of the gap."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    reason: str
    severity: Severity = Severity.WARNING
    files: int
    path: str | None = None


class Ran(BaseModel):
    """A linter that ran over so many files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    files: int


class Review(BaseModel):
    """Everything that was found. `notes` say what was left out of the look, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: int
    ran: tuple[Ran, ...]
    not_run: tuple[NotRun, ...]
    findings: tuple[Finding, ...]
    checklist: tuple[ChecklistItem, ...]
    notes: tuple[str, ...]
    duration_ms: int

    @property
    def worst(self) -> Severity | None:
        """The greatest severity there is; a failed item of the checklist is an error. None: all is well."""
        found = [finding.severity for finding in self.findings]
        found += [gap.severity for gap in self.not_run]
        found += [Severity.ERROR for item in self.checklist if item.verdict is Verdict.FAILED]
        return max(found, key=lambda severity: severity.weight, default=None)
