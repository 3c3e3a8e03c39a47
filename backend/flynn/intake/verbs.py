"""Intake: what clients can do, one transaction a verb."""

from collections.abc import Callable, Sequence
from uuid import UUID

from flynn.agent.agent_catalog import Catalog
from flynn.domain import events as ev
from flynn.domain.orders import (
    ApprovalOrder,
    BudgetOrder,
    ConversationOrder,
    InterruptOrder,
    KeyOrder,
    MessageOrder,
    ModeOrder,
    ReplayOrder,
    TaskOrder,
    UndoOrder,
    WorkspaceOrder,
)
from flynn.domain.principal import Principal, Scope
from flynn.domain.queue import QueueView
from flynn.domain.views import (
    Acknowledgement,
    ApprovalView,
    CallbackView,
    ConversationView,
    KeyView,
    NewKey,
    NewTask,
    RunView,
    TaskView,
    UndoAcknowledgement,
    UsageView,
    WorkspaceView,
)
from flynn.intake import approvals, callbacks, conversations, keys, messages, running, tasks, undos
from flynn.intake.rules import Rules
from flynn.intake.workspaces import Workspaces
from flynn.store.callbacks import made_secret
from flynn.store.database import Database
from flynn.store.queue import read_queue
from flynn.store.spending import read_usage
from flynn.store.views import Views
from flynn.telemetry.crash_point import reach


