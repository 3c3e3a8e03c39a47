"""The report of a task: what the log proves, and apart from it what the model says."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from flynn.domain.usage import Usage


class ReportedFile(BaseModel):
    """A file that the task changed, from its first digest to its last."""

    model_config = ConfigDict(frozen=True)

    path: str
    before: str | None
    after: str
    lines_added: int
    lines_removed: int


class ReportedCommand(BaseModel):
    """A command that the task ran. `outcome` "unknown" means that nobody saw its end: its worker was lost
    meanwhile, or it was a background job that the run left behind. Such a job was ended with the run.
    """

    model_config = ConfigDict(frozen=True)

    seq: int
    command: str
    cwd: str
    exit_code: int | None
    outcome: Literal["ok", "error", "cancelled", "denied", "unknown"]
    duration_ms: int


HandOver = Literal["updated", "unchanged", "diverged", "kept", "failed"]
"""What became of a task's commits: the branch has them; there were none; the branch had moved on, or they
could not be put on it for another reason, so that they are kept under refs/flynn/tasks/; or they are in the
task's checkout only."""


class ReportedCommit(BaseModel):
    """A commit of the task: the first line of its message, and how many files it touches."""

    model_config = ConfigDict(frozen=True)

    sha: str
    subject: str
    files: int


class Evidence(BaseModel):
    """What the log proves.

    `branch` and what follows are of a task with a checkout of its own: the commit where the branch began,
    its commits, what became of them and, where that wants explaining, why.
    """

    model_config = ConfigDict(frozen=True)

    files: list[ReportedFile]
    commands: list[ReportedCommand]
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
    handed_over: HandOver | None = None
    hand_over_detail: str | None = None


class Report(BaseModel):
    """A task's report. `prose` is the model's own account and proves nothing."""

    model_config = ConfigDict(frozen=True)

    task_id: UUID
    state: Literal["completed", "failed", "cancelled"]
    detail: str | None = None
    evidence: Evidence
    prose: str
