"""The ways in which a model call gives nothing to adopt. Nothing here was retried.

ModelFailure (flynn.domain.errors)
└── CallFailed            what all of them carry
    ├── RetryLater        the provider is away or busy: the same call may work later
    │   └── EndpointAway  nobody was called: the breaker knows that the endpoint does not answer
    │       └── KeyMissing  nor without a key
    ├── Permanent         the same call will fail again; the detail is in the provider's words
    ├── Refused           the model declined (HTTP 200, stop_reason refusal)
    ├── Truncated         the answer was cut by a limit; its tool calls must not run
    └── BrokenStream      an answer began and did not end, or made no sense
"""

from typing import ClassVar

from flynn.domain.content import Block
from flynn.domain.errors import ModelFailure
from flynn.domain.events import StepFailure
from flynn.domain.usage import Usage
from flynn.telemetry.redaction import redact


class CallFailed(ModelFailure):
    """A model call that gave nothing to adopt.

    `usage` is what is known to have been billed; while `usage_final` is false it is a lower bound
    (the answer was cut before the provider said the sum, or nobody knows whether the call arrived).
    `provider_status` is the provider's HTTP status; `status` stays what our own API answers. The detail
    is redacted, since providers and proxies quote what they were sent, keys included.
    """

    reason: ClassVar[StepFailure]

    def __init__(
        self,
        detail: str,
        *,
        usage: Usage | None = None,
        usage_final: bool = False,
        request_id: str | None = None,
        provider_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(redact(detail), retry_after=retry_after)
        self.usage = usage or Usage()
        self.usage_final = usage_final
        self.request_id = request_id
        self.provider_status = provider_status


class RetryLater(CallFailed):
    """The provider is away or busy. `retry_after` is what it asked for, in seconds, if it did."""

    code = "model-away"
    title = "The model is away or busy"
    reason: ClassVar[StepFailure] = "retry"


class EndpointAway(RetryLater):
    """The call was not made: calls before it failed, and the endpoint is tried again in `retry_after`."""

    reason = "held"


class KeyMissing(EndpointAway):
    """The call was not made: there is no key for it. The run waits until there is one."""


class Permanent(CallFailed):
    """The same call will fail again: something about the request, the key or the account is wrong."""

    code = "model-rejected"
    title = "The model's provider rejects the call"
    reason = "permanent"


class Refused(CallFailed):
    """The model declined. What was refused leaves the transcript; `category` names the policy."""

    code = "model-refused"
    title = "The model declined"
    reason = "refused"

    def __init__(
        self,
        detail: str,
        *,
        category: str | None,
        usage: Usage | None = None,
        usage_final: bool = False,
        request_id: str | None = None,
        provider_status: int | None = None,
    ) -> None:
        super().__init__(
            detail,
            usage=usage,
            usage_final=usage_final,
            request_id=request_id,
            provider_status=provider_status,
        )
        self.category = category


class Truncated(CallFailed):
    """The answer was cut: `max_tokens` or `model_context_window_exceeded`.

    `content` holds the blocks that can be shown; a tool call whose input is incomplete is left out,
    and one that looks complete must not run either.
    """

    code = "model-truncated"
    title = "The answer was cut off"
    reason = "truncated"

    def __init__(
        self,
        detail: str,
        *,
        stop_reason: str,
        content: list[Block],
        usage: Usage | None = None,
        usage_final: bool = False,
        request_id: str | None = None,
        provider_status: int | None = None,
    ) -> None:
        super().__init__(
            detail,
            usage=usage,
            usage_final=usage_final,
            request_id=request_id,
            provider_status=provider_status,
        )
        self.stop_reason = stop_reason
        self.content = content


class BrokenStream(CallFailed):
    """An answer began and did not come to its end, fell silent, or could not be read."""

    code = "model-broken-stream"
    title = "The answer broke off"
    reason = "broken_stream"
