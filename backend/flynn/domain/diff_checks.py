"""What linters and the deployment checklist say of everything that a task changed, at its end."""

from pydantic import BaseModel, ConfigDict

from flynn.domain.checklist import ChecklistItem
from flynn.domain.finding import Finding
from flynn.domain.review import NotRun, Ran


class DiffFinding(Finding):
    """A finding in a changed file. `new`: it was not there when the task began; None where nobody knows."""

    new: bool | None


class DiffChecks(BaseModel):
    """`findings` the new ones first, by weight; `more` how many are left out. `notes` say what was not done.

    `checklist` is that of the whole workspace, of which the task need not have touched anything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    findings: list[DiffFinding] = []
    more: int = 0
    ran: list[Ran] = []
    not_run: list[NotRun] = []
    checklist: list[ChecklistItem] = []
    notes: list[str] = []

    @property
    def new(self) -> list[DiffFinding]:
        """Findings that are known to be new."""
        return [finding for finding in self.findings if finding.new]
