"""Events: the committed facts of a conversation, one closed union told apart by `type`.

An event's `seq` counts from 1 without gaps within its conversation. Input events come from intake,
the others from the worker that holds the conversation's epoch. The order of the API's messages is
not the order of seq: each `step.started` carries `input_seqs`, the manifest of what its request adds,
and the fold (flynn.agent.fold) concatenates stored blocks in manifest order.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from flynn.domain.account import Account
from flynn.domain.content import Block, Json
from flynn.domain.diff_checks import DiffChecks
from flynn.domain.evidence import Evidence
from flynn.domain.permission import PermissionMode
from flynn.domain.report import HandOver, Report, ReportedCommit
from flynn.domain.run import TaskLimits
from flynn.domain.tool_result import Outcome
from flynn.domain.usage import Usage

WaitReason = Literal[
    "turns",
    "dollars",
    "context",
    "model",
    "approval",
    "task_turns",
    "task_tokens",
    "task_dollars",
    "task_minutes",
    "day",
]
"""Why a run waits: its turns or dollars are used up, the prompt nears the price step, no model, no yes; or
what its task may use is used up, or the dollars that its principal may spend in a day."""

BudgetScope = Literal["run", "task", "principal_day"]
"""Whose limit it is: the run's, that of all runs of a task, or of all runs of a principal in a UTC day."""

LimitName = Literal["turns", "tokens", "dollars", "minutes", "prompt_tokens"]
"""What a limit bounds, which is the unit of its figures too."""

ExpiryReason = Literal["time", "words"]
"""Why a request for approval is over without a decision."""

StepFailure = Literal[
    "retry",
    "permanent",
    "refused",
    "truncated",
    "broken_stream",
    "empty",
    "cancelled",
    "worker_lost",
    "held",
    "unfit",
]
"""Why a call gave nothing. `held`: it was not made, since the model's endpoint is known to be away.
`unfit`: the answer is no account of a task, which was asked for."""

StepSequel = Literal["wait", "asked", "fail"]
"""What a failed call brings the run to. `asked`: it waits until a time that the provider named."""

Settlement = Literal["usage", "prompt", "worst_case"]
"""What a failed call was charged by: the usage that the provider reported; the prompt as reported and an
answer at its limit; or the whole reservation, since nothing is known."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)


class MessageSent(_Event):
    """Words for the agent. `text` as written, `content` the blocks as they will be sent."""

    type: Literal["message.sent"] = "message.sent"
    message_id: UUID
    client_message_id: str | None = None
    principal: str
    text: str
    content: list[Block]


class InterruptRequested(_Event):
    """Somebody wants the run to stop."""

    type: Literal["interrupt.requested"] = "interrupt.requested"
    principal: str
    reason: str | None = None


class BudgetRaised(_Event):
    """The run's limits were lifted to these, and its task's to `task`; None leaves a limit as it is."""

    type: Literal["budget.raised"] = "budget.raised"
    principal: str
    turns: int | None = None
    nanodollars: int | None = None
    prompt_tokens: int | None = None
    task: TaskLimits | None = None


class ApprovalDecided(_Event):
    """Somebody said yes or no to the very call with `call_digest`; `message` is for the agent.

    `remember`: the same call needs no yes again in this conversation; `rule`: nor do calls that it matches.
    """

    type: Literal["approval.decided"] = "approval.decided"
    approval_id: UUID
    call_id: str
    call_digest: str
    decision: Literal["allow", "deny"]
    principal: str
    message: str | None = None
    remember: bool = False
    rule: str | None = None


class ModeChanged(_Event):
    """The conversation's permission mode is another one from here on. `content` tells the model so."""

    type: Literal["mode.changed"] = "mode.changed"
    principal: str
    mode: PermissionMode
    content: list[Block]


class UndoneCall(BaseModel):
    """What is to be undone: one call, by its id and by the seq of its `tool.finished`."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["call"] = "call"
    call_id: str
    seq: int


class UndoneSince(BaseModel):
    """What is to be undone: everything that this conversation's calls changed after `seq`."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["seq"] = "seq"
    seq: int


Undone = Annotated[UndoneCall | UndoneSince, Field(discriminator="kind")]


