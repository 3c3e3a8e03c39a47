"""A brief: what a task's agent is told beside its instructions."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from flynn.domain.report import Report

LONGEST_ACCOUNT = 6_000
"""Characters that are handed on of what an earlier task's agent said."""

MOST_FILES = 100
"""Files that are named of those an earlier task changed."""


@dataclass(frozen=True, slots=True)
class EarlierTask:
    """What is handed on of a task that is over: what the log proves of it, and its agent's account."""

    id: UUID
    title: str | None
    state: str
    files: Sequence[str]
    prose: str

    @classmethod
    def of(cls, report: Report, title: str | None) -> "EarlierTask":
        """The part of a report that the next one needs."""
        files = [file.path for file in report.evidence.files]
        more = len(files) - MOST_FILES
        prose = report.prose.strip()
        return cls(
            id=report.task_id,
            title=title,
            state=report.state,
            files=[*files[:MOST_FILES], *([f"and {more} more"] if more > 0 else [])],
            prose=prose if len(prose) <= LONGEST_ACCOUNT else prose[:LONGEST_ACCOUNT] + " […]",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """Acceptance criteria, and what belongs to the task: files, links, earlier tasks."""

    criteria: Sequence[str] = ()
    files: Sequence[str] = ()
    links: Sequence[str] = ()
    earlier: Sequence[EarlierTask] = ()

    def __bool__(self) -> bool:
        return bool(self.criteria or self.files or self.links or self.earlier)
