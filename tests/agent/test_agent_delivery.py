"""What the log says of branch and commits: each commit once, and whether anything was left behind."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from flynn.agent.delivery import delivery, is_left
from flynn.domain import events as ev
from flynn.domain.evidence import JobStarted
from flynn.domain.report import HandOver, ReportedCommit
from flynn.domain.tool_result import Outcome

MADE = ev.CheckoutMade(branch="topic", base="0", existing=False)
STARTED = ev.ToolStarted(step=1, call_id="c1", tool="Bash", input={"command": "make"})
ENDED = ev.ToolFinished(step=1, call_id="c1", tool="Bash", outcome=Outcome.OK, content=[])
CHANGED = ev.WorkspaceChanged(step=1, call_id="c1", tool="Bash", before="s1", after="s2")
JOB = ENDED.model_copy(update={"evidence": [JobStarted(task_id="j", command="make", cwd=".")]})


def log(*events: ev.EventData) -> list[ev.Recorded]:
    return [
        ev.Recorded(conversation_id=UUID(int=1), seq=seq, at=datetime.now(UTC), run_id=None, event=event)
        for seq, event in enumerate(events, 1)
    ]


def committed(outcome: HandOver, *shas: str, more: int = 0) -> ev.TaskCommitted:
    commits = [ReportedCommit(sha=sha, subject="s", files=1) for sha in shas]
    head = shas[-1] if shas else "0"
    return ev.TaskCommitted(branch="topic", base="0", head=head, commits=commits, more=more, outcome=outcome)


def told(*events: ev.EventData) -> tuple[list[str], int, Any]:
    found = delivery(log(MADE, *events))
    return [commit.sha for commit in found["commits"]], found["more_commits"], found["handed_over"]


def test_commits_beyond_those_told_one_by_one_are_counted() -> None:
    assert told(committed("updated", "b", "c", more=1)) == (["b", "c"], 1, "updated")
    # Hand-overs that the branch took add up.
    assert told(committed("updated", "b", more=1), committed("updated", "f", more=3)) == (
        ["b", "f"],
        4,
        "updated",
    )


def test_a_hand_over_that_is_tried_again_tells_of_the_same_commits() -> None:
    assert told(committed("kept", "b", "c", more=1), committed("updated", "c", "d", more=2)) == (
        ["c", "d"],
        2,
        "updated",
    )
    # One that was amended in between is not there any more.
    assert told(committed("diverged", "a", "b"), committed("diverged", "a", "c")) == (
        ["a", "c"],
        0,
        "diverged",
    )
    # A worker was lost after it had told of the commits, before the checkout's note knew of that.
    assert told(committed("updated", "a", more=5), committed("updated", "a", "b", more=5)) == (
        ["a", "b"],
        5,
        "updated",
    )
    # What another checkout is told of is something else.
    again = MADE.model_copy(update={"again": True})
    assert told(committed("kept", "a", more=1), again, committed("updated", "b"))[:2] == (["a", "b"], 1)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([STARTED], id="its worker was lost in a call"),
        pytest.param([STARTED, ENDED, CHANGED], id="between calls"),
        pytest.param([STARTED, JOB], id="with a job"),
        pytest.param([committed("updated", "a"), STARTED, ENDED, CHANGED], id="after a hand-over"),
        pytest.param([committed("kept", "a"), STARTED], id="after one that kept the commits"),
    ],
)
def test_what_no_hand_over_has_seen_is_said_to_be_in_the_checkout(events: list[ev.EventData]) -> None:
    assert is_left(log(MADE, *events))
    found = delivery(log(MADE, *events))
    assert found["handed_over"] == "left"
    assert found["hand_over_detail"].endswith(
        "is in the task's checkout only; the next words to the task hand it over."
    )


def test_what_was_said_of_earlier_commits_stays_true() -> None:
    kept = committed("kept", "a").model_copy(update={"detail": "They are kept elsewhere."})
    said = delivery(log(MADE, kept, STARTED))["hand_over_detail"]
    assert said.startswith("They are kept elsewhere. What it had changed since the last hand-over is in")


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([MADE], id="no call was made"),
        pytest.param([MADE, STARTED, ENDED], id="it changed nothing"),
        pytest.param([MADE, STARTED, JOB, CHANGED, committed("unchanged")], id="all was seen"),
        pytest.param([MADE, CHANGED, MADE.model_copy(update={"again": True})], id="a new checkout"),
        pytest.param([STARTED, ENDED, CHANGED], id="no checkout"),
        pytest.param(
            [MADE, ev.CheckoutSkipped(code="no-repository", detail="It broke."), STARTED, CHANGED],
            id="the workspace itself",
        ),
    ],
)
def test_nothing_is_said_to_be_left_where_nothing_is(events: list[ev.EventData]) -> None:
    assert not is_left(log(*events))
    assert delivery(log(*events)).get("handed_over") in (None, "unchanged")
