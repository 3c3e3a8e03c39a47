"""After each Write and Edit the linters look at the file, and the model is told what is new."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flynn.domain import events as ev
from flynn.domain.evidence import Checked, FileChanged
from flynn.domain.orders import InterruptOrder
from flynn.sandbox.command import Command, Completed
from tests.house import House, open_house

pytestmark = pytest.mark.needs("bubblewrap")

OLD = "#!/bin/sh\necho $1\n"


def script(*turns: str) -> str:
    listed = "\n".join(f"  - blocks: [{turn}]" for turn in turns)
    return f"name: writes\nturns:\n{listed}\n  - blocks: [{{text: Done.}}]\n"


def write(path: str, content: str) -> str:
    return f'{{tool: Write, input: {{file_path: {path}, content: "{content}"}}}}'


def edit(old: str, new: str) -> str:
    return f'{{tool: Edit, input: {{file_path: run.sh, old_string: "{old}", new_string: "{new}"}}}}'


READ = "{tool: Read, input: {file_path: run.sh}}"


async def ends(house: House) -> list[ev.ToolFinished]:
    """How the calls of one conversation ended that is worked to its end."""
    chat = await house.converse()
    await house.say(chat.id, "Go on.")
    await house.work()
    log = await house.log(chat.id)
    assert log[-1].event.type == "run.completed", log[-1].event
    return [item.event for item in log if isinstance(item.event, ev.ToolFinished)]


def checked(event: ev.ToolFinished) -> Checked:
    (found,) = [item for item in event.evidence if isinstance(item, Checked)]
    return found


def told(event: ev.ToolFinished) -> str:
    return str(event.content[0]["content"])


async def test_a_finding_is_told_with_the_result_and_mended_in_the_run(tmp_path: Path) -> None:
    turns = script(write("run.sh", "#!/bin/sh\\necho $1\\n"), edit("$1", '\\"$1\\"'))
    async with open_house(tmp_path, turns) as house:
        first, second = await ends(house)
        assert checked(first).tools == ["shellcheck"]
        assert [(f.rule, f.line) for f in checked(first).new] == [("SC2086", 2)]
        assert told(first).splitlines()[1:] == [
            "Checks (shellcheck): 1 new finding.",
            "run.sh:2 note shellcheck SC2086: Double quote to prevent globbing and word splitting.",
        ]
        assert (checked(second).new, checked(second).old) == ([], 0)
        assert told(second).splitlines()[-1] == "Checks (shellcheck): no new finding."
        change = next(item for item in second.evidence if isinstance(item, FileChanged))
        assert checked(second).sha256 == change.after


async def test_what_was_there_before_is_told_from_what_is_new_wherever_it_moved(tmp_path: Path) -> None:
    turns = script(READ, edit("#!/bin/sh\\n", "#!/bin/sh\\n# one\\n# two\\ncd $2\\n"), edit("# one\\n", ""))
    async with open_house(tmp_path, turns) as house:
        (house.workspace / "run.sh").write_text(OLD)
        _, first, second = await ends(house)
        found = checked(first)
        assert {f.rule for f in found.new} == {"SC2086", "SC2164"}
        assert {f.line for f in found.new} == {4}
        assert found.old == 1
        assert found.known
        assert "new findings, 1 that was there before." in told(first)
        # The next change is held against what the one before left.
        assert (checked(second).new, checked(second).old) == ([], 3)
        assert "no new finding, 3 that were there before." in told(second)
        assert not any((tmp_path / "private" / "checks").iterdir())


async def test_a_configuration_of_the_workspace_counts_before_and_after(tmp_path: Path) -> None:
    turns = script(READ, edit("echo", "cd $2; echo"))
    async with open_house(tmp_path, turns) as house:
        (house.workspace / "run.sh").write_text(OLD)
        (house.workspace / ".shellcheckrc").write_text("disable=SC2164\n")
        _, event = await ends(house)
        assert {f.rule for f in checked(event).new} == {"SC2086"}


async def test_files_that_no_linter_takes_cost_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path, script(write("notes.txt", "hello\\n"))) as house:
        (event,) = await ends(house)
        assert [item.kind for item in event.evidence] == ["file_changed"]
        assert "Checks" not in told(event)


async def test_a_linter_that_does_not_end_never_fails_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flynn.agent.inspection.SECONDS", 0.5)
    async with open_house(tmp_path, script(write("run.sh", "#!/bin/sh\\necho $1\\n"))) as house:
        box = Slow(house.sandbox)
        house.runner.workplace._sandbox = box
        (event,) = await ends(house)
        assert event.outcome == "ok"
        assert (house.workspace / "run.sh").read_text() == "#!/bin/sh\necho $1\n"
        assert "not checked: shellcheck: it did not come to an end" in told(event)
        assert checked(event).tools == []


async def test_a_stop_ends_the_look_and_not_what_the_call_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flynn.agent.inspection.SECONDS", 60.0)
    async with open_house(tmp_path, script(write("run.sh", "#!/bin/sh\\necho $1\\n"))) as house:
        box = Slow(house.sandbox)
        house.runner.workplace._sandbox = box
        chat = await house.converse()
        await house.say(chat.id, "Go on.")
        worker = await house.start_work()
        async with asyncio.timeout(60):
            await box.begun.wait()
        await house.intake.interrupt(house.owner, chat.id, InterruptOrder())
        async with asyncio.timeout(30):
            await worker
        log = await house.log(chat.id)
        (event,) = [item.event for item in log if isinstance(item.event, ev.ToolFinished)]
        assert log[-1].event.type == "run.cancelled"
        assert event.outcome == "ok"
        assert [item.kind for item in event.evidence] == ["file_changed"]


class Slow:
    """The house's sandbox, in which every linter sleeps instead."""

    def __init__(self, sandbox: Any) -> None:
        self._sandbox = sandbox
        self.report = sandbox.report
        self.begun = asyncio.Event()

    async def run(self, command: Command, on_output: Any = None) -> Completed:
        self.begun.set()
        done: Completed = await self._sandbox.run(replace(command, argv=("/bin/sleep", "60")), on_output)
        return done
