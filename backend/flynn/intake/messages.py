"""Words for the agent: committed once, whatever is sent again."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.domain import events as ev
from flynn.domain.content import clean, text_block
from flynn.domain.errors import InvalidInput, PayloadTooLarge
from flynn.domain.orders import MessageOrder
from flynn.domain.permission import PermissionMode
from flynn.domain.principal import Principal
from flynn.domain.run import MESSAGE_PRIORITY, RunState
from flynn.domain.views import Acknowledgement
from flynn.intake.access import act_in_conversation
from flynn.intake.rules import Rules
from flynn.store import log, runs
from flynn.store.admission import admit
from flynn.store.rows import ConversationRow, RunRow
from flynn.telemetry.redaction import redact
from flynn.workspace.mounts import Place

TITLE_LENGTH = 80
"""Characters of a title that is made from words."""

_FIND = text("""
SELECT message_id, seq, digest FROM client_messages
WHERE conversation_id = :c AND client_message_id = :m""")
_ENTITLE = text("UPDATE conversations SET title = :title WHERE id = :c AND title IS NULL")
_KEEP = text("""
INSERT INTO client_messages (conversation_id, client_message_id, message_id, seq, digest)
VALUES (:c, :m, :id, :seq, :digest)""")


async def send(
    connection: AsyncConnection,
    principal: Principal,
    conversation_id: UUID,
    order: MessageOrder,
    *,
    rules: Rules,
) -> tuple[Acknowledgement, list[ev.Recorded]]:
    """Commit the words, without secrets, and the run that follows; nothing is appended for a resend.

    Raises QueueFull when a run would have to be queued for them and the queue is full, ModelKeyMissing when
    this process has no key to answer them with.

    A resend is known by the words as they were sent: what passes for a secret may change meanwhile.
    """
    await act_in_conversation(connection, principal, conversation_id)
    words = check(order.text, rules)
    conversation = await runs.lock_conversation(connection, conversation_id)
    if again := await _resent(connection, conversation, order, words):
        return again, []
    message = _message(principal, conversation, words, order.client_message_id, rules)
    if conversation.head == 0:
        await connection.execute(_ENTITLE, {"c": conversation_id, "title": title_of(message.text)})
    run = await runs.open_run(connection, conversation_id)
    priority = await rank(connection, conversation) if run is None else MESSAGE_PRIORITY
    recorded, run = await accept(
        connection, conversation, principal, message, run, "message", rules=rules, priority=priority
    )
    if order.client_message_id is not None:
        await connection.execute(
            _KEEP,
            {
                "c": conversation_id,
                "m": order.client_message_id,
                "id": message.message_id,
                "seq": recorded[0].seq,
                "digest": _digest(words),
            },
        )
    return (
        Acknowledgement(
            conversation_id=conversation_id,
            message_id=message.message_id,
            seq=recorded[0].seq,
            run=run.view(),
        ),
        recorded,
    )


async def rank(connection: AsyncConnection, conversation: ConversationRow) -> int:
    """The priority of a run that goes on with a conversation: with a task it is work of the task's rank."""
    if conversation.task_id is None:
        return MESSAGE_PRIORITY
    before = await runs.latest_run(connection, conversation.id)
    return before.priority if before is not None else 0


def check(words: str, rules: Rules) -> str:
    """Clean the words. Raises PayloadTooLarge, or InvalidInput when only white space is left."""
    size = len(words.encode("utf-8", "surrogatepass"))
    if size > rules.message_max_bytes:
        raise PayloadTooLarge(
            f"The message has {size:,} bytes; at most {rules.message_max_bytes:,} are taken. "
            "Put long material into a file of the workspace and name it."
        )
    if not words.strip():
        raise InvalidInput(
            "The message is empty; say what is wanted.", errors=[{"field": "text", "message": "is empty"}]
        )
    return clean(words)


