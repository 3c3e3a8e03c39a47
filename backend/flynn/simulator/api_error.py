"""An answer that refuses a request, in the API's own form.

Sources: SDK `_exceptions.py` and `types/shared/error_response.py` (shape of the body, the `request-id`
header), docs: api/errors (which type goes with which status).
"""

from collections.abc import Mapping
from typing import Literal

import orjson

ErrorType = Literal[
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "conflict_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "api_error",
    "overloaded_error",
]


class ApiError(Exception):
    """The request is answered with `status` and an error body.

    `code` becomes `error.details.error_code`, which the SDK shows as `err.error_code`. `rule` names the
    broken rule in the `simulator-rule` response header, so that tests need not match on wording.
    """

    def __init__(
        self,
        status: int,
        type: ErrorType,
        message: str,
        *,
        code: str | None = None,
        rule: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.message = message
        self.code = code
        self.rule = rule
        self.headers = dict(headers or {})

    def body(self, request_id: str) -> bytes:
        """The JSON body: `{type, error: {type, message, details?}, request_id}`."""
        return orjson.dumps({"type": "error", "error": self.object(), "request_id": request_id})

    def object(self) -> dict[str, object]:
        """The inner error object, as it also stands in an `error` event of a stream."""
        error: dict[str, object] = {"type": self.type, "message": self.message}
        if self.code is not None:
            error["details"] = {"error_code": self.code}
        return error


def invalid(rule: str, message: str) -> ApiError:
    """Make the 400 that answers a broken rule. `message` names the place and what would be right."""
    return ApiError(400, "invalid_request_error", message, rule=rule)
