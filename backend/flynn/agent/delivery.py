"""Delivery: what the log says about a task's checkout, its branch and its commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from flynn.domain import events as ev
from flynn.domain.evidence import JobStarted
from flynn.domain.report import Delivered, ReportedCommit

LEFT: Final = "What it had changed since the last hand-over is in the task's checkout only"
"""What is said of a task that ended without a hand-over of what it may have changed."""
_NEXT: Final = "; the next words to the task hand it over."


@dataclass(slots=True)
class _Told:
    """What one hand-over told of: its last commit, those told of one by one, and how many others."""

    head: str
    commits: dict[str, ReportedCommit]
    more: int
    settled: bool


class _Commits:
    """The commits of all hand-overs. One that was tried again tells of the earlier try's commits too."""

    def __init__(self) -> None:
        self._told: list[_Told] = []

    def take(self, handed: ev.TaskCommitted) -> None:
        if not handed.commits:
            return
        commits = {commit.sha: commit for commit in handed.commits}
        # Until the branch has them, each hand-over begins where the last one did.
        if self._told and (not self._told[-1].settled or self._told[-1].head in commits):
            self._told.pop()
        self._told.append(_Told(handed.head, commits, handed.more, handed.outcome == "updated"))

    def settle(self) -> None:
        """What comes from here on is of another checkout."""
        if self._told:
            self._told[-1].settled = True

    def fields(self) -> dict[str, Any]:
        commits: dict[str, ReportedCommit] = {}
        for told in self._told:
            commits |= told.commits
        return {"commits": list(commits.values()), "more_commits": sum(told.more for told in self._told)}


class _Rest:
    """Whether a task's checkout may hold what was not handed over."""

    def __init__(self) -> None:
        self.changed = False
        self.inside = False
        """Whether the task works in its checkout."""
        self._open: set[str] = set()

    @property
    def there(self) -> bool:
        """A call without an end may have changed something: its worker was lost."""
        return self.changed or bool(self._open)

    def take(self, event: ev.EventData) -> None:
        match event:
            case ev.CheckoutMade():
                self.inside = True
                if event.again:
                    self._clear()
            case ev.CheckoutSkipped():
                self.inside = False
            case ev.TaskCommitted():
                self._clear()
            case ev.ToolStarted() if self.inside:
                self._open.add(event.call_id)
            case ev.ToolFinished():
                self._open.discard(event.call_id)
                # What a job does after that is told only by a worker that lives to see its end.
                self.changed |= self.inside and any(isinstance(item, JobStarted) for item in event.evidence)
            case ev.WorkspaceChanged() if self.inside:
                self.changed = True
            case _:
                pass

    def _clear(self) -> None:
        self.changed = False
        self._open.clear()


def is_left(log: Sequence[ev.Recorded]) -> bool:
    """Whether the task's checkout may hold what no hand-over in `log`, its whole log, has seen."""
    rest = _Rest()
    for recorded in log:
        rest.take(recorded.event)
    return rest.there


def delivery(log: Sequence[ev.Recorded]) -> dict[str, Any]:
    """The fields of a report's evidence that tell of branch and commits; none without a checkout.

    A commit is told of once, also when it was handed over in several tries.
    """
    branch = base = detail = None
    outcome: Delivered | None = None
    commits, rest = _Commits(), _Rest()
    for recorded in log:
        rest.take(recorded.event)
        match recorded.event:
            case ev.CheckoutMade() as made:
                branch, base = made.branch, base or made.base
                commits.settle()
            case ev.CheckoutSkipped() as skipped:
                detail = skipped.detail
            case ev.TaskCommitted() as handed:
                commits.take(handed)
                if handed.outcome != "unchanged" or outcome is None:
                    outcome, detail = handed.outcome, handed.detail
            case _:
                pass
    if branch is None:
        return {"hand_over_detail": detail}
    if rest.there:
        said = f"{LEFT}{_NEXT if rest.inside else '.'}"
        # What is there besides, at a reference of its own, say, is still true.
        outcome, detail = "left", f"{detail} {said}" if detail else said
    return {
        "branch": branch,
        "base": base,
        **commits.fields(),
        "handed_over": outcome,
        "hand_over_detail": detail,
    }
