"""Reading: what a principal may see of conversations, tasks, workspaces and keys.

Lists are paged by an opaque cursor over (created_at, id), newest first.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text

from flynn.domain.blob import Blob
from flynn.domain.callback import CallbackState
from flynn.domain.content import text_of
from flynn.domain.difference import NET
from flynn.domain.errors import InvalidInput, NotFound, Unauthenticated
from flynn.domain.events import EVENT, MessageCompleted, MessageSent, Recorded
from flynn.domain.orders import TaskBudget, TaskContext
from flynn.domain.principal import Principal, Scope, key_digest
from flynn.domain.report import Report
from flynn.domain.run import RunState
from flynn.domain.usage import dollars
from flynn.domain.views import (
    ApprovalView,
    CallbackView,
    ConversationView,
    KeyView,
    LimitsView,
    MessageView,
    Page,
    RunView,
    Spent,
    TaskView,
)
from flynn.store import approvals, blobs, callbacks, differences, log, visibility
from flynn.store.database import Database
from flynn.store.differences import KeptDifference
from flynn.store.mounts import MOUNTED

_KEY = text("""
SELECT k.id AS key_id, k.scopes, k.revoked_at, p.id, p.name
FROM api_keys k JOIN principals p ON p.id = k.principal_id WHERE k.digest = :digest""")
_USED = text("""
UPDATE api_keys SET last_used_at = clock_timestamp() WHERE id = :id
  AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')""")
_CONVERSATIONS = """
SELECT c.id, c.title, c.agent, c.agent_version, c.workspace_id, c.created_at, c.head,
  c.permission_mode, w.name AS workspace,
  t.id AS task_id, t.title AS task_title, t.instructions, t.report, t.created_at AS task_created_at,
  t.after, t.after_failed, t.deadline, t.acceptance_criteria, t.context, t.checkout, t.branch,
  r.after AS held_by, r.lane,
  t.limit_turns AS task_turns, t.limit_tokens AS task_tokens, t.limit_nanodollars AS task_nanodollars,
  t.limit_seconds AS task_seconds,
  r.id AS run_id, r.kind, r.state, r.reason, r.detail, r.turns, r.nanodollars, r.not_before, r.priority,
  r.limit_turns, r.limit_nanodollars, r.limit_prompt_tokens,
  r.created_at AS run_created_at, r.started_at, r.ended_at,
  CASE WHEN r.state = 'queued' AND NOT {mounted} THEN w.volume_id END AS away,
  r.state = 'queued' AND r.job_id IS NULL AND EXISTS (
    SELECT 1 FROM runs o WHERE o.workspace_id = r.workspace_id AND o.lane = r.lane
      AND o.job_id IS NOT NULL) AS workspace_busy
  {callback}{spent}
FROM conversations c
JOIN workspaces w ON w.id = c.workspace_id
{task} JOIN tasks t ON t.conversation_id = c.id
{called}
LEFT JOIN LATERAL (
  SELECT * FROM runs WHERE conversation_id = c.id {work} ORDER BY created_at DESC, id DESC LIMIT 1) r ON true
WHERE {may_see} {filter}"""


_SPENT = ", a.calls, a.tokens, a.all_nanodollars, a.worked_ms"
_CALLED = """LEFT JOIN callbacks k ON k.task_id = t.id
CROSS JOIN LATERAL (
  SELECT sum(calls) AS calls, sum(tokens) AS tokens, sum(nanodollars) AS all_nanodollars,
    sum(worked_ms + coalesce(
      round(1000 * extract(epoch FROM clock_timestamp() - working_since)), 0)) AS worked_ms
  FROM runs WHERE conversation_id = c.id) a"""


def _conversations(*, tasks: bool, filtered: str) -> str:
    # How a task stands is not changed by what is undone afterwards.
    return _CONVERSATIONS.format(
        may_see=visibility.CONVERSATION,
        task="" if tasks else "LEFT",
        callback=f", {callbacks.COLUMNS}" if tasks else "",
        spent=_SPENT if tasks else "",
        work="AND kind = 'agent'" if tasks else "",
        called=_CALLED if tasks else "",
        filter=filtered,
        mounted=MOUNTED,
    )


