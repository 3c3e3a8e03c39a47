"""A claim: one thing that a task's account says, held against the evidence."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Judgement(StrEnum):
    """What the evidence says of a claim. `unverified`: nothing, either way."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNVERIFIED = "unverified"

    @property
    def place(self) -> int:
        """Contradicted claims come first, then what nothing is known of."""
        return (Judgement.CONTRADICTED, Judgement.UNVERIFIED, Judgement.SUPPORTED).index(self)


class Claim(BaseModel):
    """`said` is the claim in short, `why` what speaks for the judgement, `seq` where the log has that."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["verification", "file", "criterion", "findings"]
    said: str
    judgement: Judgement
    why: str
    seq: int | None = None
