"""What clients ask for: the bodies of the verbs. Unknown fields are refused by name."""

import re
from datetime import datetime
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from flynn.domain.branch import Branch
from flynn.domain.callback import NOTEWORTHY, check_secret, check_type
from flynn.domain.destination import Destination
from flynn.domain.events import EVENT_TYPES
from flynn.domain.permission import PermissionMode
from flynn.domain.run import MESSAGE_PRIORITY, AfterFailed, Checkout, TaskLimits
from flynn.domain.usage import nanodollars

Text = Annotated[str, StringConstraints(strip_whitespace=False, min_length=1)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


_MODE_HELP = "What acts without a yes; the agent's and operator's mode holds where it is stricter"


def _plain(name: str) -> str:
    if not name.isprintable():
        raise ValueError("should be a name without control characters or line breaks")
    if _is_uuid(name):
        raise ValueError("should be a name that does not read as an id")
    return name


def _is_uuid(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True


WorkspaceName = Annotated[Name, AfterValidator(_plain)]
QuotaBytes = Annotated[int, Field(ge=1_048_576, le=2**60)]


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


def _rfc_3339(value: object) -> object:
    """Take times as they are written for people and programs, not the numbers that pydantic takes too."""
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC_3339.fullmatch(value)):
        return value
    raise ValueError("should be a time with its zone, as 2026-12-24T18:00:00Z (RFC 3339)")


Time = Annotated[AwareDatetime, BeforeValidator(_rfc_3339)]


def _web_address(url: str) -> str:
    return Destination.read(url).url


CallbackUrl = Annotated[str, AfterValidator(_web_address)]
CallbackSecret = Annotated[str, AfterValidator(check_secret)]
EventType = Annotated[str, AfterValidator(check_type), Field(json_schema_extra={"enum": list(EVENT_TYPES)})]


class _Order(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ConversationOrder(_Order):
    """Open a conversation with `agent` in `workspace` (an id or a name)."""

    agent: Name = "flynn-dev"
    workspace: Name | None = Field(default=None, description="Id or name; the default workspace if left out")
    title: Name | None = Field(default=None, description="Left out, the first words become the title")
    permission_mode: PermissionMode | None = Field(default=None, description=_MODE_HELP)


class ModeOrder(_Order):
    """Change what the agent of a conversation may do without being asked for."""

    permission_mode: PermissionMode


class ApprovalOrder(_Order):
    """Say yes or no to one call. `call_digest`, from the request, binds the decision to exactly that call."""

    decision: Literal["allow", "deny"]
    call_digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    message: Annotated[str, StringConstraints(max_length=4000)] | None = Field(
        default=None, description="Words for the agent, with a no"
    )
    remember: bool = Field(
        default=False, description="The very same call needs no yes again in this conversation"
    )
    rule: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = Field(
        default=None,
        description="Calls that it matches need no yes again in this conversation, as Bash(npm test *)",
    )


class MessageOrder(_Order):
    """Say something. A resend with the same `client_message_id` is the same message."""

    text: Text
    client_message_id: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None


class UndoOrder(_Order):
    """Take back what one call did to files, or all that was done after a seq: exactly one of the two.

    A resend with the same `client_undo_id` is the same undo.
    """

    call_id: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="`call_id` of a Write or Edit whose evidence is `kept`, or of any call that a "
        "`workspace.changed` with snapshots tells of",
    )
    to_seq: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="Bring what this conversation has changed since back to what it was right after this seq",
    )
    client_undo_id: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.call_id is None) == (self.to_seq is None):
            raise ValueError("should name either `call_id` or `to_seq`, and not both")
        return self


class InterruptOrder(_Order):
    """Stop the present run."""

    reason: Annotated[str, StringConstraints(max_length=1000)] | None = None


class TaskBudget(_Order):
    """What all runs of a task may use together, before it waits and asks; what is left out has no limit."""

    turns: Annotated[int, Field(ge=1, le=10_000, strict=True)] | None = Field(
        default=None, description="Model calls that were charged for"
    )
    tokens: Annotated[int, Field(ge=1_000, le=1_000_000_000, strict=True)] | None = Field(
        default=None, description="Tokens of all prompts, cached ones too, and of all answers"
    )
    dollars: Annotated[float, Field(ge=1e-9, le=1_000, strict=True, allow_inf_nan=False)] | None = Field(
        default=None, description="Whole nano-dollars are kept of it"
    )
    minutes: Annotated[float, Field(ge=0.05, le=10_080, strict=True, allow_inf_nan=False)] | None = Field(
        default=None, description="Time in which a run is at work, not queued and not waiting"
    )

    @property
    def limits(self) -> TaskLimits:
        """The same in whole nano-dollars and seconds."""
        return TaskLimits(
            turns=self.turns,
            tokens=self.tokens,
            nanodollars=None if self.dollars is None else nanodollars(self.dollars),
            seconds=None if self.minutes is None else round(self.minutes * 60),
        )


class BudgetOrder(_Order):
    """Raise the limits of the present run, and those of its task; what is left out stays."""

    turns: Annotated[int, Field(ge=1, le=10_000)] | None = None
    dollars: Annotated[float, Field(gt=0, le=1_000)] | None = None
    prompt_tokens: Annotated[int, Field(ge=1_000, le=1_000_000)] | None = None
    task: TaskBudget | None = Field(default=None, description="What all runs of the task may use together")