_ONE = text(_conversations(tasks=False, filtered="AND c.id = :c"))
_TASK = text(_conversations(tasks=True, filtered="AND t.id = :t"))
_AFTER = """
AND (CAST(:at AS timestamptz) IS NULL OR (c.created_at, c.id) < (CAST(:at AS timestamptz), CAST(:id AS uuid)))
{state} ORDER BY c.created_at DESC, c.id DESC LIMIT :limit"""
_LIST = text(_conversations(tasks=False, filtered=_AFTER.format(state="")))
_TASKS = text(
    _conversations(
        tasks=True,
        filtered=_AFTER.format(
            state="""
AND (CAST(:states AS text[]) IS NULL OR r.state = ANY(CAST(:states AS text[])))
AND (CAST(:agent AS text) IS NULL OR c.agent = CAST(:agent AS text))
AND (CAST(:workspace AS text) IS NULL OR CAST(:workspace AS text) IN (w.name, CAST(w.id AS text)))
AND (CAST(:since AS timestamptz) IS NULL OR t.created_at > CAST(:since AS timestamptz))
AND (CAST(:until AS timestamptz) IS NULL OR t.created_at < CAST(:until AS timestamptz))"""
        ),
    )
)
_CALLBACKS = text(f"""
SELECT k.task_id AS id, k.created_at, {callbacks.COLUMNS}
FROM callbacks k JOIN conversations c ON c.id = k.conversation_id
WHERE {visibility.CONVERSATION}
  AND (CAST(:at AS timestamptz) IS NULL
       OR (k.created_at, k.task_id) < (CAST(:at AS timestamptz), CAST(:id AS uuid)))
  AND (CAST(:state AS text) IS NULL OR CAST(:state AS text) = CASE
       WHEN k.dead_at IS NOT NULL THEN 'dead' WHEN k.attempts > 0 THEN 'failing' ELSE 'active' END)
ORDER BY k.created_at DESC, k.task_id DESC LIMIT :limit""")  # noqa: S608  # constants only
_MESSAGES = text("""
SELECT seq, type, run_id, at, data FROM events
WHERE conversation_id = :c AND seq > :after AND type IN ('message.sent', 'message.completed')
  AND NOT COALESCE(CAST(data->>'account' AS boolean), false)
ORDER BY seq LIMIT :limit""")
_MARKS = text("SELECT id, head FROM conversations WHERE id = ANY(:ids)")
_UNSEEN = text("""
SELECT a.p, a.c FROM unnest(CAST(:principals AS uuid[]), CAST(:conversations AS uuid[])) AS a (p, c)
LEFT JOIN conversations c ON c.id = a.c
WHERE c.principal_id IS DISTINCT FROM a.p AND NOT EXISTS (
  SELECT 1 FROM workspace_members m WHERE m.workspace_id = c.workspace_id AND m.principal_id = a.p)""")
_KEYS = text("""
SELECT k.id, p.name, k.hint, k.scopes, k.created_at, k.last_used_at, k.revoked_at
FROM api_keys k JOIN principals p ON p.id = k.principal_id ORDER BY k.created_at""")


