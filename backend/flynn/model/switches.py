"""Switches: what one endpoint can do, for servers that speak the Messages API but lack parts of it.

The defaults are Anthropic's own API. CLAUDE_PLATFORM.md, section 10, lists what other servers lack.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What to send to an endpoint, and what to accept from it."""

    caching: bool = True
    """Send `cache_control`; off, every marker is taken out of what goes out."""

    effort: bool = True
    """Send `output_config.effort`; off, the request's effort is not sent."""

    structured: bool = True
    """Answers can be held to a format (`output_config.format`); off, it is asked for in words only."""

    thinking: Literal["default", "adaptive", "disabled"] = "default"
    """`default` sends no `thinking` field: the model decides (adaptive on Haiku 5.5)."""

    betas: tuple[str, ...] = ()
    """Names for the `anthropic-beta` header."""

    count_tokens: bool = True
    """The endpoint counts tokens; off, nobody asks it."""

    auth: Literal["bearer", "x-api-key"] = "bearer"
    """The header that carries the key."""

    missing_usage: bool = False
    """Accept an answer that does not say what it used (it then counts as nothing)."""
