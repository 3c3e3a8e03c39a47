"""Beta fields and the header each needs, and the fields that this simulator does not play.

Sources: SDK types/anthropic_beta_param.py (names), CLAUDE_PLATFORM.md sections 3 and 6 and the notes on
the fields in SDK types/beta/*.py (which needs which).
"""

from collections.abc import Iterable
from typing import Final

from flynn.domain.content import Block, Json
from flynn.simulator.api_error import invalid
from flynn.simulator.request import ApiRequest

BINDING: Final = "thinking-binding-controls-2026-08-01"
_CLEAR_AT: Final = ("mid-conversation-system-clear-at-2026-08-21",)
_OUTPUT_CONFIG: Final = ("mid-conversation-output-config-2026-07-01",)
_COMPACT: Final = ("compact-2026-09-04", "compact-2026-01-12")
_TOOL_CHANGES: Final = ("mid-conversation-tool-changes-2026-07-01", "inline-tools-2026-09-15")
_DISPLAY_UPDATES: Final = ("thinking-display-updates-2026-08-18",)

_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "compaction": ("compact-2026-09-04",),
    "context_management": ("context-management-2025-06-27", "compact-2026-01-12"),
    "thread": ("message-threads-2026-08-12",),
    "mcp_servers": ("mcp-client-2025-04-04", "mcp-client-2025-11-20", "mcp-client-2026-09-15"),
    "fallbacks": ("server-side-fallback-2026-06-01", "server-side-fallback-2026-07-01"),
    "fallback_credit_token": ("fallback-credit-2026-06-01", "fallback-credit-2026-07-01"),
    "billing_policy": ("user-profiles-billing-2026-10-01",),
}
_NOT_PLAYED: Final = (
    "billing_policy",
    "compaction",
    "container",
    "context_management",
    "diagnostics",
    "fallback_credit_token",
    "mcp_servers",
    "thread",
)


def check_fields(request: ApiRequest) -> None:
    """Beta fields of the body need their header; fields without behaviour here are refused by name.

    Raises:
        ApiError: 400.
    """
    payload = request.payload
    for name, betas in _FIELDS.items():
        if name in payload:
            need(request, betas, name)
    for name in _NOT_PLAYED:
        if payload.get(name) is not None:
            raise invalid("not-simulated", f"{name}: the simulator does not play this field; leave it out")
    if payload.get("speed") == "fast":
        raise invalid("not-simulated", "speed: the simulator plays only 'standard'")
    if isinstance(payload.get("fallbacks"), list):
        raise invalid("fallbacks", "fallbacks: a list of models is not supported by this model")
    thinking = payload.get("thinking") or {}
    if thinking.get("block_binding"):
        need(request, (BINDING,), "thinking.block_binding")
    if thinking.get("display") == "updates":
        need(request, _DISPLAY_UPDATES, "thinking.display")


def check_message(request: ApiRequest, message: dict[str, Json], blocks: Iterable[Block], path: str) -> None:
    """Beta fields and blocks of one message need their header.

    Raises:
        ApiError: 400.
    """
    if "clear_at" in message:
        need(request, _CLEAR_AT, f"{path}.clear_at")
    if "output_config" in message:
        need(request, _OUTPUT_CONFIG, f"{path}.output_config")
    for index, block in enumerate(blocks):
        match block["type"]:
            case "compaction":
                need(request, _COMPACT, f"{path}.content.{index}")
            case "tool_addition" | "tool_removal":
                need(request, _TOOL_CHANGES, f"{path}.content.{index}")


def need(request: ApiRequest, betas: tuple[str, ...], path: str) -> None:
    """Refuse the field at `path` unless the request carries one of these betas.

    Raises:
        ApiError: 400.
    """
    if request.betas.isdisjoint(betas):
        raise invalid("beta-header", f"{path}: needs the header `anthropic-beta: {' or '.join(betas)}`")