class Views:
    """Questions to the store. What a principal may not see is NotFound, as if it were not there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def authenticate(self, key: str) -> Principal:
        """Who `key` belongs to. Raises Unauthenticated for an unknown or revoked one."""
        async with self._database.statement() as connection:
            row = (await connection.execute(_KEY, {"digest": key_digest(key)})).one_or_none()
            if row is None or row.revoked_at is not None:
                raise Unauthenticated("This key is not known here; make one with `flynn keys create NAME`.")
            await connection.execute(_USED, {"id": row.key_id})
        return Principal(id=row.id, name=row.name, scopes=frozenset(Scope(s) for s in row.scopes))

    async def conversation(self, principal: Principal, conversation_id: UUID) -> ConversationView:
        """One conversation. Raises NotFound."""
        row = await self._one(_ONE, principal, c=conversation_id)
        if row is None:
            raise NotFound(f"There is no conversation {conversation_id}.")
        return _conversation(row)

    async def conversations(
        self, principal: Principal, *, cursor: str | None = None, limit: int = 50
    ) -> Page[ConversationView]:
        """Conversations, newest first."""
        rows = await self._page(_LIST, principal, cursor, limit)
        return Page(items=[_conversation(r) for r in rows[:limit]], next=_next(rows, limit))

    async def events(
        self, principal: Principal, conversation_id: UUID, *, after_seq: int = 0, limit: int = 500
    ) -> list[Recorded]:
        """Events after `after_seq`, in order. Raises NotFound."""
        async with self._database.statement() as connection:
            await visibility.see_conversation(connection, principal, conversation_id)
            return await log.read(connection, conversation_id, after_seq=after_seq, limit=limit)

    async def envelopes(self, conversation_id: UUID, after_seq: int) -> list[dict[str, Any]]:
        """A page of envelopes after `after_seq`, for somebody whose access was checked before."""
        return [recorded.envelope() for recorded in await self.replay(conversation_id, after_seq)]

    async def replay(self, conversation_id: UUID, after_seq: int, limit: int = 500) -> list[Recorded]:
        """Events after `after_seq` for somebody whose access was checked before."""
        async with self._database.statement() as connection:
            return await log.read(connection, conversation_id, after_seq=after_seq, limit=limit)

    async def messages(
        self, principal: Principal, conversation_id: UUID, *, after_seq: int = 0, limit: int = 100
    ) -> Page[MessageView]:
        """What was said, in order; the cursor of the next page is the last seq. Raises NotFound."""
        async with self._database.statement() as connection:
            await visibility.see_conversation(connection, principal, conversation_id)
            rows = (
                await connection.execute(
                    _MESSAGES, {"c": conversation_id, "after": after_seq, "limit": limit + 1}
                )
            ).all()
        items = [_message(r) for r in rows[:limit]]
        return Page(items=items, next=str(items[-1].seq) if len(rows) > limit else None)

    async def approvals(self, principal: Principal, conversation_id: UUID) -> list[ApprovalView]:
        """What was asked for in a conversation, in order. Raises NotFound."""
        async with self._database.statement() as connection:
            await visibility.see_conversation(connection, principal, conversation_id)
            return await approvals.every(connection, conversation_id)

    async def blob(self, principal: Principal, conversation_id: UUID, sha256: str) -> Blob:
        """Bytes that an event of the conversation refers to. Raises NotFound."""
        async with self._database.statement() as connection:
            await visibility.see_conversation(connection, principal, conversation_id)
            found = await blobs.read(connection, conversation_id, [sha256])
        if not found:
            raise NotFound(f"Nothing in this conversation has the digest {sha256}.")
        return found[0]

    async def difference(self, principal: Principal, conversation_id: UUID, seq: int = NET) -> KeptDifference:
        """What the event `seq` tells of as a text, or all that the conversation changed. Raises NotFound."""
        async with self._database.statement() as connection:
            await visibility.see_conversation(connection, principal, conversation_id)
            found = await differences.read(connection, conversation_id, seq)
        if found is None:
            raise NotFound(
                "There is no difference yet: a worker makes it at the end of a run that changed something, "
                "if it could take snapshots of the workspace."
                if seq == NET
                else f"No difference is kept of {seq}: it is no `workspace.changed`, its text is empty, or "
                "it is too long ago."
            )
        return found

    async def marks(self, conversation_ids: Sequence[UUID]) -> dict[UUID, int]:
        """The last seq of each conversation, in one query; access was checked before."""
        async with self._database.statement() as connection:
            rows = await connection.execute(_MARKS, {"ids": list(conversation_ids)})
            return {row.id: row.head for row in rows}

    async def task(self, principal: Principal, task_id: UUID) -> TaskView:
        """One task. Raises NotFound."""
        row = await self._one(_TASK, principal, t=task_id)
        if row is None:
            raise NotFound(f"There is no task {task_id}.")
        return _task(row)

    async def tasks(
        self,
        principal: Principal,
        *,
        cursor: str | None = None,
        limit: int = 50,
        states: Sequence[RunState] | None = None,
        agent: str | None = None,
        workspace: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Page[TaskView]:
        """Tasks, newest first: those in one of `states`, of `agent`, in `workspace` (a name or an id), made
        after `since` and before `until`; all where these are None.
        """
        rows = await self._page(
            _TASKS,
            principal,
            cursor,
            limit,
            states=[state.value for state in states] if states else None,
            agent=agent,
            workspace=workspace,
            since=since,
            until=until,
        )
        return Page(items=[_task(r) for r in rows[:limit]], next=_next(rows, limit))

    async def callbacks(
        self,
        principal: Principal,
        *,
        cursor: str | None = None,
        limit: int = 50,
        state: CallbackState | None = None,
    ) -> Page[CallbackView]:
        """Callbacks of tasks, newest first."""
        rows = await self._page(_CALLBACKS, principal, cursor, limit, state=state)
        found = [view for row in rows[:limit] if (view := callbacks.callback_of(row)) is not None]
        return Page(items=found, next=_next(rows, limit))

    async def unseen(self, pairs: Sequence[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
        """Those (principal, conversation) of `pairs` where the one may not see the other; in one query."""
        parameters = {"principals": [p for p, _ in pairs], "conversations": [c for _, c in pairs]}
        async with self._database.statement() as connection:
            return {(row.p, row.c) for row in await connection.execute(_UNSEEN, parameters)}

    async def keys(self, principal: Principal) -> list[KeyView]:
        """All keys, without their secrets; for admins."""
        principal.need(Scope.ADMIN)
        async with self._database.statement() as connection:
            return [KeyView(**row._mapping) for row in await connection.execute(_KEYS)]

    async def _one(self, query: Any, principal: Principal, **parameters: object) -> Row[Any] | None:
        async with self._database.statement() as connection:
            found = await connection.execute(
                query, {"p": principal.id, "admin": principal.admin, **parameters}
            )
            return found.one_or_none()

    async def _page(
        self, query: Any, principal: Principal, cursor: str | None, limit: int, **parameters: object
    ) -> Sequence[Row[Any]]:
        at, last = _position(cursor)
        parameters |= {"at": at, "id": last, "limit": limit + 1, "p": principal.id, "admin": principal.admin}
        async with self._database.statement() as connection:
            return (await connection.execute(query, parameters)).all()


def _position(cursor: str | None) -> tuple[datetime | None, UUID | None]:
    if cursor is None:
        return None, None
    try:
        at, last = orjson.loads(base64.urlsafe_b64decode(cursor.encode()))
        return datetime.fromisoformat(at), UUID(last)
    except (ValueError, TypeError, binascii.Error, UnicodeEncodeError) as error:
        raise InvalidInput(
            "The cursor is not one of ours; take `next` of the page before, or leave it out.",
            errors=[{"field": "cursor", "message": "is not one that a page gave"}],
        ) from error


def _next(rows: Sequence[Row[Any]], limit: int) -> str | None:
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return base64.urlsafe_b64encode(orjson.dumps([last.created_at.isoformat(), str(last.id)])).decode()


def _conversation(row: Row[Any]) -> ConversationView:
    return ConversationView(
        id=row.id,
        title=row.title,
        agent=row.agent,
        agent_version=row.agent_version,
        workspace_id=row.workspace_id,
        workspace=row.workspace,
        created_at=row.created_at,
        last_seq=row.head,
        permission_mode=row.permission_mode,
        task_id=row.task_id,
        run=_run(row) if row.run_id else None,
    )


def _why(row: Row[Any]) -> tuple[str | None, str | None]:
    """The reason and detail of a run's state, also where a queued one waits for something."""
    if row.state == RunState.QUEUED and row.not_before is not None and row.not_before > datetime.now(UTC):
        return "delayed", f"The run starts at {row.not_before:%Y-%m-%d %H:%M:%S} UTC, as the order says."
    if row.state == RunState.QUEUED and row.held_by:
        held_by = ", ".join(str(task) for task in row.held_by)
        return "after", f"It comes after tasks of which one is not over: {held_by}."
    if row.away is not None:
        return "volume-away", (
            f"The workspace {row.workspace!r} lies on the volume {row.away}, which no worker has mounted "
            "that is running now. The run starts when one does: name the volume's path in its FLYNN_VOLUMES."
        )
    if row.workspace_busy and row.lane:
        return "branch", (
            f"Another task is at work on the branch {row.lane!r} of the workspace {row.workspace!r}. "
            "This one starts when that one ends."
        )
    if row.workspace_busy:
        return "workspace", (
            f"Another run is at work in the workspace {row.workspace!r}. This one starts when that one ends."
        )
    return row.reason, row.detail


