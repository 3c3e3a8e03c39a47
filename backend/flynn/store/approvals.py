"""Approvals, read from the log: what was requested, and what became of it."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain.errors import NotFound
from flynn.domain.events import EVENT, ApprovalDecided, ApprovalExpired, ApprovalRequested
from flynn.domain.views import ApprovalState, ApprovalView

_APPROVALS: Final = """
SELECT q.seq, q.run_id, q.at, q.data, e.type AS end_type, e.data AS end_data,
  r.state IN ('completed', 'failed', 'cancelled') AS over
FROM events q LEFT JOIN runs r ON r.id = q.run_id LEFT JOIN LATERAL (
  SELECT d.type, d.data FROM events d
  WHERE d.conversation_id = q.conversation_id AND d.seq > q.seq
    AND d.type IN ('approval.decided', 'approval.expired')
    AND d.data->>'approval_id' = q.data->>'approval_id'
  ORDER BY d.seq LIMIT 1) e ON true
WHERE q.conversation_id = :c AND q.type = 'approval.requested' {filter}
ORDER BY q.seq"""
_ONE = text(_APPROVALS.format(filter="AND q.data->>'approval_id' = :a"))
_ALL = text(_APPROVALS.format(filter=""))


async def find(connection: AsyncConnection, conversation_id: UUID, approval_id: UUID) -> ApprovalView:
    """One approval. Raises NotFound."""
    rows = await connection.execute(_ONE, {"c": conversation_id, "a": str(approval_id)})
    row = rows.one_or_none()
    if row is None:
        raise NotFound(f"There is no approval {approval_id} in this conversation.")
    return _view(conversation_id, row)


async def pending(connection: AsyncConnection, conversation_id: UUID) -> list[ApprovalView]:
    """Those that wait for a decision, in the order of their requests."""
    return [view for view in await every(connection, conversation_id) if view.state == "pending"]


async def every(connection: AsyncConnection, conversation_id: UUID) -> list[ApprovalView]:
    """All of the conversation's, in the order of their requests."""
    rows = await connection.execute(_ALL, {"c": conversation_id})
    return [_view(conversation_id, row) for row in rows]


def _view(conversation_id: UUID, row: Row[Any]) -> ApprovalView:
    request = EVENT.validate_python({**row.data, "type": "approval.requested"})
    end = EVENT.validate_python({**row.end_data, "type": row.end_type}) if row.end_type else None
    if not isinstance(request, ApprovalRequested):
        raise TypeError("the log holds another event than its type says")
    decision = end if isinstance(end, ApprovalDecided) else None
    state: ApprovalState = "pending"
    if decision is not None:
        state = "allowed" if decision.decision == "allow" else "denied"
    elif isinstance(end, ApprovalExpired) or row.over:
        state = "expired"
    return ApprovalView(
        id=request.approval_id,
        conversation_id=conversation_id,
        run_id=row.run_id,
        seq=row.seq,
        call_id=request.call_id,
        tool=request.tool,
        input=request.input,
        call_digest=request.call_digest,
        reason=request.reason,
        state=state,
        requested_at=row.at,
        expires_at=request.expires_at,
        decided_by=decision.principal if decision else None,
        message=decision.message if decision else None,
    )
