"""Callbacks: what a task's client is told over HTTP, and how it knows that it is us who tell.

By Standard Webhooks (https://www.standardwebhooks.com): a message has an id, a time and a signature. The
body is the event's envelope, as every door shows it, with the task's id.
"""

import base64
import binascii
import json
import secrets
from datetime import timedelta
from typing import Literal
from uuid import UUID

from flynn.domain.content import Json
from flynn.domain.events import EVENT_TYPES

NOTEWORTHY = (
    "budget.reached",
    "run.waiting",
    "run.completed",
    "run.failed",
    "run.cancelled",
    "task.reported",
)
"""Types of events that a client is told of unless it names others: those on which it can act."""

PATIENCE = timedelta(hours=24)
"""How long an event is tried to be delivered; then the callback is dead until somebody revives it."""

MOST_BYTES = 1_048_576
"""Longest body. A longer event comes with `data` null and `too_large` true; the log has it whole."""

CallbackState = Literal["active", "failing", "dead"]

_PREFIX = "whsec_"


def new_secret() -> str:
    """A signing secret: `whsec_` and the base64 of 32 random bytes."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(secret: str) -> str:
    """Take a signing secret that somebody else made. Raises ValueError, which does not repeat it."""
    problem = "should be whsec_ and then the base64 of 24 to 64 random bytes"
    if not secret.startswith(_PREFIX):
        raise ValueError(problem)
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(problem) from None
    if not 24 <= len(key) <= 64:
        raise ValueError(problem)
    return secret


def check_type(name: str) -> str:
    """Take the name of a type of event. Raises ValueError for one that there is not."""
    if name not in EVENT_TYPES:
        raise ValueError(f"should be a type of event: {', '.join(EVENT_TYPES)}")
    return name


def message_id(conversation_id: UUID, seq: int) -> str:
    """The id of an event's message: the same however often it is sent."""
    return f"msg_{conversation_id.hex}_{seq}"


def body_of(envelope: dict[str, Json], task_id: UUID) -> str:
    """The body of an event's message: the same text however often it is made."""
    said = {**envelope, "task_id": str(task_id)}
    body = _dumps(said)
    if len(body) > MOST_BYTES:
        body = _dumps({**said, "data": None, "too_large": True})
    return body


def _dumps(value: Json) -> str:
    """JSON in ASCII: as many bytes as characters."""
    return json.dumps(value, separators=(",", ":"))
