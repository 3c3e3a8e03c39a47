"""Originals: what files held before calls changed them, kept so that calls can be undone.

They may hold secrets, so no model, client, event or log is ever shown one. See docs/decisions/0020.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

MOST_BYTES: Final = 8 * 1024 * 1024
"""Bytes of a file up to which its content before a change is kept."""

CONVERSATION_BYTES: Final = 64 * 1024 * 1024
"""Bytes of originals that a conversation keeps; beyond them the oldest go."""


@dataclass(frozen=True, slots=True)
class Original:
    """The content of a file before a change; `sha256` is its digest, in hexadecimal."""

    data: bytes = field(repr=False)
    sha256: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", sha256(self.data).hexdigest())