async def accept(
    connection: AsyncConnection,
    conversation: ConversationRow,
    principal: Principal,
    message: ev.MessageSent,
    run: RunRow | None,
    reason: str,
    *,
    rules: Rules,
    priority: int = MESSAGE_PRIORITY,
    not_before: datetime | None = None,
    after: Sequence[UUID] = (),
    deadline: datetime | None = None,
    lane: str | None = None,
) -> tuple[list[ev.Recorded], RunRow]:
    """Append `message` to a locked conversation, and see to it that a run answers it.

    A new run has `priority`, starts at `not_before` at the earliest and when the tasks `after` are over, and
    is stopped at `deadline`; `lane` is what it takes of the workspace if not what the conversation does.
    Raises QueueFull where there would have to be a new one, and ModelKeyMissing where nobody would answer.
    """
    rules.need_model(Place(conversation.volume_id, conversation.workspace_path))
    if run is None:
        run = await runs.queue_run(
            connection,
            conversation,
            principal.id,
            rules.limits,
            priority=priority,
            not_before=not_before,
            after=after,
            deadline=deadline,
            depth=rules.admission,
            lane=lane,
        )
        queued = ev.RunQueued.model_validate({"reason": reason})
        recorded = await log.append(connection, conversation.id, run.id, [message, queued])
        await admit(connection, rules.admission)
        await runs.check_depth(connection, principal.id, rules.admission)
        return recorded, run
    follows: list[ev.EventData] = []
    if run.state is RunState.WAITING and run.reason in ("model", "approval", "day"):
        # Somebody is here again: try the model now instead of at the next appointed time, and the day, of
        # which an operator may have allowed more. Words instead of a yes are a no that the worker finds in
        # the log.
        follows.append(ev.RunQueued(reason="resume"))
        run = await runs.queue_again(connection, run.id)
    recorded = await log.append(connection, conversation.id, run.id, [message, *follows])
    if follows:
        await admit(connection, rules.admission)
    await runs.announce_input(connection, conversation.id)
    return recorded, run


def title_of(words: str) -> str:
    """A title from a conversation's first words: one line, at most TITLE_LENGTH characters."""
    line = next((line for line in words.splitlines() if line.strip()), "")
    plain = " ".join("".join(c if c.isprintable() else " " for c in line).split())
    return plain if len(plain) <= TITLE_LENGTH else f"{plain[: TITLE_LENGTH - 1].rstrip()}…"


def first_words(
    principal: Principal,
    conversation: ConversationRow,
    words: str,
    rules: Rules,
    *,
    brief: str | None = None,
    placed: bool = True,
) -> ev.MessageSent:
    """The message that opens a conversation; `brief` stands behind the words.

    Unless `placed`, it does not say where the files are: the worker does, when it knows.
    """
    message = _message(principal, conversation, words, None, rules, placed=placed)
    if brief is None:
        return message
    return message.model_copy(update={"content": [*message.content, text_block(brief)]})


def _message(
    principal: Principal,
    conversation: ConversationRow,
    words: str,
    client_id: str | None,
    rules: Rules,
    *,
    placed: bool = True,
) -> ev.MessageSent:
    words = redact(words)
    content = [text_block(words)]
    if conversation.head == 0:
        where = _where(conversation, rules) if placed else None
        opening = rules.opening(conversation.workspace_name, where)
        content.insert(0, text_block(opening))
        if conversation.permission_mode not in (None, PermissionMode.AUTO):
            content.insert(1, text_block(rules.modes[conversation.permission_mode]))
    return ev.MessageSent(
        message_id=uuid4(),
        client_message_id=client_id,
        principal=principal.name,
        text=words,
        content=content,
    )


def _where(conversation: ConversationRow, rules: Rules) -> str:
    """Where the worker will have the workspace: as far as known, where one last had its volume."""
    if conversation.volume_root is not None:
        return str(Path(conversation.volume_root) / conversation.workspace_path)
    place = Place(conversation.volume_id, conversation.workspace_path)
    return str(rules.mounts.path(place, conversation.workspace_name))


async def _resent(
    connection: AsyncConnection, conversation: ConversationRow, order: MessageOrder, words: str
) -> Acknowledgement | None:
    if order.client_message_id is None:
        return None
    parameters = {"c": conversation.id, "m": order.client_message_id}
    row = (await connection.execute(_FIND, parameters)).one_or_none()
    if row is None:
        return None
    if row.digest != _digest(words):
        raise InvalidInput(
            f"client_message_id {order.client_message_id!r} was used for other words in this conversation; "
            "use a new one for a new message.",
            errors=[{"field": "client_message_id", "message": "was used for other words"}],
        )
    run = await runs.latest_run(connection, conversation.id)
    if run is None:
        raise RuntimeError("a message without a run")
    return Acknowledgement(
        conversation_id=conversation.id,
        message_id=row.message_id,
        seq=row.seq,
        run=run.view(),
        duplicate=True,
    )


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()
