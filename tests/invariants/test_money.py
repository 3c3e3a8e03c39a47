"""Money is bounded: a run that reaches a limit waits, says why, and goes on when the limit is raised."""

from pathlib import Path

import pytest

from flynn.domain import events as ev
from flynn.domain.orders import BudgetOrder
from flynn.domain.run import Limits, RunState
from tests.house import LIMITS, open_house

SCRIPT = """
name: reads
turns:
  - blocks: [{tool: Glob, input: {pattern: "*"}}]
  - blocks: [{text: Done.}]
"""

CASES = [
    ("turns", Limits(turns=1, nanodollars=LIMITS.nanodollars, prompt_tokens=95_000), BudgetOrder(turns=5), 1),
    ("dollars", Limits(turns=9, nanodollars=1_000, prompt_tokens=95_000), BudgetOrder(dollars=1), 0),
    (
        "context",
        Limits(turns=9, nanodollars=LIMITS.nanodollars, prompt_tokens=10),
        BudgetOrder(prompt_tokens=95_000),
        0,
    ),
]


@pytest.mark.parametrize(("reason", "limits", "order", "steps"), CASES, ids=[c[0] for c in CASES])
async def test_a_limit_makes_the_run_wait_until_it_is_raised(
    tmp_path: Path, reason: str, limits: Limits, order: BudgetOrder, steps: int
) -> None:
    async with open_house(tmp_path, SCRIPT, limits=limits) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Look.")
        await house.work()
        view = await house.views.conversation(house.owner, conversation.id)
        assert view.run is not None
        assert (view.run.state, view.run.reason, view.run.turns) == (RunState.WAITING, reason, steps)
        await house.intake.raise_budget(house.owner, conversation.id, order)
        await house.work()
        log = await house.log(conversation.id)
        assert log[-1].event.type == "run.completed"
        started = [r.event for r in log if isinstance(r.event, ev.StepStarted)]
        done = [r.event for r in log if isinstance(r.event, ev.StepCompleted)]
        assert len(done) == 2
        assert all(s.reserved_nanodollars >= d.nanodollars for s, d in zip(started, done, strict=True))