class Intake:
    """The verbs. `publish` hands committed events to whoever is watching; it never blocks or raises.

    `workspaces` are those on workspaces.
    """

    def __init__(
        self,
        database: Database,
        views: Views,
        *,
        agents: Callable[[], Catalog],
        rules: Rules,
        publish: Callable[[Sequence[ev.Recorded]], None],
    ) -> None:
        self._database = database
        self._views = views
        self._agents = agents
        self._rules = rules
        self._publish = publish
        self.workspaces = Workspaces(database, rules)

    async def create_conversation(self, principal: Principal, order: ConversationOrder) -> ConversationView:
        """Open a conversation. Raises InvalidInput for an unknown agent or workspace."""
        principal.need(Scope.CHAT)
        async with self._database.begin() as connection:
            conversation_id = await conversations.create(
                connection,
                principal,
                agents=self._agents(),
                agent=order.agent,
                workspace=order.workspace or self._rules.default_workspace,
                title=order.title,
                permission_mode=order.permission_mode,
            )
        return await self._views.conversation(principal, conversation_id)

    async def send_message(
        self, principal: Principal, conversation_id: UUID, order: MessageOrder
    ) -> Acknowledgement:
        """Say something: it joins the open run at its next step, or starts one.

        Raises NotFound, PayloadTooLarge, and InvalidInput when the client's id was used for other words.
        """
        principal.need(Scope.CHAT, Scope.DELEGATE)
        async with self._database.begin() as connection:
            acknowledgement, recorded = await messages.send(
                connection, principal, conversation_id, order, rules=self._rules
            )
            reach("message.before-commit")
        reach("message.after-commit")
        self._publish(recorded)
        return acknowledgement

    async def interrupt(
        self, principal: Principal, conversation_id: UUID, order: InterruptOrder
    ) -> RunView | None:
        """Stop the open run: its worker is told, or it ends here when no worker holds it."""
        principal.need(Scope.CHAT, Scope.DELEGATE)
        async with self._database.begin() as connection:
            view, recorded = await running.interrupt(
                connection, principal, conversation_id, order.reason, rules=self._rules
            )
            reach("interrupt.before-commit")
        reach("interrupt.after-commit")
        self._publish(recorded)
        return view

    async def undo(
        self, principal: Principal, conversation_id: UUID, order: UndoOrder
    ) -> UndoAcknowledgement:
        """Take back what a call did to a file, as a run; see `flynn.intake.undos.undo`."""
        principal.need(Scope.CHAT, Scope.DELEGATE)
        async with self._database.begin() as connection:
            acknowledgement, recorded = await undos.undo(
                connection, principal, conversation_id, order, rules=self._rules
            )
            reach("undo.before-commit")
        reach("undo.after-commit")
        self._publish(recorded)
        return acknowledgement

    async def raise_budget(self, principal: Principal, conversation_id: UUID, order: BudgetOrder) -> RunView:
        """Lift the limits of the open run and its task; a run that waited is queued again."""
        principal.need(Scope.CHAT, Scope.DELEGATE)
        async with self._database.begin() as connection:
            view, recorded = await running.raise_budget(
                connection, principal, conversation_id, order, rules=self._rules
            )
            reach("budget.before-commit")
        reach("budget.after-commit")
        self._publish(recorded)
        return view

    async def decide_approval(
        self, principal: Principal, conversation_id: UUID, approval_id: UUID, order: ApprovalOrder
    ) -> ApprovalView:
        """Say yes or no to a call that waits; see `flynn.intake.approvals.decide`."""
        principal.need(Scope.CHAT, Scope.DELEGATE)
        async with self._database.begin() as connection:
            view, recorded = await approvals.decide(
                connection, principal, conversation_id, approval_id, order, rules=self._rules
            )
            reach("decision.before-commit")
        reach("decision.after-commit")
        self._publish(recorded)
        return view

    async def change_mode(
        self, principal: Principal, conversation_id: UUID, order: ModeOrder
    ) -> ConversationView:
        """Change a conversation's permission mode, also while its run is at work."""
        principal.need(Scope.CHAT, Scope.DELEGATE)
        async with self._database.begin() as connection:
            recorded = await approvals.change_mode(
                connection, principal, conversation_id, order.permission_mode, rules=self._rules
            )
        self._publish(recorded)
        return await self._views.conversation(principal, conversation_id)

    async def delegate_task(
        self, principal: Principal, order: TaskOrder, *, idempotency_key: str | None
    ) -> tuple[NewTask, bool]:
        """Take on a task; True when `idempotency_key` had already brought it in."""
        principal.need(Scope.DELEGATE)
        async with self._database.begin() as connection:
            task_id, recorded = await tasks.delegate(
                connection, principal, order, idempotency_key, agents=self._agents(), rules=self._rules
            )
            reach("task.before-commit")
        reach("task.after-commit")
        self._publish(recorded)
        task = await self._views.task(principal, task_id)
        secret: str | None = None
        if order.callback_url is not None:
            async with self._database.statement() as connection:
                secret = await made_secret(connection, task_id)
        return NewTask(**dict(task), callback_secret=secret), not recorded

    async def replay_callback(self, principal: Principal, task_id: UUID, order: ReplayOrder) -> CallbackView:
        """Let a task's callback go on, from where it stands or from an earlier event."""
        principal.need(Scope.DELEGATE)
        task = await self._views.task(principal, task_id)
        async with self._database.begin() as connection:
            await callbacks.replay(connection, principal, task_id, task.conversation_id, order)
        again = (await self._views.task(principal, task_id)).callback
        if again is None:
            raise RuntimeError("a callback went while it was revived")
        return again

    async def cancel_task(self, principal: Principal, task_id: UUID) -> TaskView:
        """Stop a task's run. A task that is over stays as it ended."""
        principal.need(Scope.DELEGATE, Scope.CHAT)
        task = await self._views.task(principal, task_id)
        await self.interrupt(
            principal, task.conversation_id, InterruptOrder(reason="The task was cancelled.")
        )
        return await self._views.task(principal, task_id)

    async def queue(self, principal: Principal) -> QueueView:
        """The queue: all of it for an admin, else the principal's own runs and the totals."""
        async with self._database.statement() as connection:
            return await read_queue(
                connection, principal.id, everything=principal.admin, limits=self._rules.admission
            )

    async def usage(self, principal: Principal) -> UsageView:
        """What is spent today: everybody's for an admin, else the principal's own."""
        async with self._database.statement() as connection:
            return await read_usage(
                connection,
                principal.id,
                everybody=principal.admin,
                allowed=self._rules.day_nanodollars,
            )

    async def create_workspace(self, principal: Principal, order: WorkspaceOrder) -> WorkspaceView:
        """Make an empty workspace, or serve a directory. Raises what `Workspaces.create` raises."""
        return await self.workspaces.create(principal, order)

    async def create_key(self, principal: Principal, order: KeyOrder) -> NewKey:
        """Make a key; its secret is in the answer and nowhere else."""
        principal.need(Scope.ADMIN)
        async with self._database.begin() as connection:
            return await keys.create(connection, order)

    async def revoke_key(self, principal: Principal, key_id: UUID) -> KeyView:
        """Close a key for good."""
        principal.need(Scope.ADMIN)
        async with self._database.begin() as connection:
            return await keys.revoke(connection, key_id)
