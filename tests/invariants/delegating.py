"""Tasks that are delegated to a house and done there, and git as a person beside it uses it."""

import subprocess
from pathlib import Path
from typing import Any

from flynn.domain.orders import TaskOrder
from flynn.domain.report import Evidence
from flynn.domain.views import TaskView
from tests.house import House


def git(tree: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-c", "protocol.file.allow=always", *words],
        cwd=tree,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


async def delegate(house: House, words: str, **more: Any) -> TaskView:
    """A task that waits."""
    order = TaskOrder.model_validate({"instructions": words, "workspace": "house", "title": "A task", **more})
    task, _ = await house.intake.delegate_task(house.owner, order, idempotency_key=None)
    return task


async def done(house: House, words: str, **more: Any) -> TaskView:
    """A task that was worked on."""
    task = await delegate(house, words, **more)
    await house.work()
    return await house.views.task(house.owner, task.id)


def evidence(task: TaskView) -> Evidence:
    """That of its report."""
    assert task.report is not None
    return task.report.evidence