class UndoRequested(_Event):
    """Somebody wants what `target` did to files to be taken back. The run that follows does nothing else."""

    type: Literal["undo.requested"] = "undo.requested"
    principal: str
    client_undo_id: str | None = None
    target: Undone


class RunQueued(_Event):
    """A run waits for a worker."""

    type: Literal["run.queued"] = "run.queued"
    reason: Literal["message", "task", "undo", "resume", "successor"]


class RunStarted(_Event):
    """A worker took the run (again, when it had been lost or had waited) at this epoch."""

    type: Literal["run.started"] = "run.started"
    epoch: int
    worker: str


class RunWaiting(_Event):
    """The run holds no worker until what it waits for has come; `retry_at` when it wakes by itself.

    `asked`: the provider named that time, so the run is not woken before when the model answers others.
    """

    type: Literal["run.waiting"] = "run.waiting"
    reason: WaitReason
    detail: str
    retry_at: datetime | None = None
    asked: bool = False


class BudgetReached(_Event):
    """A limit was reached; the `run.waiting` of the same transaction says so in words.

    The figures are in what `limit` names. `used` is gone, or reserved for calls that are being made; `wanted`
    is the most that the next call could take. What was to be done needs more than `allowed`.
    """

    type: Literal["budget.reached"] = "budget.reached"
    scope: BudgetScope
    limit: LimitName
    used: float
    wanted: float
    allowed: float


class RunCompleted(_Event):
    """The agent came to its end."""

    type: Literal["run.completed"] = "run.completed"
    stop_reason: str
    steps: int
    usage: Usage
    nanodollars: int


class RunFailed(_Event):
    """The run cannot go on; `code` names the class of failure, `detail` is for people."""

    type: Literal["run.failed"] = "run.failed"
    code: str
    detail: str
    steps: int
    usage: Usage
    nanodollars: int


class RunCancelled(_Event):
    """The run was stopped. `content` tells the model so when the conversation goes on."""

    type: Literal["run.cancelled"] = "run.cancelled"
    principal: str
    reason: str | None = None
    content: list[Block] = []
    steps: int = 0
    usage: Usage = Usage()
    nanodollars: int = 0


class StepStarted(_Event):
    """A model call is about to be made: the manifest of what its request adds."""

    type: Literal["step.started"] = "step.started"
    step: int
    attempt: int = 1
    input_seqs: list[int]
    model: str
    params: dict[str, Json]
    request_digest: str
    reserved_nanodollars: int
    reserved_tokens: int = 0


class MessageCompleted(_Event):
    """The assistant's message, its blocks as received. `account`: it is a task's, and no words for people."""

    type: Literal["message.completed"] = "message.completed"
    step: int
    message_id: str
    model: str
    stop_reason: str
    content: list[Block]
    account: bool = False


class StepCompleted(_Event):
    """The model call is paid for and its message adopted."""

    type: Literal["step.completed"] = "step.completed"
    step: int
    usage: Usage
    nanodollars: int
    duration_ms: int
    first_token_ms: int | None = None
    request_id: str | None = None


class StepFailed(_Event):
    """The model call gave nothing to adopt; what its manifest added is to be sent again.

    Steps in `withdrawn_steps` leave the transcript with it, and so do the texts in `dropped_seqs`
    (a refusal takes what was refused with it). `content` tells the model so, if anything has to be told.
    `settlement` says what `nanodollars` and `tokens` follow from; `usage` is what is known, a lower bound
    unless it is "usage". (Logs from before they were written have none.)
    `sequel` is what it brings the run to, whichever worker sees to that; without one the call is made again,
    at `retry_at` if there is one.
    """

    type: Literal["step.failed"] = "step.failed"
    step: int
    reason: StepFailure
    detail: str
    usage: Usage = Usage()
    nanodollars: int = 0
    tokens: int | None = None
    settlement: Settlement | None = None
    retry_at: datetime | None = None
    sequel: StepSequel | None = None
    request_id: str | None = None
    withdrawn_steps: list[int] = []
    dropped_seqs: list[int] = []
    content: list[Block] = []


class ToolStarted(_Event):
    """A tool is about to act."""

    type: Literal["tool.started"] = "tool.started"
    step: int
    call_id: str
    tool: str
    input: Json


