"""The page for everybody: without a mouse, on a narrow screen, in both schemes, by WCAG 2.1 AA."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.page.journey import SCHEMES, begin, card, focused, say, tab_to, violations
from tests.page.stage import Stage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("browser", "bubblewrap"),
    pytest.mark.xdist_group("page-access"),
    pytest.mark.asyncio(loop_scope="module"),
]

SETTINGS = {"FLYNN_RUN_MAX_TURNS": "3"}


SCRIPT = r"""
name: work
match: do the work
turns:
  - blocks:
      - text: |
          # Head

          See [here](https://example.com) and `code`.

          | a | b |
          |---|---|
          | 1 | 2 |

          - [x] done

          > quoted

          ```sh
          ls
          ```
      - tool: Bash
        input:
          command: >-
            printf '\033[31mred \033[32mgreen \033[33myellow \033[34mblue \033[35mpink \033[90mgrey\033[0m\n';
            exit 1
      - { tool: Write, input: { file_path: notes.txt, content: "alpha\nbeta\n" } }
      - { tool: Glob, input: { pattern: "*.txt" } }
      - { tool: Grep, input: { pattern: "a", output_mode: content } }
  - blocks:
      - { tool: Edit, input: { file_path: notes.txt, old_string: beta, new_string: gamma } }
      - { tool: Read, input: { file_path: notes.txt } }
  - blocks: [{ text: "All done." }]
---
name: ask
match: ask first
turns:
  - blocks:
      - { tool: Write, input: { file_path: one.txt, content: "one\n" } }
  - blocks: [{ text: "It is written." }]
---
name: long
match: take long
turns:
  - blocks: [{ tool: Bash, input: { command: "echo begun; sleep 300" } }]
---
name: many
match: many turns
loop: true
turns:
  - blocks: [{ tool: Bash, input: { command: "echo again" } }]
"""


async def test_a_whole_journey_without_a_mouse(open_stage: Stage, visitor: Page) -> None:
    await expect(visitor.get_by_role("status").filter(has_text="Live")).to_be_visible()
    keyboard = visitor.keyboard
    # Into the field for words, past the list.
    await keyboard.press("Tab")
    assert await focused(visitor) == "Skip to the message field"
    await keyboard.press("Enter")
    assert await focused(visitor) == "Message"
    # Begin a conversation in which all that acts needs a yes.
    await tab_to(visitor, "Permission", back=True)
    await keyboard.press("ArrowDown")
    await keyboard.press("ArrowDown")
    await expect(visitor.get_by_label("Permission")).to_have_value("ask")
    await tab_to(visitor, "Message")
    await keyboard.type("ask first")
    await keyboard.press("Enter")
    # Say yes.
    await expect(visitor.get_by_text("Waiting for a yes.")).to_be_visible()
    assert await focused(visitor) == "Message"
    await tab_to(visitor, "Show what is asked", back=True)
    await keyboard.press("Enter")
    assert await focused(visitor) == "Allow"
    await keyboard.press("Enter")
    await expect(visitor.get_by_text("It is written.")).to_be_visible()
    assert (open_stage.workspace / "one.txt").read_text() == "one\n"
    # Move to the card, close it and open it.
    head = card(visitor, "Write one.txt").locator(".head")
    await expect(head).to_be_focused()
    await keyboard.press("Enter")
    await expect(head).to_have_attribute("aria-expanded", "false")
    await keyboard.press(" ")
    await expect(head).to_have_attribute("aria-expanded", "true")
    # Another conversation, and stop it.
    await keyboard.press("Control+k")
    assert await focused(visitor) == "Message"
    await keyboard.type("take long")
    await keyboard.press("Enter")
    await expect(card(visitor, "Bash")).to_contain_text("begun")
    await keyboard.press("Escape")
    await expect(visitor.get_by_text(re.compile("Stopped by"))).to_be_visible()
    # From card to card, and back to the first conversation.
    await begin(visitor, "do the work")
    await expect(visitor.get_by_text("All done.")).to_be_visible()
    await tab_to(visitor, "Transcript", back=True)
    for key, name in (
        ("k", "Read"),
        ("k", "Edit"),
        ("j", "Read"),
        ("k", "Edit"),
        ("k", "Grep"),
        ("k", "Glob"),
    ):
        await keyboard.press(key)
        assert (await focused(visitor)).startswith(name)
    await keyboard.press("Enter")
    await expect(card(visitor, "Glob").locator(".path")).to_have_text(["notes.txt", "one.txt"])
    await keyboard.press("Alt+ArrowDown")
    await expect(visitor.get_by_role("heading", name="take long")).to_be_visible()
    await keyboard.press("Alt+ArrowDown")
    await expect(visitor.get_by_role("heading", name="ask first")).to_be_visible()
    await keyboard.press("Alt+ArrowUp")
    await expect(visitor.get_by_role("heading", name="take long")).to_be_visible()


async def test_letters_in_a_field_are_letters(visitor: Page) -> None:
    await visitor.get_by_label("Message").press_sequentially("jk and more")
    await expect(visitor.get_by_label("Message")).to_have_value("jk and more")
    await visitor.get_by_label("Message").press("Shift+Enter")
    await expect(visitor.get_by_label("Message")).to_have_value("jk and more\n")


async def in_both_schemes(page: Page, where: str) -> None:
    """Nothing of what is seen goes against WCAG 2.1 AA."""
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert await violations(page) == [], f"{where}, {scheme}"


async def test_every_view_passes_axe(open_stage: Stage, visitor: Page) -> None:
    bare = await open_stage.visit(open_stage.url)
    await expect(bare.get_by_label("Key")).to_be_visible()
    await in_both_schemes(bare, "the gate")
    await bare.get_by_label("Key").fill("fly_wrong")
    await bare.keyboard.press("Enter")
    await expect(bare.get_by_role("alert")).to_be_visible()
    await in_both_schemes(bare, "the gate, refused")
    await bare.close()

    await in_both_schemes(visitor, "a beginning")
    await visitor.get_by_text("Keyboard", exact=True).click()
    await begin(visitor, "do the work")
    await expect(visitor.get_by_text("All done.")).to_be_visible()
    while await (closed := visitor.locator(".card .head[aria-expanded=false]")).count():
        await closed.first.click()
    await in_both_schemes(visitor, "all cards")


async def test_every_state_passes_axe(open_stage: Stage, visitor: Page) -> None:
    await begin(visitor, "take long")
    await expect(card(visitor, "Bash")).to_contain_text("begun")
    await say(visitor, "late words")
    await expect(visitor.get_by_text("joins at the next step", exact=True)).to_be_visible()
    await in_both_schemes(visitor, "at work")
    await visitor.keyboard.press("Escape")
    await expect(visitor.get_by_text(re.compile("Stopped by"))).to_be_visible()
    await in_both_schemes(visitor, "stopped")

    await begin(visitor, "many turns")
    await expect(visitor.get_by_label("Turns in all")).to_have_value("6")
    await in_both_schemes(visitor, "out of turns")

    await visitor.keyboard.press("Control+k")
    await visitor.get_by_label("Permission").select_option("ask")
    await say(visitor, "ask first")
    await expect(visitor.get_by_role("button", name="Allow")).to_be_visible()
    await in_both_schemes(visitor, "a yes is needed")

    async with open_stage.http() as http:
        order = {"instructions": "do the work", "title": "A task"}
        task = (await http.post("/api/v1/tasks", json=order)).json()
    await visitor.goto(f"{open_stage.url}/#/c/{task['conversation_id']}")
    await visitor.get_by_text("In the agent's own words").click()
    await in_both_schemes(visitor, "a report")

    await visitor.goto(f"{open_stage.url}/#/c/00000000-0000-4000-8000-000000000000")
    await expect(visitor.get_by_role("alert")).to_be_visible()
    await in_both_schemes(visitor, "no such conversation")
    await visitor.context.set_offline(True)
    await expect(visitor.get_by_role("status").filter(has_text="Reconnecting")).to_be_visible()
    await in_both_schemes(visitor, "away")
    await visitor.context.set_offline(False)
    await expect(visitor.get_by_role("status").filter(has_text="Live")).to_be_visible()


async def test_a_narrow_screen_shows_all_of_it(open_stage: Stage, visitor: Page) -> None:
    await visitor.set_viewport_size({"width": 375, "height": 740})
    await begin(visitor, "do the work")
    await expect(visitor.get_by_text("All done.")).to_be_visible()
    while await (closed := visitor.locator(".card .head[aria-expanded=false]")).count():
        await closed.first.click()
    assert await visitor.evaluate("document.documentElement.scrollWidth") == 375
    beyond = await visitor.evaluate(
        """() => [...document.querySelectorAll(".main *")]
          .filter((e) => !e.closest(".scroll, .code pre, .hidden") && e.getBoundingClientRect().right > 376)
          .map((e) => e.outerHTML.slice(0, 200))"""
    )
    assert beyond == []
    await expect(visitor.locator(".entry").first).to_be_hidden()
    await visitor.get_by_role("button", name="Conversations").click()
    await expect(visitor.locator(".entry").first).to_be_visible()
    await in_both_schemes(visitor, "narrow, the list open")
    await visitor.locator(".entry").last.click()
    await expect(visitor.locator(".entry").first).to_be_hidden()
    await in_both_schemes(visitor, "narrow")
    # Head, menu and field leave most of the screen to the words.
    words = await visitor.get_by_role("log").bounding_box()
    assert words is not None
    assert words["height"] > 0.6 * 740
    await expect(visitor.get_by_role("button", name="Operations")).to_be_visible()
    # WCAG 1.4.10: the same at a zoom of 400 per cent of 1280 pixels.
    await visitor.set_viewport_size({"width": 320, "height": 512})
    assert await visitor.evaluate("document.documentElement.scrollWidth") == 320
    await expect(visitor.get_by_label("Message")).to_be_in_viewport()


async def test_the_theme_is_the_systems_until_somebody_chooses(visitor: Page) -> None:
    async def ground() -> str:
        colour: str = await visitor.evaluate("getComputedStyle(document.body).backgroundColor")
        return colour

    await visitor.emulate_media(color_scheme="light")
    light = await ground()
    await visitor.emulate_media(color_scheme="dark")
    dark = await ground()
    assert light != dark
    await visitor.get_by_role("button", name="Theme: system. Switch to dark.").click()
    await visitor.emulate_media(color_scheme="light")
    assert await ground() == dark
    await visitor.reload()
    assert await ground() == dark
    await visitor.get_by_role("button", name="Theme: dark. Switch to light.").click()
    assert await ground() == light


async def test_nothing_moves_for_who_wants_no_motion(visitor: Page) -> None:
    await visitor.emulate_media(reduced_motion="reduce")
    await begin(visitor, "take long")
    await expect(card(visitor, "Bash")).to_contain_text("begun")
    moving = """() => document.getAnimations().filter((a) => a.playState === "running").length"""
    assert await visitor.evaluate(moving) == 0
    await visitor.emulate_media(reduced_motion="no-preference")
    assert await visitor.evaluate(moving) > 0
    await visitor.keyboard.press("Escape")
    await expect(visitor.get_by_text(re.compile("Stopped by"))).to_be_visible()