def _within(path: str) -> str:
    if not path.isprintable() or path.startswith(("/", "~")) or ".." in path.split("/"):
        raise ValueError("should be a path relative to the workspace's root, with no .. in it")
    return path


def _link(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        raise ValueError("should be a web address such as https://team.example/page")
    return url


_Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class TaskContext(_Order):
    """What belongs to a task. Files and links are named to the agent, earlier tasks are told of."""

    files: Annotated[list[Annotated[_Short, AfterValidator(_within)]], Field(max_length=100)] = Field(
        default=[], description="Paths in the workspace, relative to its root"
    )
    links: Annotated[list[Annotated[_Short, AfterValidator(_link)]], Field(max_length=50)] = Field(
        default=[], description="Web addresses; the agent has no network, and is told so"
    )
    tasks: Annotated[list[UUID], Field(max_length=20)] = Field(
        default=[],
        description="Earlier tasks whose changed files and account it is told: over, or among `after`",
    )


class TaskOrder(_Order):
    """Delegate a task: `{instructions}` alone is enough.

    Claude Code's `{subagent_type, description, prompt}` is the same order in other words.
    """

    instructions: Text = Field(validation_alias=AliasChoices("instructions", "prompt"))
    agent: Name = Field(default="flynn-dev", validation_alias=AliasChoices("agent", "subagent_type"))
    title: Name | None = Field(default=None, validation_alias=AliasChoices("title", "description"))
    workspace: Name | None = Field(default=None, description="Id or name; the default workspace if left out")
    branch: Branch | None = Field(
        default=None,
        description="The branch of the workspace's git repository that its commits go to, made when it is "
        "missing; flynn/ and the beginning of the task's id if left out",
    )
    checkout: Checkout = Field(
        default="own",
        description="`own`: in a git repository the task works in a checkout of its own, beside everybody "
        "else; `workspace`: in the workspace's own files, when its turn comes",
    )
    permission_mode: PermissionMode | None = Field(default=None, description=_MODE_HELP)
    priority: Annotated[int, Field(gt=-MESSAGE_PRIORITY, lt=MESSAGE_PRIORITY, strict=True)] = Field(
        default=0,
        description="Queued tasks of higher priority start first; people's messages come before all tasks",
    )
    not_before: Time | None = Field(
        default=None, description="The task is queued and does not start before; at most 30 days ahead"
    )
    acceptance_criteria: Annotated[list[_Short], Field(max_length=50)] = Field(
        default=[], description="What has to hold when it is done, one by one"
    )
    context: TaskContext = Field(default=TaskContext(), description="What belongs to it")
    after: Annotated[list[UUID], Field(max_length=50)] = Field(
        default=[], description="Tasks that have to be over before this one starts"
    )
    after_failed: AfterFailed = Field(
        default="fail",
        description="When one of them failed or was cancelled: `fail` ends this task as failed, `skip` as "
        "cancelled, both without a start",
    )
    deadline: Time | None = Field(
        default=None, description="The task is stopped then, unless it is over; at most 30 days ahead"
    )
    budget: TaskBudget | None = Field(
        default=None, description="What all its runs may use together; reaching it, the task waits and asks"
    )
    callback_url: CallbackUrl | None = Field(
        default=None, description="Where events of the task are posted to, by Standard Webhooks"
    )
    callback_events: Annotated[list[EventType], Field(min_length=1, max_length=len(EVENT_TYPES))] | None = (
        Field(default=None, description=f"Types of events to post; left out: {', '.join(NOTEWORTHY)}")
    )
    callback_secret: CallbackSecret | None = Field(
        default=None,
        repr=False,
        description="What posts are signed with: whsec_ and the base64 of 24 to 64 random bytes. Left out, "
        "one is made, and shown in the answer to this order only",
    )

    @model_validator(mode="after")
    def _callback(self) -> Self:
        if self.callback_url is None and (self.callback_events or self.callback_secret):
            raise ValueError("callback_events and callback_secret need a callback_url")
        return self

    @model_validator(mode="after")
    def _branch(self) -> Self:
        if self.branch is not None and self.checkout != "own":
            raise ValueError("a branch needs a checkout of its own: leave out one of branch and checkout")
        return self


class ReplayOrder(_Order):
    """Deliver to a task's callback again, from the event after `after_seq` on, or from where it stands."""

    after_seq: Annotated[int, Field(ge=0, le=2**53)] | None = Field(
        default=None, description="Left out: the first event that was not delivered comes next"
    )


class WorkspaceOrder(_Order):
    """Make an empty workspace `name`; or, with an admin key, serve the directory `path` under that name."""

    name: WorkspaceName
    path: Annotated[str, StringConstraints(min_length=1, max_length=4095)] | None = Field(
        default=None, description="Absolute, on this machine; left out, the service makes a directory"
    )
    quota_bytes: QuotaBytes | None = Field(
        default=None, description="Most bytes on the disk; left out, FLYNN_WORKSPACE_QUOTA for one it makes"
    )


class WorkspaceChange(_Order):
    """Change a workspace; what is left out stays. A quota of null is the default again."""

    name: WorkspaceName | None = None
    quota_bytes: QuotaBytes | None = None


class KeyOrder(_Order):
    """Make a key for the principal `name`, which is created when it is new; admin keys only."""

    name: Name
    scopes: Annotated[list[str], Field(min_length=1)]


class Watch(_Order):
    """Follow a conversation over Socket.IO: everything after `after_seq`, then live."""

    conversation_id: UUID
    after_seq: Annotated[int, Field(ge=0)] = 0
