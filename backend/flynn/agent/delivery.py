"""Delivery: what the log says about a task's checkout, its branch and its commits."""

from collections.abc import Sequence
from typing import Any

from flynn.domain import events as ev
from flynn.domain.report import ReportedCommit


def delivery(log: Sequence[ev.Recorded]) -> dict[str, Any]:
    """The fields of a report's evidence that tell of branch and commits; none without a checkout.

    A commit is told of once, also when it was handed over in several tries.
    """
    branch = base = outcome = detail = None
    commits: dict[str, ReportedCommit] = {}
    for recorded in log:
        match recorded.event:
            case ev.CheckoutMade() as made:
                branch, base = made.branch, base or made.base
            case ev.CheckoutSkipped() as skipped:
                detail = skipped.detail
            case ev.TaskCommitted() as handed:
                commits |= {commit.sha: commit for commit in handed.commits}
                if handed.outcome != "unchanged" or outcome is None:
                    outcome, detail = handed.outcome, handed.detail
            case _:
                pass
    if branch is None:
        return {"hand_over_detail": detail}
    return {
        "branch": branch,
        "base": base,
        "commits": list(commits.values()),
        "handed_over": outcome,
        "hand_over_detail": detail,
    }
