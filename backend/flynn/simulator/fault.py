"""Faults: what goes wrong while a turn is played. One closed union, told apart by `kind`.

A fault strikes on one attempt, on several, or on every one. Attempts are counted per conversation and
turn (see flynn.simulator.attempts), so `on_attempt: 1` fails once and the retry succeeds.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from flynn.simulator.api_error import ApiError, ErrorType

HttpKind = Literal[
    "rate_limited",
    "overloaded",
    "server_error",
    "unavailable",
    "timeout",
    "bad_request",
    "unauthenticated",
    "billing",
    "forbidden",
    "not_found",
    "conflict",
    "too_large",
]

_HTTP: Final[dict[HttpKind, tuple[int, ErrorType]]] = {
    "rate_limited": (429, "rate_limit_error"),
    "overloaded": (529, "overloaded_error"),
    "server_error": (500, "api_error"),
    "unavailable": (503, "api_error"),
    "timeout": (504, "timeout_error"),
    "bad_request": (400, "invalid_request_error"),
    "unauthenticated": (401, "authentication_error"),
    "billing": (402, "billing_error"),
    "forbidden": (403, "permission_error"),
    "not_found": (404, "not_found_error"),
    "conflict": (409, "conflict_error"),
    "too_large": (413, "request_too_large"),
}


class _Fault(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    on_attempt: int | list[int] | None = None
    """The attempt, counted from 1, or the attempts on which the fault strikes; None: on every one."""

    def strikes(self, attempt: int) -> bool:
        """Whether the fault strikes on this attempt."""
        if self.on_attempt is None:
            return True
        if isinstance(self.on_attempt, int):
            return attempt == self.on_attempt
        return attempt in self.on_attempt


class _AtPoint(_Fault):
    """A fault at a point of the stream: after so many events, or after the first event of a class.

    `after_event` is an event's name (`message_start`, `content_block_delta`, …), optionally followed by
    the type of the block or delta it carries (`content_block_start:tool_use`,
    `content_block_delta:input_json_delta`). Pings do not count.
    """

    after_events: int | None = Field(default=None, ge=0)
    after_event: str | None = None

    @property
    def has_point(self) -> bool:
        """Whether a point in the stream was named."""
        return self.after_events is not None or self.after_event is not None

    def reached(self, number: int, event_class: str) -> bool:
        """Whether the fault strikes right after event `number` (from 1) of class `event_class`."""
        if self.after_events is not None:
            return number >= self.after_events
        if self.after_event is None:
            return False
        return event_class == self.after_event or event_class.startswith(self.after_event + ":")


class HttpError(_Fault):
    """An error status before anything is streamed."""

    kind: HttpKind
    message: str | None = None
    retry_after: float | None = Field(default=None, ge=0)
    """Seconds, sent as the `retry-after` header."""
    should_retry: bool | None = None
    """Sent as `x-should-retry`, which the SDK puts above the status (SDK `_base_client.py`)."""
    error_code: str | None = None

    def error(self) -> ApiError:
        """The answer."""
        status, type_ = _HTTP[self.kind]
        headers: dict[str, str] = {}
        if self.retry_after is not None:
            headers["retry-after"] = f"{self.retry_after:g}"
        if self.should_retry is not None:
            headers["x-should-retry"] = "true" if self.should_retry else "false"
        message = self.message or f"The scenario plays {self.kind!r} here."
        return ApiError(status, type_, message, code=self.error_code, headers=headers)


class ConnectionReset(_AtPoint):
    """The socket is reset (RST): before the headers, or at the named point of the stream."""

    kind: Literal["connection_reset"]


class StreamCut(_AtPoint):
    """The stream ends cleanly in the middle, without `message_stop`. Default: after `message_start`."""

    kind: Literal["stream_cut"]


class ErrorEvent(_AtPoint):
    """An `error` event in the middle of the stream. Default: after `message_start`."""

    kind: Literal["error_event"]
    error_type: ErrorType = "overloaded_error"
    message: str = "The scenario plays an error event here."

    def error(self) -> ApiError:
        """The error, as it is put in the event (or answered, where nothing is streamed)."""
        status = next((s for s, t in _HTTP.values() if t == self.error_type), 500)
        return ApiError(status, self.error_type, self.message)


class Hang(_AtPoint):
    """Nothing more comes: before the headers, or from the named point on.

    After `seconds` the answer goes on; None: until the client leaves. `ping_every_ms` sends pings
    meanwhile, which needs a point in the stream.
    """

    kind: Literal["hang"]
    seconds: float | None = Field(default=None, gt=0)
    ping_every_ms: float | None = Field(default=None, gt=0)


class PingsOnly(_Fault):
    """Headers, then nothing but pings; after `seconds` the stream ends. None: until the client leaves."""

    kind: Literal["pings_only"]
    every_ms: float = Field(default=100, gt=0)
    seconds: float | None = Field(default=None, gt=0)


class EmptyStream(_Fault):
    """HTTP 200 and an empty body."""

    kind: Literal["empty_stream"]


class MaxTokens(_Fault):
    """The output limit is reached: stop_reason `max_tokens` within the last block.

    `keep` is the share of the last block's characters that still comes; a tool call is thus left with
    incomplete JSON.
    """

    kind: Literal["max_tokens"]
    keep: float = Field(default=0.5, ge=0, lt=1)


class Refusal(_Fault):
    """HTTP 200 with stop_reason `refusal` and stop_details; the first `keep_blocks` blocks come.

    Source: SDK types/refusal_stop_details.py; docs: handling-stop-reasons.
    """

    kind: Literal["refusal"]
    category: Literal["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"] | None = None
    explanation: str | None = None
    keep_blocks: int = Field(default=0, ge=0)


class StopReason(_Fault):
    """The turn ends with this stop_reason, known or not; null stands for one that never came.

    For `pause_turn` a server tool call closes the message, as the API pauses only within one.
    """

    kind: Literal["stop_reason"]
    value: str | None


Fault = Annotated[
    HttpError
    | ConnectionReset
    | StreamCut
    | ErrorEvent
    | Hang
    | PingsOnly
    | EmptyStream
    | MaxTokens
    | Refusal
    | StopReason,
    Field(discriminator="kind"),
]