class ToolFinished(_Event):
    """A tool call ended; `content` is its `tool_result` block, in a list, as it will be sent.

    Images and documents in it are references (flynn.domain.blob).
    """

    type: Literal["tool.finished"] = "tool.finished"
    step: int
    call_id: str
    tool: str
    outcome: Outcome
    content: list[Block]
    evidence: list[Evidence] = []
    duration_ms: int = 0


class ApprovalRequested(_Event):
    """A call may act only after somebody's yes to exactly this; `reason` says which rule or mode wants it.

    `call_digest` is flynn.domain.permission.call_digest of tool and input.
    """

    type: Literal["approval.requested"] = "approval.requested"
    approval_id: UUID
    step: int
    call_id: str
    tool: str
    input: Json
    call_digest: str
    reason: str
    expires_at: datetime


class ApprovalExpired(_Event):
    """Nobody decided: the time was up, or somebody sent other words instead. Either is a no."""

    type: Literal["approval.expired"] = "approval.expired"
    approval_id: UUID
    call_id: str
    reason: ExpiryReason


class ChangedPath(BaseModel):
    """A path that a call changed. `before` and `after` are the sha256 of a file's content or of where a link
    led; None where there was nothing, or for a directory. Directories are told when they are empty or only
    their mode changed.

    `type`: another kind of thing is there now; `kind` is that of what is there, or was. Lines are 0 in what
    is binary.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    change: Literal["added", "modified", "deleted", "mode", "type"]
    kind: Literal["file", "link", "directory"] = "file"
    before: str | None = None
    after: str | None = None
    lines_added: int = 0
    lines_removed: int = 0
    binary: bool = False
    executable: bool = False


class UncoveredPath(BaseModel):
    """A path that snapshots leave out: it cannot be shown or undone. `why` is for people."""

    model_config = ConfigDict(frozen=True)

    path: str
    why: str


class GitMoved(BaseModel):
    """What git's HEAD named before and after: a branch or commit, and the branch's commit. An undo of files
    leaves HEAD, refs and index alone; `refs` and `index` say whether they changed, too."""

    model_config = ConfigDict(frozen=True)

    head_before: str | None = None
    head: str | None = None
    commit_before: str | None = None
    commit: str | None = None
    refs: bool = False
    index: bool = False


class WorkspaceChanged(_Event):
    """What a call changed in the workspace, from the snapshot before it (`before`) to the one after it.

    `files` are at most 200, `more` counts the others; `uncovered` names some of what is not covered, and
    `uncovered_more` counts the rest. The door to diffs has the text under this event's seq, `diff_bytes` of
    it, `diff_cut` when not all of it found room. `missed`, for people: no snapshot could be taken, so nobody
    knows what the call changed, and it cannot be undone. Without a `call_id` it is what background jobs did
    until the run stopped.
    """

    type: Literal["workspace.changed"] = "workspace.changed"
    step: int
    call_id: str | None = None
    tool: str | None = None
    before: str | None = None
    after: str | None = None
    files: list[ChangedPath] = []
    more: int = 0
    uncovered: list[UncoveredPath] = []
    uncovered_more: int = 0
    git: GitMoved | None = None
    diff_bytes: int = 0
    diff_cut: bool = False
    missed: str | None = None


class RevertedFile(BaseModel):
    """A path that is as it was. `before` is the sha256 that `target` had left, None when it had removed it;
    `after` what there is now, None when it was new, and is gone."""

    model_config = ConfigDict(frozen=True)

    path: str
    before: str | None
    after: str | None


class WorkspaceReverted(_Event):
    """An undo came to its end: `files` are as they were before `target`, or it was refused and nothing was
    changed. `refused` says why, for people; `content` tells the model what was undone.

    `files` are at most 200, `more` counts the others. `before` and `after` are the snapshots around the undo,
    None where none were taken. `left` are directories that stay, since they hold what snapshots leave out.
    The same transaction ends the undo's run. What was refused can be asked for again.
    """

    type: Literal["workspace.reverted"] = "workspace.reverted"
    target: Undone
    files: list[RevertedFile] = []
    more: int = 0
    left: list[str] = []
    before: str | None = None
    after: str | None = None
    refused: str | None = None
    content: list[Block] = []


class TaskReported(_Event):
    """A task came to its end; the report is built from the log."""

    type: Literal["task.reported"] = "task.reported"
    report: Report


class AccountRequested(_Event):
    """The agent of a task is at its end and is asked for its account. `content` are the words that ask.

    They are sent with a call of their own, whose `params` say `account`. No other call sends them: when the
    agent goes on instead, they lapse.
    """

    type: Literal["account.requested"] = "account.requested"
    content: list[Block]


class TaskAccounted(_Event):
    """What came of asking: the agent's account, or why there is none. Any call after it asks anew."""

    type: Literal["task.accounted"] = "task.accounted"
    account: Account | None = None
    missing: str | None = None


