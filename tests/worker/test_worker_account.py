"""The end of a task: its agent's account in a call of its own, the last look, and the report of both."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from flynn.domain import events as ev
from flynn.domain.claim import Judgement
from flynn.domain.orders import TaskOrder
from flynn.domain.report import Report
from flynn.domain.run import Limits, RunState
from flynn.simulator import Options
from tests.house import House, open_house

STRICT = Options(binding="strict", unproven="refuse")

SCRIPT = """
name: task
turns:
  - blocks: [{thinking: I write., }, {tool: Write, input: {file_path: run.sh, content: "#!/bin/sh\\necho $1\\n"}}]
  - blocks: [{tool: Bash, input: {command: "sh run.sh a && true", description: Try the script}}]
  - blocks: [{thinking: So., }, {text: It is written.}]
ACCOUNT
"""


def script(account: str = "") -> str:
    return SCRIPT.replace("ACCOUNT", account)


async def delegated(house: House, **more: Any) -> UUID:
    order = TaskOrder.model_validate({"instructions": "Write it.", "workspace": "house", **more})
    task, _ = await house.intake.delegate_task(house.owner, order, idempotency_key=None)
    return task.id


async def report_of(house: House, task_id: UUID) -> Report:
    task = await house.views.task(house.owner, task_id)
    assert task.state is RunState.COMPLETED, task.detail
    assert task.report is not None
    return task.report


async def test_smoke(tmp_path: Path) -> None:
    account = """
account:
  summary: It is written.
  files_changed: [run.sh, other.sh]
  verification: [{what: it runs, command: sh run.sh a, result: passed}, {what: tests, command: pytest -q, result: passed}]
  findings: none
"""
    async with open_house(tmp_path, script(account), options=STRICT) as house:
        task = await delegated(house, acceptance_criteria=["there is a script"])
        await house.work()
        report = await report_of(house, task)
        print(report.model_dump_json(indent=1))
        view = await house.views.task(house.owner, task)
        print(await house.types(view.conversation_id))
        for e in await house.log(view.conversation_id):
            if isinstance(e.event, ev.ToolFinished):
                print(e.event.content)
        assert 0
