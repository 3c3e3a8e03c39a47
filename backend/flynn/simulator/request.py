"""A request to the Messages API, as read from the wire. It says nothing about whether it is valid."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from flynn.domain.content import Json
from flynn.simulator.api_error import ApiError, invalid

CURRENT_VERSION: Final = "2026-10-21"
"""SDK `_constants.py`. CLAUDE_PLATFORM.md section 2 lists what it breaks."""
VERSIONS: Final = frozenset({"2023-06-01", CURRENT_VERSION})


@dataclass(slots=True)
class ApiRequest:
    """Headers that matter and the decoded body. `warnings` collects broken rules that no source proves."""

    key: str
    version: str
    betas: frozenset[str]
    payload: dict[str, Json]
    counting: bool = False
    """Whether this is a count_tokens request, which takes fewer fields and ignores attempts."""
    warnings: list[str] = field(default_factory=list)

    @property
    def messages(self) -> list[dict[str, Json]]:
        """The messages, once the rules have seen them."""
        messages: list[dict[str, Json]] = self.payload["messages"]
        return messages

    @property
    def schema(self) -> dict[str, Json] | None:
        """The JSON Schema that the answer has to fit (`output_config.format`), None when it may be any."""
        asked = (self.payload.get("output_config") or {}).get("format") or {}
        schema: dict[str, Json] | None = asked.get("schema")
        return schema

    @property
    def thinks(self) -> bool:
        """Whether the model may think: not when disabled, nor when a tool call is forced.

        Sources: K model-migration.md: omitted means adaptive, a forced tool_choice skips thinking.
        """
        thinking = self.payload.get("thinking") or {}
        choice = self.payload.get("tool_choice") or {}
        return thinking.get("type", "adaptive") == "adaptive" and choice.get("type") not in {"any", "tool"}


def key_of(headers: Mapping[str, str]) -> str | None:
    """The API key: `Authorization: Bearer`, as SDK 2.x sends it, or `x-api-key`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key", "").strip() or None


def authenticate(headers: Mapping[str, str], keys: frozenset[str] | None) -> str:
    """The key of a request, if it is accepted. `keys` None accepts any.

    Raises:
        ApiError: 401, no key or an unknown one (docs: api/errors).
    """
    key = key_of(headers)
    if key is None:
        raise ApiError(
            401,
            "authentication_error",
            "a key is needed: send it as `Authorization: Bearer` or `x-api-key`",
            rule="key",
        )
    if keys is not None and key not in keys:
        raise ApiError(401, "authentication_error", "invalid x-api-key", rule="key")
    return key


def version_of(headers: Mapping[str, str]) -> str:
    """The API version of a request.

    Raises:
        ApiError: 400, the header is missing or names no version (docs: api/versioning).
    """
    version = headers.get("anthropic-version")
    if not version:
        raise invalid("version", "anthropic-version: header is required")
    if version not in VERSIONS:
        raise invalid(
            "version",
            f"anthropic-version: {version!r} is no version of the API; send {' or '.join(sorted(VERSIONS))}",
        )
    return version


def betas_of(headers: Mapping[str, str]) -> frozenset[str]:
    """The beta names of the `anthropic-beta` header."""
    return frozenset(name.strip() for name in headers.get("anthropic-beta", "").split(",") if name.strip())


def decode(body: bytes) -> dict[str, Json]:
    """Decode a JSON body.

    Raises:
        ApiError: 400, the body is no JSON (a lone surrogate escape makes it so: the API's parser, like
            this one, refuses it; github.com/anthropics/claude-code issue 60394) or no object.
    """
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid("json", f"The request body is not valid JSON: {error}") from error
    if not isinstance(payload, dict):
        raise invalid("json", "The request body must be a JSON object")
    return payload
