"""Differences of files as text: what a call changed, kept beside the event that tells of it.

Unified, in git's form, without secrets: what is kept here may be shown to whoever may see the conversation.
"""

from dataclasses import dataclass, field
from typing import Final

CALL_BYTES: Final = 256 * 1024
"""Bytes of the difference that is kept of one call; files that do not fit are left out whole."""
NET_BYTES: Final = 2 * 1024 * 1024
"""The same of all that a conversation has changed."""
CONVERSATION_BYTES: Final = 32 * 1024 * 1024
"""Bytes of differences of calls that a conversation keeps; beyond them the oldest go."""
NET: Final = 0
"""The place of a conversation's difference as a whole among those of its events, whose seqs begin at 1."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A text as `text/x-diff`, and whether some of it was left out."""

    text: bytes = field(repr=False)
    cut: bool = False
