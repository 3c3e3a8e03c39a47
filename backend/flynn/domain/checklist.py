"""The deployment checklist: items that a look at the files can decide, and the proof for each verdict."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class Verdict(StrEnum):
    """What came of a check. What the files alone cannot decide is not verifiable: nothing is guessed."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_VERIFIABLE = "not verifiable"


class Proof(BaseModel):
    """Why: one place, or the lack of one. `path` is relative to the root, None for the repository as such;
    `line` counts from 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    why: str
    path: str | None = None
    line: int | None = Field(default=None, ge=1)


class ChecklistItem(BaseModel):
    """One item with its verdict and everything that speaks for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    title: str
    verdict: Verdict
    proofs: tuple[Proof, ...]

    @classmethod
    def of(cls, id: str, title: str, proofs: Iterable[Proof]) -> Self:
        """Judge by `proofs`, of which there is at least one: one failure fails the item, and it passes only
        when nothing about it is left undecided.
        """
        given = tuple(proofs)
        if not given:
            raise ValueError(f"there is no proof for {id}")
        verdicts = {proof.verdict for proof in given}
        for verdict in (Verdict.FAILED, Verdict.NOT_VERIFIABLE):
            if verdict in verdicts:
                return cls(id=id, title=title, verdict=verdict, proofs=given)
        return cls(id=id, title=title, verdict=Verdict.PASSED, proofs=given)

    @property
    def failures(self) -> tuple[Proof, ...]:
        """The proofs that failed it."""
        return tuple(proof for proof in self.proofs if proof.verdict is Verdict.FAILED)


def passed(why: str, path: str | None = None, line: int | None = None) -> Proof:
    """A proof that speaks for the item."""
    return Proof(verdict=Verdict.PASSED, why=why, path=path, line=line)


def failed(why: str, path: str | None = None, line: int | None = None) -> Proof:
    """A proof that speaks against it."""
    return Proof(verdict=Verdict.FAILED, why=why, path=path, line=line)


def undecided(why: str, path: str | None = None, line: int | None = None) -> Proof:
    """What the files do not say."""
    return Proof(verdict=Verdict.NOT_VERIFIABLE, why=why, path=path, line=line)