def _run(row: Row[Any]) -> RunView:
    reason, detail = _why(row)
    return RunView(
        id=row.run_id,
        kind=row.kind,
        state=RunState(row.state),
        reason=reason,
        detail=detail,
        turns=row.turns,
        cost_dollars=dollars(row.nanodollars),
        limits=LimitsView(
            turns=row.limit_turns,
            dollars=dollars(row.limit_nanodollars),
            prompt_tokens=row.limit_prompt_tokens,
        ),
        created_at=row.run_created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        retry_at=row.not_before if row.state == RunState.WAITING else None,
        not_before=row.not_before if row.state == RunState.QUEUED else None,
    )


def _task(row: Row[Any]) -> TaskView:
    state = RunState(row.state)
    reason, detail = _why(row)
    return TaskView(
        id=row.task_id,
        title=row.task_title,
        instructions=row.instructions,
        state=state,
        reason=reason,
        detail=detail,
        agent=row.agent,
        workspace=row.workspace,
        workspace_id=row.workspace_id,
        conversation_id=row.id,
        priority=row.priority,
        not_before=row.not_before if state is RunState.QUEUED else None,
        created_at=row.task_created_at,
        ended_at=row.ended_at,
        report=Report.model_validate(row.report) if row.report and state.final else None,
        callback=callbacks.callback_of(row),
        acceptance_criteria=list(row.acceptance_criteria or ()),
        context=TaskContext.model_validate(row.context or {}),
        after=list(row.after or ()),
        after_failed=row.after_failed,
        deadline=row.deadline,
        budget=TaskBudget(
            turns=row.task_turns,
            tokens=row.task_tokens,
            dollars=None if row.task_nanodollars is None else dollars(row.task_nanodollars),
            minutes=None if row.task_seconds is None else row.task_seconds / 60,
        ),
        spent=Spent(
            turns=row.calls,
            tokens=row.tokens,
            dollars=dollars(int(row.all_nanodollars)),
            minutes=round(float(row.worked_ms) / 60_000, 2),
        ),
        checkout=row.checkout,
        branch=row.branch,
    )


def _message(row: Row[Any]) -> MessageView:
    event = EVENT.validate_python({**row.data, "type": row.type})
    match event:
        case MessageSent():
            role, said, message_id = "user", event.text, str(event.message_id)
        case MessageCompleted():
            role, said, message_id = "assistant", text_of(event.content), event.message_id
        case _:
            raise TypeError(f"{row.type} is no message")
    return MessageView.model_validate(
        {
            "seq": row.seq,
            "role": role,
            "text": said,
            "at": row.at,
            "run_id": row.run_id,
            "message_id": message_id,
        }
    )
