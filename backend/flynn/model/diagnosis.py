"""From what the SDK and the wire report to the failure it is.

An error is told by its machine-readable `error_code` first, then by its `type`, then by its HTTP
status (CLAUDE_PLATFORM.md, sections 2 and 4). `x-should-retry: true` is believed; `false` is not,
since it tells a client that waits seconds, while our callers can wait for hours.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2
from anthropic import APIError, APIStatusError

from flynn.domain.content import Json
from flynn.model.failures import BrokenStream, CallFailed, Permanent, RetryLater
from flynn.model.stream import Tally
from flynn.telemetry.redaction import redact

_BUSY = frozenset({"overloaded_error", "api_error", "timeout_error", "rate_limit_error"})
_REJECTED = frozenset(
    {
        "invalid_request_error",
        "authentication_error",
        "billing_error",
        "permission_error",
        "not_found_error",
        "request_too_large",
    }
)
_LONGEST_DETAIL = 500


def of_status(error: APIStatusError) -> CallFailed:
    """The failure behind an answer with an error status: nothing was generated, nothing is billed."""
    headers = error.response.headers
    words = error.api_message or _first_line(error.response.text) or error.response.reason_phrase
    detail = f"HTTP {error.status_code} {error.error_code or error.type or ''}".rstrip() + f": {words}"
    request_id = error.request_id or _request_id(error.body)
    if _retryable(error.error_code, error.type, error.status_code, headers.get("x-should-retry")):
        return RetryLater(
            detail,
            retry_after=retry_after(headers),
            usage_final=True,
            request_id=request_id,
            provider_status=error.status_code,
        )
    return Permanent(detail, usage_final=True, request_id=request_id, provider_status=error.status_code)


def _retryable(code: str | None, kind: str | None, status: int, should_retry: str | None) -> bool:
    """Whether the same call may work later."""
    if code is not None and code.endswith("_spend_limit_reached"):
        return False
    return (
        code == "compaction_unavailable"
        or kind in _BUSY
        or status in (408, 409, 429)
        or status >= 500
        or should_retry == "true"
    )


def of_no_answer(error: Exception, *, connect_timeout: float, idle_timeout: float) -> CallFailed:
    """The failure behind a call without a usable answer. Whether it is billed is known for a few alone."""
    cause = error.__cause__ if isinstance(error, APIError) else error
    match cause:
        case httpx2.LocalProtocolError() | httpx2.UnsupportedProtocol() | httpx2.InvalidURL():
            # Not the exception's own words: they quote the header, and the header holds the key.
            return Permanent(
                "The call cannot be made: the base URL is no http(s) URL, or the key holds characters "
                "that no HTTP header may carry.",
                usage_final=True,
            )
        case httpx2.ConnectTimeout():
            return RetryLater(
                f"No connection to the provider within {connect_timeout:g} s.", usage_final=True
            )
        case httpx2.TimeoutException():
            return RetryLater(f"The provider did not answer within {idle_timeout:g} s.")
        case httpx2.ConnectError():
            return RetryLater(f"No connection to the provider: {cause}.", usage_final=True)
        case ValueError():
            return BrokenStream(f"The provider's answer is no JSON: {cause}.")
        case _:
            return RetryLater(f"The connection to the provider failed: {cause or error}.")


def of_error_event(event: dict[str, Json], tally: Tally) -> CallFailed:
    """The failure behind an `error` event inside a stream, told by its type: the status was 200."""
    error = event.get("error")
    error = error if isinstance(error, dict) else {}
    kind, words = error.get("type"), error.get("message")
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    detail = f"The provider broke the answer off: {code or kind or 'error'}: {words or 'no reason given'}"
    usage, request_id = tally.usage, tally.request_id or _request_id(event)
    if isinstance(code, str) and code.endswith("_spend_limit_reached"):
        return Permanent(detail, usage=usage, request_id=request_id, provider_status=200)
    if kind in _BUSY or code == "compaction_unavailable":
        return RetryLater(detail, usage=usage, request_id=request_id, provider_status=200)
    if kind in _REJECTED:
        return Permanent(detail, usage=usage, request_id=request_id, provider_status=200)
    return BrokenStream(detail, usage=usage, request_id=request_id, provider_status=200)


def retry_after(headers: httpx2.Headers) -> float | None:
    """Seconds that the provider asks to wait (RFC 9110, 10.2.3: seconds or a date), never negative.

    `retry-after-ms`, which the provider's own clients read too, wins. None if it asks for nothing
    that can be read.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is None:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds)


def _number(text: str | None) -> float | None:
    """`text` as a finite number."""
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and abs(number) < float("inf") else None


def _request_id(body: object) -> str | None:
    """The request id that an error's body carries beside the header."""
    found = body.get("request_id") if isinstance(body, dict) else None
    return found if isinstance(found, str) else None


def _first_line(text: str) -> str:
    """What a proxy's error page says, shortened: redacted first, since half a secret cannot be told."""
    line = " ".join(redact(text).split())
    return line if len(line) <= _LONGEST_DETAIL else line[:_LONGEST_DETAIL] + "…"
