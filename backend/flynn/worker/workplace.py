"""The workplace: what a worker puts together around a run that it holds, its workspace and its loop.

And what a conversation keeps for good is rendered here, from its agent as it is at the first claim.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from flynn.agent.account import Accounts
from flynn.agent.agent_catalog import Catalog
from flynn.agent.budget import Budget
from flynn.agent.changes import Changes
from flynn.agent.choice import Choice
from flynn.agent.failed_call import FailedCalls
from flynn.agent.gate import Gate
from flynn.agent.inspection import Inspection
from flynn.agent.loop import Loop
from flynn.agent.permission import Permissions
from flynn.agent.prompt import Prompts
from flynn.agent.query import Query
from flynn.agent.toolbox import Toolbox
from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.domain.errors import NotFound
from flynn.domain.permission import PermissionRules
from flynn.model.catalog import resolve
from flynn.model.claude import Claude
from flynn.model.request import ModelRequest
from flynn.sandbox.command import Sandbox
from flynn.store.database import Database
from flynn.store.rows import ConversationRow
from flynn.tools.job import Jobs
from flynn.tools.toolset import TOOLS, definitions
from flynn.worker.broadcast import Broadcast
from flynn.worker.claims import Held
from flynn.worker.last_look import LastLook
from flynn.workspace.checks.comparison import PASTS
from flynn.workspace.mounts import Mounts, Place
from flynn.workspace.root import Workspace
from flynn.workspace.scratch import create_scratch
from flynn.workspace.snapshots.snapshots import Snapshots
from flynn.workspace.snapshots.sweep import SNAPSHOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Output tokens of a call, and of a call after a truncated one; model aliases; scratch space."""

    max_output_tokens: int
    output_ceiling: int
    aliases: dict[str, str]
    scratch: Path
    fallback: str | None = None
    """The id of the model that is asked while a conversation's own does not answer."""
    forbidden: tuple[Path, ...] = ()
    """Places that no workspace may be, hold or lie in."""
    permissions: PermissionRules = field(default_factory=PermissionRules)
    """The operator's rules and mode."""
    patience: timedelta = timedelta(hours=24)
    """How long a call waits for somebody's yes."""
    mounts: Mounts = field(default_factory=Mounts)
    day_nanodollars: int | None = None
    """What the runs of one principal may spend in a UTC day together, None without a limit."""
    checks: bool = True
    """Whether linters look at what calls wrote, and at what a task leaves behind."""
    snapshot_bytes: int = 0
    """Most bytes of the snapshots of a workspace; 0 takes none."""
    commit_email: str = "flynn@noreply.invalid"
    """The address that stands in commits of tasks."""
    workspace_quota: int | None = None
    """Most bytes of a workspace that the service made, unless it has a quota of its own."""