class TaskChecked(_Event):
    """The worker looked at what the task left in the workspace, just before its end; it only reads.

    Of the files that the account calls changed, `untouched` are those that hold what they held when the task
    began, and `absent` those that are not there.
    """

    type: Literal["task.checked"] = "task.checked"
    checks: DiffChecks
    untouched: list[str] = []
    absent: list[str] = []


class CheckoutMade(_Event):
    """The task has a checkout of its own, on `branch`, which begins at the commit `base`.

    `existing`: the branch was there before. `uncommitted` counts what is changed in the workspace and is not
    in the checkout, None where that is not known. `again`: an earlier one was cleared away. `content` tells
    the model.
    """

    type: Literal["checkout.made"] = "checkout.made"
    branch: str
    base: str
    existing: bool
    default_branch: str | None = None
    uncommitted: int | None = None
    again: bool = False
    content: list[Block] = []


class CheckoutSkipped(_Event):
    """There can be no checkout of its own for the task, as `detail` says why: it works in the workspace."""

    type: Literal["checkout.skipped"] = "checkout.skipped"
    code: str
    detail: str
    content: list[Block] = []


class TaskCommitted(_Event):
    """What the task has committed was handed over to the workspace's repository, as far as `outcome` says.

    `commits` are the new ones, oldest first, and `more` how many there are beside them; `head` is the
    branch's last commit in the checkout.
    """

    type: Literal["task.committed"] = "task.committed"
    branch: str
    base: str
    head: str
    commits: list[ReportedCommit] = []
    more: int = 0
    outcome: HandOver
    detail: str | None = None


InputEvent = MessageSent | InterruptRequested | BudgetRaised | ApprovalDecided | ModeChanged | UndoRequested
RunEvent = RunQueued | RunStarted | RunWaiting | BudgetReached | RunCompleted | RunFailed | RunCancelled
StepEvent = StepStarted | MessageCompleted | StepCompleted | StepFailed
ToolEvent = ToolStarted | ToolFinished
ApprovalEvent = ApprovalRequested | ApprovalExpired
TaskEvent = TaskReported | AccountRequested | TaskAccounted | TaskChecked
CheckoutEvent = CheckoutMade | CheckoutSkipped | TaskCommitted
WorkspaceEvent = WorkspaceChanged | WorkspaceReverted | CheckoutEvent

EventData = InputEvent | RunEvent | StepEvent | ToolEvent | ApprovalEvent | WorkspaceEvent | TaskEvent

Event = Annotated[EventData, Field(discriminator="type")]

EVENT: TypeAdapter[EventData] = TypeAdapter(Event)
"""Reads and checks an event's `{"type": …, …}`."""

EVENT_TYPES = tuple(str(event.model_fields["type"].default) for event in get_args(EventData))
"""Every type of event, as it stands in an envelope."""


class Recorded(BaseModel):
    """An event with its place in the log."""

    model_config = ConfigDict(frozen=True)

    conversation_id: UUID
    seq: int
    at: datetime
    run_id: UUID | None
    event: Event

    def envelope(self) -> dict[str, Json]:
        """The shape that every door shows: `{conversation_id, seq, type, at, run_id, data}`."""
        data = self.event.model_dump(mode="json", exclude={"type"})
        return {
            "conversation_id": str(self.conversation_id),
            "seq": self.seq,
            "type": self.event.type,
            "at": self.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "run_id": str(self.run_id) if self.run_id else None,
            "data": data,
        }
