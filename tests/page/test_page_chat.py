"""A chat on the page: the first visit, steering, stopping, two windows, a network or service that goes."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.page.journey import begin, card, conversation, say
from tests.page.stage import Stage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("browser", "bubblewrap"),
    pytest.mark.xdist_group("page-chat"),
    pytest.mark.asyncio(loop_scope="module"),
]

SCRIPT = r"""
name: work
match: do the work
turns:
  - blocks:
      - text: "I'll **look** first."
      - tool: Bash
        input: { command: "echo one; echo two", description: Say two lines }
      - { tool: Write, input: { file_path: notes.txt, content: "alpha\nbeta\n" } }
  - blocks: [{ tool: Edit, input: { file_path: notes.txt, old_string: beta, new_string: gamma } }]
  - blocks: [{ text: "All done: `notes.txt` says gamma." }]
---
name: long
match: take long
turns:
  - blocks: [{ tool: Bash, input: { command: "printf 'begun \\033[31mred\\033[0m\\n'; sleep 300" } }]
  - blocks: [{ text: "It ended." }]
---
name: steps
match: in two steps
turns:
  - blocks: [{ tool: Bash, input: { command: "echo first; until [ -e go ]; do sleep 0.1; done" } }]
  - blocks: [{ text: "That was the second step." }]
---
name: slow
match: count slowly
turns:
  - pacing: { tokens_per_second: 10 }
    blocks:
      - text: >-
          one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
          seventeen eighteen nineteen twenty, and that is all of them.
  - blocks: [{ text: "Heard." }]