class Workplace:
    """Where the runs of a process are worked on."""

    def __init__(
        self,
        *,
        model: Claude,
        sandbox: Sandbox,
        prompts: Prompts,
        agents: Callable[[], Catalog],
        caps: Caps,
        publish_delta: Callable[[Delta], None],
    ) -> None:
        self._model = model
        self._sandbox = sandbox
        self._prompts = prompts
        self._agents = agents
        self._caps = caps
        self._publish_delta = publish_delta

    @property
    def day_nanodollars(self) -> int | None:
        """What the runs of one principal may spend in a UTC day together, None without a limit."""
        return self._caps.day_nanodollars

    def open(self, conversation: ConversationRow) -> Workspace:
        """The workspace through this worker's own mount. Raises Unavailable, WorkspaceError."""
        quota = conversation.workspace_quota
        if quota is None and conversation.workspace_made:
            quota = self._caps.workspace_quota
        return self._caps.mounts.open(
            Place(conversation.volume_id, conversation.workspace_path),
            conversation.workspace_name,
            quota_bytes=quota,
            forbidden=self._caps.forbidden,
        )

    def snapshots(self, held: Held, workspace: Workspace) -> Snapshots | None:
        """The snapshots of a run that is held: on the workspace's volume; None when none are taken.

        Checkouts of a workspace share its store, so that what they have in common is kept once. Raises
        Unavailable, OSError.
        """
        if not self._caps.snapshot_bytes:
            return None
        conversation = held.conversation
        place = Place(conversation.volume_id, conversation.workspace_path)
        private = self._caps.mounts.private(place, conversation.workspace_name)
        key = str(conversation.workspace_id)
        own = self._caps.mounts.path(place, conversation.workspace_name)
        if workspace.path != own.resolve():
            key = f"{key}-{held.journal.conversation_id}"
        return Snapshots(
            workspace,
            private / SNAPSHOTS / str(conversation.workspace_id),
            key=key,
            run_id=held.journal.run_id,
            most_bytes=self._caps.snapshot_bytes,
        )

    def loop(
        self,
        held: Held,
        workspace: Workspace,
        jobs: Jobs,
        changes: Changes,
        *,
        deadline: Callable[[], float],
        confirm: Callable[[], None],
    ) -> Loop:
        """The loop of a run that is held; `deadline` and `confirm` are those of its lease."""
        journal, prefix = held.journal, held.prefix
        frame = ModelRequest(
            model=prefix["model"],
            max_tokens=self._caps.max_output_tokens,
            system=prefix["system"],
            tools=prefix["tools"],
            messages=[],
            effort=prefix["effort"],
        )
        budget = Budget(
            model=self._model, frame=frame, at_work=held.at_work, day_left=lambda: journal.payer.left
        )
        rules = self._caps.permissions.joined(PermissionRules.model_validate(prefix.get("permissions", {})))
        gate = Gate(
            Permissions(rules, workspace),
            self._prompts,
            mode=held.conversation.permission_mode,
            patience=self._caps.patience,
        )
        toolbox = Toolbox(
            workspace=workspace,
            sandbox=self._sandbox,
            scratch=create_scratch(self._caps.scratch, journal.conversation_id),
            offered=_names(prefix["tools"]),
            gate=gate,
            deadline=deadline,
            confirm=confirm,
            jobs=jobs,
            seconds_left=budget.seconds_left,
            inspection=self._inspection(workspace, deadline, confirm) if self._caps.checks else None,
        )
        choice = Choice(
            self._model, frame, budget, ceiling=self._caps.output_ceiling, fallback=self._caps.fallback
        )
        failed = FailedCalls(
            choice, refused=self._prompts.note("refused"), unreadable=self._prompts.note("unreadable")
        )
        accounts = Accounts(
            words=self._prompts.account(), structured=self._model.structured, choice=choice, budget=budget
        )
        query = Query(
            model=self._model, frame=frame, budget=budget, choice=choice, failed=failed, accounts=accounts
        )
        return Loop(
            transcript=journal.transcript,
            query=query,
            toolbox=toolbox,
            changes=changes,
            gate=gate,
            budget=budget,
            choice=choice,
            accounts=accounts if held.conversation.task_id is not None else None,
            prompts=self._prompts,
            stop=journal.stop,
            sink=Broadcast(self._publish_delta, conversation_id=journal.conversation_id, epoch=journal.epoch),
        )

    def last_look(
        self,
        held: Held,
        database: Database,
        *,
        deadline: Callable[[], float],
        confirm: Callable[[], None],
    ) -> LastLook | None:
        """What looks at the workspace at the end of a task; None for what is none."""
        if held.conversation.task_id is None or not self._caps.checks:
            return None
        return LastLook(
            database=database,
            sandbox=self._sandbox,
            place=self._caps.scratch.with_name(PASTS),
            deadline=deadline,
            confirm=confirm,
        )

    def _inspection(
        self, workspace: Workspace, deadline: Callable[[], float], confirm: Callable[[], None]
    ) -> Inspection:
        return Inspection(
            workspace=workspace,
            sandbox=self._sandbox,
            place=self._caps.scratch.with_name(PASTS),
            deadline=deadline,
            confirm=confirm,
        )

    def freeze(self, conversation: ConversationRow) -> tuple[Json, str]:
        """Render what the conversation keeps: its agent as it is now."""
        agent = self._agents().agents.get(conversation.agent)
        if agent is None:
            raise NotFound(f"The agent {conversation.agent!r} is not served any more.")
        tools = agent.offered(TOOLS)
        return {
            "agent": agent.name,
            "model": resolve(_asked(agent.model), self._caps.aliases),
            "effort": agent.effort,
            "max_turns": agent.max_turns,
            "permissions": agent.permissions.model_dump(mode="json"),
            "system": self._prompts.system_blocks(agent, tools),
            "tools": definitions(tools, self._prompts.tool_descriptions()),
        }, agent.version


def _asked(model: str | None) -> str:
    """The alias or id that an agent file asks for; what it inherits here is the service's own."""
    return model if model not in (None, "inherit") else "haiku"


def _names(tools: Sequence[Json]) -> Iterable[str]:
    return (tool["name"] for tool in tools)
