"""Undo on the page: offered where there is something to undo, told what came of it, reached by keyboard."""

import asyncio
import re

import httpx2
import pytest
from playwright.async_api import expect

from tests.page.journey import conversation, say
from tests.page.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.needs("browser", "bubblewrap")]

CALL = re.compile("^Undo (Read|Edit|Write)")
"""The button that takes one call back."""

SCRIPT = r"""
name: slowly
match: go on
match_in: latest_message
turns:
  - blocks: [{ tool: Bash, input: { command: "until [ -e go ]; do sleep 0.1; done" } }]
  - blocks: [{ text: "Went on." }]
---
name: commands
match: run commands
turns:
  - blocks: [{ tool: Bash, input: { command: "sed -i s/red/blue/ config.txt" } }]
  - blocks: [{ tool: Bash, input: { command: "echo made > made.txt" } }]
  - blocks: [{ text: "All run." }]
---
name: work
match: change it
turns:
  - blocks: [{ tool: Read, input: { file_path: config.txt } }]
  - blocks:
      - { tool: Edit, input: { file_path: config.txt, old_string: red, new_string: blue } }
      - { tool: Write, input: { file_path: made/new.txt, content: "alpha\n" } }
  - blocks: [{ text: "All changed." }]
"""


async def test_an_undo_needs_no_model(stage: Stage) -> None:
    await asyncio.to_thread((stage.workspace / "config.txt").write_text, "colour: red\n")
    page = await stage.visit()
    await say(page, "change it")
    await expect(page.get_by_text("All changed.")).to_be_visible()
    await stage.kill()
    stage.settings["ANTHROPIC_API_KEY"] = ""
    await stage.start()
    edit = page.get_by_role("region", name="Edit config.txt")
    # The killed worker may have had the first run's job still: then a lease goes by before the undo's turn.
    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    await edit.get_by_role("button", name="Undo Edit config.txt").click()
    await expect(edit.get_by_role("status")).to_have_text(re.compile("^Undone by "), timeout=30_000)
    assert (stage.workspace / "config.txt").read_text() == "colour: red\n"
    async with httpx2.AsyncClient(base_url=stage.url) as http:
        parts = {part["name"]: part for part in (await http.get("/ready")).json()["parts"]}
    assert "key" in (parts["model"]["detail"] or "").lower()


async def test_a_change_is_undone_from_its_card(stage: Stage) -> None:
    config, made = stage.workspace / "config.txt", stage.workspace / "made"
    await asyncio.to_thread(config.write_bytes, b"colour: red\r\n")
    page = await stage.visit()
    await say(page, "change it")
    await expect(page.get_by_text("All changed.")).to_be_visible()
    read = page.get_by_role("region", name="Read config.txt")
    edit = page.get_by_role("region", name="Edit config.txt")
    write = page.get_by_role("region", name="Write made/new.txt")
    await expect(read.get_by_role("button", name=re.compile("^Undo"))).to_have_count(0)
    # By keyboard alone, and the focus stays at the card.
    await edit.get_by_role("button", name="Undo Edit config.txt").focus()
    await page.keyboard.press("Enter")
    await expect(edit.get_by_role("status")).to_have_text(re.compile("^Undone by "), timeout=30_000)
    await expect(edit.get_by_role("button", name=CALL)).to_have_count(0)
    # What came after it has changed the workspace, too: there is a way back to here.
    await expect(edit.get_by_role("button", name="Undo to here: Edit config.txt")).to_have_count(1)
    assert await edit.evaluate("card => card.contains(document.activeElement)")
    assert config.read_bytes() == b"colour: red\r\n"
    await expect(page.get_by_role("log").get_by_text("Undone: config.txt.")).to_be_visible()
    # What somebody else has written since is left alone, and the card says so.
    await asyncio.to_thread((made / "new.txt").write_text, "mine\n")
    await write.get_by_role("button", name="Undo Write made/new.txt").click()
    await expect(write.get_by_role("status")).to_contain_text("made/new.txt has changed since that call")
    assert (made / "new.txt").read_text() == "mine\n"
    # While the agent is at work none is offered; then it can be asked for again.
    await say(page, "go on")
    await expect(page.get_by_role("status").filter(has_text="At work…")).to_be_visible()
    await expect(write.get_by_role("button", name=re.compile("^Undo"))).to_have_count(0)
    await asyncio.to_thread((stage.workspace / "go").touch)
    await expect(page.get_by_text("Went on.")).to_be_visible()
    await asyncio.to_thread((made / "new.txt").write_text, "alpha\n")
    await write.get_by_role("button", name="Undo Write made/new.txt").click()
    await expect(write.get_by_role("status")).to_have_text(re.compile("^Undone by "), timeout=30_000)
    assert not made.exists()
    # A reload tells the same, from the log.
    await page.reload()
    await expect(page.get_by_text("Went on.")).to_be_visible()
    await expect(edit.get_by_role("status")).to_have_text(re.compile("^Undone by "), timeout=30_000)
    await expect(page.get_by_role("button", name=CALL)).to_have_count(0)
    reverted = [e for e in await stage.events(conversation(page)) if e["type"] == "workspace.reverted"]
    assert [e["data"]["refused"] is None for e in reverted] == [True, False, True]
    assert stage.complaints == []


async def test_what_a_command_changed_is_shown_and_taken_back(stage: Stage) -> None:
    config, made = stage.workspace / "config.txt", stage.workspace / "made.txt"
    await asyncio.to_thread(config.write_text, "colour: red\n")
    page = await stage.visit()
    await say(page, "run commands")
    await expect(page.get_by_text("All run.")).to_be_visible()
    first = page.get_by_role("region", name="Bash sed")
    second = page.get_by_role("region", name="Bash echo")
    changed = first.get_by_role("list", name="Files that Bash changed")
    await expect(changed).to_have_text(re.compile(r"config\.txt\s*\+1 −1"))
    await first.get_by_role("button", name="Show changes").click()
    shown = first.get_by_role("region", name="Changes of Bash")
    await expect(shown.get_by_text("colour: red")).to_be_visible()
    await expect(shown.get_by_text("colour: blue")).to_be_visible()
    await expect(second.get_by_role("button", name="Undo to here")).to_have_count(0)
    await first.get_by_role("button", name="Undo to here").click()
    await expect(first.get_by_role("status")).to_have_text(re.compile("^Brought back to here by "))
    assert not made.exists()
    assert config.read_text() == "colour: blue\n"
    await first.get_by_role("button", name="Undo Bash").click()
    await expect(first.get_by_role("status")).to_have_text(re.compile("^Undone by "))
    assert config.read_text() == "colour: red\n"
