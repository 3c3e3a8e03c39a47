"""Rows of the tables as the code handles them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flynn.domain.permission import PermissionMode
from flynn.domain.run import Checkout, Limits, RunKind, RunState
from flynn.domain.usage import dollars
from flynn.domain.views import LimitsView, RunView


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRow:
    """A conversation, as locked or read, with its workspace.

    `workspace_path` is relative to the volume, absolute without one; `volume_root` is where a worker last
    had the volume. `checkout` is None where there is no task; `branch` where its commits go.
    """

    id: UUID
    title: str | None
    principal_id: UUID
    workspace_id: UUID
    agent: str
    agent_version: str
    prefix_digest: str | None
    head: int
    epoch: int
    workspace_path: str
    workspace_name: str
    task_id: UUID | None
    permission_mode: PermissionMode | None
    volume_id: UUID | None
    volume_root: str | None
    workspace_made: bool
    workspace_quota: int | None
    checkout: Checkout | None
    branch: str | None

    @property
    def lane(self) -> str:
        """What its runs take of the workspace: a branch, or '' for the files themselves."""
        return self.branch or "" if self.checkout == "own" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceRow:
    """A workspace. `path` is relative to the volume, absolute without one; `made`: the service made it."""

    id: UUID
    name: str
    volume_id: UUID | None
    path: str
    made: bool
    owner_uid: int | None
    quota_bytes: int | None
    creator_id: UUID | None
    creator: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run."""

    id: UUID
    conversation_id: UUID
    workspace_id: UUID
    principal_id: UUID
    lane: str
    kind: RunKind
    state: RunState
    reason: str | None
    detail: str | None
    job_id: int | None
    lost: int
    turns: int
    nanodollars: int
    priority: int
    limits: Limits
    not_before: datetime | None
    after: tuple[UUID, ...]
    deadline: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    def view(self) -> RunView:
        """The run as people see it."""
        return RunView(
            id=self.id,
            kind=self.kind,
            state=self.state,
            reason=self.reason,
            detail=self.detail,
            turns=self.turns,
            cost_dollars=dollars(self.nanodollars),
            limits=LimitsView(
                turns=self.limits.turns,
                dollars=dollars(self.limits.nanodollars),
                prompt_tokens=self.limits.prompt_tokens,
            ),
            created_at=self.created_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            retry_at=self.not_before if self.state is RunState.WAITING else None,
            not_before=self.not_before if self.state is RunState.QUEUED else None,
        )
