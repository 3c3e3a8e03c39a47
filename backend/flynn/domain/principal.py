"""Who is asking: a principal behind a key, and what the key opens."""

import hashlib
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from flynn.domain.errors import Forbidden


class Scope(StrEnum):
    """What a key opens. `admin` opens everything, and sees everybody's work."""

    CHAT = "chat"
    DELEGATE = "delegate"
    READ = "read"
    ADMIN = "admin"


class Principal(BaseModel):
    """A client of the service. All keys of one principal see the same work."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str
    scopes: frozenset[Scope]

    @property
    def admin(self) -> bool:
        """Whether it sees everybody's work."""
        return Scope.ADMIN in self.scopes

    def need(self, *scopes: Scope) -> None:
        """Raise Forbidden unless the key carries one of `scopes` (or admin)."""
        if not self.admin and not self.scopes.intersection(scopes):
            wanted = " or ".join(s.value for s in scopes)
            has = ", ".join(sorted(s.value for s in self.scopes)) or "none"
            raise Forbidden(f"This needs a key with scope {wanted}; this key has: {has}.")


def key_digest(key: str) -> str:
    """What is stored of a key. A key has 256 random bits, so a plain sha256 is enough."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
