"""The report of a task: what the log proves, and apart from it what the agent says, judged by that.

Published as docs/report.schema.json. What reports had not always has a default, so that old ones can be read.
"""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from flynn.domain.account import Account
from flynn.domain.claim import Claim, Judgement
from flynn.domain.diff_checks import DiffChecks
from flynn.domain.usage import Usage


class ReportedFile(BaseModel):
    """A file that the task changed, from its first digest to its last; None where there was or is none."""

    model_config = ConfigDict(frozen=True)

    path: str
    before: str | None
    after: str | None
    lines_added: int
    lines_removed: int


class ReportedCommand(BaseModel):
    """A command that the task ran. `outcome` "unknown" means that nobody saw its end: its worker was lost
    meanwhile, or it was a background job that the run left behind. Such a job was ended with the run.

    `description` is what the agent said it was for.
    """

    model_config = ConfigDict(frozen=True)

    seq: int
    command: str
    cwd: str
    exit_code: int | None
    outcome: Literal["ok", "error", "cancelled", "denied", "unknown"]
    duration_ms: int
    description: str | None = None


HandOver = Literal["updated", "unchanged", "diverged", "kept", "failed"]
"""What became of a task's commits: the branch has them; there were none; the branch had moved on, or they
could not be put on it for another reason, so that they are kept under refs/flynn/tasks/; or they are in the
task's checkout only."""
Delivered = Literal[HandOver, "left"]
"""The same of a whole task; `left`: it ended without a hand-over of what it had changed since the last one,
since no worker held its run, so that this is in its checkout only."""


class ReportedCommit(BaseModel):
    """A commit of the task: the first line of its message, and how many files it touches."""

    model_config = ConfigDict(frozen=True)

    sha: str
    subject: str
    files: int


class Evidence(BaseModel):
    """What the log proves. `checks` are None where nobody looked; `checks_missing` then says why.

    `branch` and what follows are of a task with a checkout of its own: the commit where the branch began,
    its commits (`more_commits` counts those that are not named), what became of them and, where that wants
    explaining, why.
    """

    model_config = ConfigDict(frozen=True)

    files: list[ReportedFile]
    commands: list[ReportedCommand]
    checks: DiffChecks | None = None
    checks_missing: str | None = None
    steps: int
    tool_calls: int
    usage: Usage
    cost_dollars: float
    duration_ms: int
    stop_reason: str
    last_seq: int
    branch: str | None = None
    base: str | None = None
    commits: list[ReportedCommit] = []
    more_commits: int = 0
    handed_over: Delivered | None = None
    hand_over_detail: str | None = None


class ReportedCriterion(BaseModel):
    """An acceptance criterion, and what the agent says of it: "unsaid" when its account does not."""

    model_config = ConfigDict(frozen=True)

    criterion: str
    said: Literal["met", "not_met", "unknown", "unsaid"]
    how: str = ""
    judgement: Judgement = Judgement.UNVERIFIED
    why: str = ""


class Report(BaseModel):
    """A task's report. `account` and `prose` (its last words on the way) are the agent's and prove nothing.

    `account_missing` says why there is no account. `claims` are what the account says, the contradicted ones
    first; `unmentioned` are changed files that it does not name.
    """

    model_config = ConfigDict(frozen=True)

    task_id: UUID
    state: Literal["completed", "failed", "cancelled"]
    detail: str | None = None
    evidence: Evidence
    prose: str
    criteria: list[ReportedCriterion] = []
    account: Account | None = None
    account_missing: str | None = None
    claims: list[Claim] = Field(default=[], description="Contradicted ones first")
    unmentioned: list[str] = []

    @property
    def contradicted(self) -> list[Claim]:
        """Claims that the evidence contradicts."""
        return [claim for claim in self.claims if claim.judgement is Judgement.CONTRADICTED]