"""


async def test_a_first_visit_a_message_and_its_cards(open_stage: Stage, visitor: Page) -> None:
    await expect(visitor.get_by_role("status").filter(has_text="Live")).to_be_visible()
    assert "key=" not in visitor.url
    assert "key=" not in await visitor.evaluate("document.referrer + history.length + location.href")
    await say(visitor, "please do the work")
    await expect(visitor.get_by_text("All done:")).to_be_visible()
    log = visitor.get_by_role("log")
    await expect(log.get_by_text("please do the work")).to_have_count(1)
    await expect(log.locator("strong", has_text="look")).to_be_visible()
    await expect(card(visitor, "Bash Say two lines")).to_contain_text("exit 0")
    await expect(visitor.get_by_role("region", name="Output of Bash")).to_contain_text("two")
    edit = card(visitor, "Edit notes.txt")
    await expect(edit).to_contain_text("+1 −1")
    await expect(edit.locator("tr.minus")).to_contain_text("beta")
    await expect(edit.locator("tr.plus")).to_contain_text("gamma")
    await expect(log.locator(".cost").last).to_have_text(re.compile(r"^\$0\.\d{4}, \d+ % cached"))
    assert (open_stage.workspace / "notes.txt").read_text() == "alpha\ngamma\n"
    # The service named it by its first words, for every client.
    await expect(visitor.get_by_role("heading", name="please do the work")).to_be_visible()
    await expect(visitor).to_have_title("please do the work · Flynn")
    # A reload shows the same, from the log.
    before = await log.inner_text()
    await visitor.reload()
    await expect(visitor.get_by_text("All done:")).to_be_visible()
    assert await log.inner_text() == before


async def test_esc_stops_what_runs(open_stage: Stage, visitor: Page) -> None:
    await begin(visitor, "take long")
    await expect(card(visitor, "Bash")).to_contain_text("begun")
    await expect(visitor.locator(".ansi-red")).to_have_text("red")
    await expect(card(visitor, "Bash")).to_contain_text(re.compile(r"running… \d"))
    await expect(visitor.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    await visitor.keyboard.press("Escape")
    await expect(visitor.get_by_text(re.compile("Stopped by"))).to_be_visible()
    await expect(card(visitor, "Bash")).to_contain_text("stopped")
    types = [event["type"] for event in await open_stage.events(conversation(visitor))]
    assert types[-1] == "run.cancelled"


async def test_words_sent_during_the_work_join_at_the_next_step(open_stage: Stage, visitor: Page) -> None:
    await begin(visitor, "in two steps")
    await expect(card(visitor, "Bash")).to_contain_text("first")
    await expect(
        visitor.get_by_text("What you send joins at the next step. Esc stops the run")
    ).to_be_visible()
    await say(visitor, "and be quick about it")
    late = visitor.get_by_role("article").filter(has_text="and be quick about it")
    await expect(late).to_contain_text("joins at the next step")
    (open_stage.workspace / "go").touch()
    await expect(visitor.get_by_text("That was the second step.")).to_be_visible()
    await expect(late).not_to_contain_text("joins at the next step")
    entries = await visitor.get_by_role("log").locator("> *").all_inner_texts()
    words = ("in two steps", "first", "and be quick", "the second step")
    order = [next(i for i, entry in enumerate(entries) if part in entry) for part in words]
    assert order == sorted(order)
    events = await open_stage.events(conversation(visitor))
    (late_seq,) = [e["seq"] for e in events if e["type"] == "message.sent" and "quick" in e["data"]["text"]]
    manifests = [e["data"]["input_seqs"] for e in events if e["type"] == "step.started"]
    assert [late_seq in manifest for manifest in manifests] == [False, True]


async def test_two_windows_of_a_conversation_stay_equal(open_stage: Stage, visitor: Page) -> None:
    await begin(visitor, "take long")
    await expect(card(visitor, "Bash")).to_contain_text("begun")
    other = await open_stage.visit(f"{open_stage.address}#/c/{conversation(visitor)}")
    await expect(card(other, "Bash")).to_contain_text("begun")
    await say(other, "from the other window")
    for page in (visitor, other):
        await expect(page.get_by_role("log").get_by_text("from the other window")).to_have_count(1)
    await visitor.get_by_role("button", name="Stop", exact=True).click()
    for page in (visitor, other):
        await expect(page.get_by_text(re.compile("Stopped by"))).to_be_visible()
        await expect(page.get_by_text("not read: the run had ended")).to_be_visible()
    assert await visitor.get_by_role("log").inner_text() == await other.get_by_role("log").inner_text()


async def test_a_network_that_goes_and_comes_back(open_stage: Stage, visitor: Page) -> None:
    await begin(visitor, "count slowly")
    await expect(visitor.get_by_text(re.compile("one two"))).to_be_visible()
    await visitor.context.set_offline(True)
    state = visitor.get_by_role("status").filter(has_text="Reconnecting")
    await expect(state).to_contain_text("This device is offline.")
    await say(visitor, "are you there?")
    await expect(visitor.get_by_text("Sending…")).to_be_visible()
    await visitor.context.set_offline(False)
    await expect(visitor.get_by_role("status").filter(has_text="Live")).to_be_visible()
    await expect(visitor.get_by_text("Sending…")).to_have_count(0)
    await expect(visitor.get_by_text(re.compile("that is all of them"))).to_have_count(1)
    await expect(visitor.get_by_role("log").get_by_text("are you there?")).to_have_count(1)


async def test_a_killed_service_loses_and_doubles_nothing(open_stage: Stage, visitor: Page) -> None:
    await begin(visitor, "count slowly")
    await expect(visitor.get_by_text(re.compile("one two three four"))).to_be_visible()
    await open_stage.kill()
    state = visitor.get_by_role("status").filter(has_text="Reconnecting")
    await expect(state).to_contain_text(re.compile("The (service does not answer|connection broke)"))
    await say(visitor, "are you there?")
    await expect(visitor.get_by_text("Sending…")).to_be_visible()
    await open_stage.start()
    await expect(visitor.get_by_text(re.compile("that is all of them"))).to_be_visible(timeout=60_000)
    await expect(visitor.get_by_text("Sending…")).to_have_count(0)
    events = await open_stage.events(conversation(visitor))
    said = [e["data"]["text"] for e in events if e["type"] == "message.sent"]
    assert said == ["count slowly", "are you there?"]
    await expect(visitor.get_by_role("log").get_by_text("are you there?")).to_have_count(1)
    await expect(visitor.get_by_text(re.compile("one two three four"))).to_have_count(1)


async def test_a_wrong_key_is_named_and_another_can_be_given(open_stage: Stage, visitor: Page) -> None:
    page = await open_stage.visit(f"{open_stage.url}/?key=fly_wrong")
    await expect(page.get_by_role("alert")).to_contain_text("not known here")
    await page.get_by_label("Key").fill(open_stage.key)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    # A conversation that is not there, or not for this key, is named; the page goes on.
    await visitor.goto(f"{open_stage.url}/#/c/00000000-0000-4000-8000-000000000000")
    await expect(visitor.get_by_role("alert")).to_contain_text("There is no conversation 00000000")
    await begin(visitor, "please do the work")
