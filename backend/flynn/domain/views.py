"""What the doors show of the service's things: views of the log and of the tables beside it."""

from datetime import date, datetime
from typing import Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from flynn.domain.callback import CallbackState
from flynn.domain.content import Json
from flynn.domain.orders import TaskBudget, TaskContext
from flynn.domain.permission import PermissionMode
from flynn.domain.report import Report
from flynn.domain.run import AfterFailed, Checkout, RunKind, RunState


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class LimitsView(_View):
    """What a run may use before it waits and asks: model calls, dollars, tokens of one prompt."""

    turns: int
    dollars: float
    prompt_tokens: int


class RunView(_View):
    """A run as people see it. `reason` and `detail` say why it waits or how it ended."""

    id: UUID
    kind: RunKind = Field(default="agent", description="undo: it takes back what a call did")
    state: RunState
    reason: str | None = None
    detail: str | None = None
    turns: int
    cost_dollars: float
    limits: LimitsView
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    retry_at: datetime | None = None
    not_before: datetime | None = Field(default=None, description="A queued run does not start before")


class WorkspaceView(_View):
    """A workspace. `path` is where this process has it, null when its volume is not mounted here.

    `made` says that the service made the directory; `quota_bytes` is null without a limit.
    """

    id: UUID
    name: str
    path: str | None
    volume_id: UUID | None
    made: bool
    quota_bytes: int | None
    created_by: str | None
    created_at: datetime


class WorkspaceDetail(WorkspaceView):
    """A workspace and what it takes on the disk: null where this process has not mounted it.

    `used_complete` is false when there was too much to count; `used_bytes` is then the least there is.
    """

    used_bytes: int | None
    used_complete: bool | None


class MemberView(_View):
    """A member of a workspace. The creator manages it, as admins do."""

    name: str
    creator: bool


class EntryView(_View):
    """One entry of a directory. `size` is in bytes, for regular files; `modified_at` is its mtime."""

    name: str
    path: str = Field(description="Relative to the workspace's root")
    kind: str = Field(description="file, directory, symbolic link, named pipe, socket, … device")
    size: int | None
    modified_at: datetime


class ConversationView(_View):
    """A conversation with its latest run. `last_seq` is the log's high-water mark."""

    id: UUID
    title: str | None
    agent: str
    agent_version: str
    workspace_id: UUID
    workspace: str
    created_at: datetime
    last_seq: int
    permission_mode: PermissionMode | None = None
    task_id: UUID | None = None
    run: RunView | None = None


ApprovalState = Literal["pending", "allowed", "denied", "expired"]


class ApprovalView(_View):
    """A call that waits, or waited, for somebody's yes; `call_digest` is what a decision has to repeat."""

    id: UUID
    conversation_id: UUID
    run_id: UUID
    seq: int
    call_id: str
    tool: str
    input: Json
    call_digest: str
    reason: str
    state: ApprovalState
    requested_at: datetime
    expires_at: datetime
    decided_by: str | None = None
    message: str | None = None


class MessageView(_View):
    """One message of the conversation in words: what people and the agent said, without tool calls."""

    seq: int
    role: Literal["user", "assistant"]
    text: str
    at: datetime
    run_id: UUID | None
    message_id: str


class CallbackView(_View):
    """Where a task's client is told of events, and how far it has been.

    `active` is well, `failing` tries its next event again at `next_attempt_at`, `dead` has given up until it
    is replayed.
    """

    task_id: UUID
    url: str = Field(description="Without its query")
    events: list[str]
    state: CallbackState
    delivered_seq: int = Field(description="Every wanted event up to this seq was delivered")
    attempts: int = Field(description="Failed ones, at the event that comes next")
    last_error: str | None = None
    last_attempt_at: datetime | None = None
    next_attempt_at: datetime | None = None
    dead_at: datetime | None = None


class Spent(_View):
    """What all runs of a task have used: model calls, tokens, dollars, minutes at work."""

    turns: int
    tokens: int
    dollars: float
    minutes: float


class TaskView(_View):
    """A delegated task. `state` is that of the agent's latest run; `report` is there when it is over."""

    id: UUID
    title: str | None
    instructions: str
    state: RunState
    reason: str | None = None
    detail: str | None = None
    agent: str
    workspace: str
    workspace_id: UUID
    conversation_id: UUID
    priority: int = Field(description="Of its latest run: higher comes first")
    not_before: datetime | None = Field(default=None, description="Queued, it does not start before")
    created_at: datetime
    ended_at: datetime | None = None
    report: Report | None = None
    callback: CallbackView | None = None
    acceptance_criteria: list[str] = []
    context: TaskContext = TaskContext()
    after: list[UUID] = Field(default=[], description="Tasks that it comes after")
    after_failed: AfterFailed | None = None
    deadline: datetime | None = Field(default=None, description="It is stopped then, unless it is over")
    budget: TaskBudget = Field(
        default=TaskBudget(), description="What all its runs may use together, as it was raised last"
    )
    spent: Spent
    checkout: Checkout = Field(
        default="workspace",
        description="Whether it works in a checkout of its own or in the workspace itself",
    )
    branch: str | None = Field(
        default=None, description="Where its commits go; null without a checkout of its own"
    )


class NewTask(TaskView):
    """A task as its client first sees it: the only time that a signing secret made here is shown."""

    callback_secret: str | None = Field(
        default=None, description="What posts to callback_url are signed with; null when the order named one"
    )


class PrincipalDay(_View):
    """What the runs of one principal take from its day: spent, and reserved for calls that are being made."""

    name: str
    spent_dollars: float
    reserved_dollars: float


class UsageView(_View):
    """What is spent today (UTC), by whoever asked for the runs: one's own, or everybody's for an admin."""

    day: date
    ends_at: datetime
    allowed_dollars: float | None = Field(
        description="What each principal may spend in a day; null without a limit"
    )
    principals: list[PrincipalDay]


class AgentView(_View):
    """An agent that can be asked; `version` is the digest of its file."""

    name: str
    version: str
    description: str
    model: str
    tools: list[str]
    effort: str | None = None
    warnings: list[str] = []


class KeyView(_View):
    """A key without its secret; `hint` are its last four characters."""

    id: UUID
    name: str
    hint: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class NewKey(KeyView):
    """A key just made: the only time that `key` is shown."""

    key: str


class Acknowledgement(_View):
    """What a client knows once its words are committed: `seq` is theirs in the log."""

    conversation_id: UUID
    message_id: UUID
    seq: int
    run: RunView
    duplicate: bool = False


class UndoAcknowledgement(_View):
    """What a client knows once its undo is committed: `seq` is that of `undo.requested` in the log."""

    conversation_id: UUID
    call_id: str | None = None
    to_seq: int | None = None
    seq: int
    run: RunView
    duplicate: bool = False


class Interruption(_View):
    """What an interrupt met: the run as it is now, None when nothing was running."""

    run: RunView | None


T = TypeVar("T")


class Page(_View, Generic[T]):
    """One page of a list; `next` is the cursor of the next one, None at the end."""

    items: list[T]
    next: str | None = None
