"""The error tree. Every error a person may see is one of these, and none carries a stack trace.

FlynnError
├── InvalidInput          422  what was sent cannot be used; names what would be right
├── Unauthenticated       401  no key, or one we do not know
├── Forbidden             403  a key without the scope or the membership
├── NotFound              404  no such thing, or none that this principal may see
├── Conflict              409  the state of the thing forbids it now
│   └── ModelKeyMissing        no key of the model's API (flynn.domain.model_key)
├── PayloadTooLarge       413
├── TooManyRequests       429  carries retry_after
│   └── QueueFull              too many runs are queued already
├── Unavailable           503  a part we need is away; carries retry_after
├── ConfigurationError    a setting or the machine is wrong; stops the start with one line
├── LeaseLost             another worker owns the conversation now; stop writing
├── SandboxUnavailable    no sandbox, no process
├── WorkspaceError        a path cannot be served
│   └── PathEscapes       it leads outside the workspace
├── BlobMissing           bytes that the log refers to are not in the store
└── ModelFailure          the model gave no usable answer (see model/failures.py)
"""

from typing import ClassVar


class FlynnError(Exception):
    """Something went wrong that we can name. The first argument is the sentence people read."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"
    status: ClassVar[int] = 500

    def __init__(self, detail: str, *, retry_after: float | None = None, **context: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.context = context


class InvalidInput(FlynnError):
    """What was sent cannot be used. `context["errors"]` may list `{field, message}` pairs."""

    code = "invalid-input"
    title = "The request cannot be used"
    status = 422


class Unauthenticated(FlynnError):
    """The request carries no key, or one that is not known."""

    code = "unauthenticated"
    title = "A key is needed"
    status = 401


class Forbidden(FlynnError):
    """The key is known but does not open this door."""

    code = "forbidden"
    title = "This key does not open this door"
    status = 403


class NotFound(FlynnError):
    """There is no such thing, or none that this principal may see."""

    code = "not-found"
    title = "Not found"
    status = 404


class Conflict(FlynnError):
    """The state of the thing forbids it now."""

    code = "conflict"
    title = "Not possible in the present state"
    status = 409


class PayloadTooLarge(FlynnError):
    """The request is larger than the limit that `detail` names."""

    code = "payload-too-large"
    title = "The request is too large"
    status = 413


class TooManyRequests(FlynnError):
    """Too much at once; `retry_after` says when to come back."""

    code = "too-many-requests"
    title = "Too many requests"
    status = 429


class QueueFull(TooManyRequests):
    """Too many runs are queued already; what asked for another one was not taken."""

    code = "queue-full"
    title = "The queue is full"


class Unavailable(FlynnError):
    """A part that this needs is away; `retry_after` says when to come back."""

    code = "unavailable"
    title = "A part of the service is away"
    status = 503


class ConfigurationError(FlynnError):
    """A setting or the machine is wrong; the start stops with this one line."""

    code = "configuration"
    title = "The configuration is wrong"


class LeaseLost(FlynnError):
    """Another worker owns the conversation now. Whoever sees this stops writing and acting."""

    code = "lease-lost"
    title = "Another worker owns this conversation"
    status = 409


class SandboxUnavailable(FlynnError):
    """No sandbox can be set up, so no process is started."""

    code = "sandbox-unavailable"
    title = "No sandbox on this machine"
    status = 503


class WorkspaceError(FlynnError):
    """A path of the workspace cannot be served."""

    code = "workspace"
    title = "The workspace cannot serve this path"
    status = 422


class PathEscapes(WorkspaceError):
    """The path leads outside the workspace."""

    code = "path-escapes"
    title = "The path leads outside the workspace"


class BlobMissing(FlynnError):
    """The log refers to bytes that the store does not have: somebody took them out of the database."""

    code = "blob-missing"
    title = "An image or document of the conversation is lost"


class ModelFailure(FlynnError):
    """The model gave no usable answer. The classes are in flynn.model.failures."""

    code = "model-failure"
    title = "The model gave no usable answer"
    status = 502
