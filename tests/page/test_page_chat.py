"""A chat on the page, from the first visit on: words, cards, stop, a service that was killed meanwhile."""

import asyncio
import re
from typing import Literal

import pytest
from playwright.async_api import Page, expect

from tests.conftest import ROOT
from tests.page.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.needs("browser", "bubblewrap")]

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

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
name: hostile
match: be hostile
turns:
  - pacing: { tokens_per_second: 400 }
    blocks:
      - text: |
          <script>window.pwned = 1</script> <img src=x onerror="window.pwned = 2">
          [a](javascript:window.pwned=3) ![p](https://attacker.example/p.png)
          <svg onload="window.pwned = 4"></svg> <iframe srcdoc="<script>parent.pwned=5</script>"></iframe>
      - tool: Bash
        input:
          command: |
            printf '<script>window.pwned=6</script>'
            printf '\033]8;;javascript:alert(1)\aclick\033]8;;\a\n'
  - blocks: [{ text: "That was it." }]
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


async def say(page: Page, words: str) -> None:
    await page.get_by_label("Message").fill(words)
    await page.keyboard.press("Enter")


def conversation(page: Page) -> str:
    found = re.search(r"#/c/([0-9a-f-]{36})$", page.url)
    assert found is not None, page.url
    return found.group(1)


async def test_a_first_visit_a_message_and_its_cards(stage: Stage, page: Page) -> None:
    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    assert "key=" not in page.url
    await say(page, "please do the work")
    done = page.get_by_text("All done:")
    await expect(done).to_be_visible()
    log = page.get_by_role("log")
    await expect(log.get_by_text("please do the work")).to_have_count(1)
    await expect(log.locator("strong", has_text="look")).to_be_visible()
    bash = page.get_by_role("region", name="Bash Say two lines")
    await expect(bash).to_contain_text("exit 0")
    await expect(page.get_by_role("region", name="Output of Bash")).to_contain_text("two")
    edit = page.get_by_role("region", name="Edit notes.txt")
    await expect(edit).to_contain_text("+1 −1")
    await expect(edit.locator("tr.minus")).to_contain_text("beta")
    await expect(edit.locator("tr.plus")).to_contain_text("gamma")
    await expect(log.locator(".cost").last).to_contain_text("$")
    assert (stage.workspace / "notes.txt").read_text() == "alpha\ngamma\n"
    # A reload shows the same, from the log.
    before = await log.inner_text()
    await page.reload()
    await expect(page.get_by_text("All done:")).to_be_visible()
    assert await log.inner_text() == before
    assert stage.complaints == []


async def test_stop_ends_what_runs(stage: Stage, page: Page) -> None:
    await say(page, "take long")
    await expect(page.get_by_role("region", name=re.compile("^Bash"))).to_contain_text("begun")
    await expect(page.locator(".ansi-red")).to_have_text("red")
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_text(re.compile("Stopped by"))).to_be_visible()
    await expect(page.get_by_role("region", name=re.compile("^Bash"))).to_contain_text("stopped")
    types = [event["type"] for event in await stage.events(conversation(page))]
    assert types[-1] == "run.cancelled"
    assert stage.complaints == []


async def test_words_sent_during_the_work_say_that_they_join(stage: Stage, page: Page) -> None:
    await say(page, "take long")
    await expect(page.get_by_role("region", name=re.compile("^Bash"))).to_contain_text("begun")
    await say(page, "and be quick about it")
    late = page.get_by_role("article").filter(has_text="and be quick about it")
    await expect(late).to_contain_text("joins at the next step")
    await page.get_by_role("button", name="Stop", exact=True).click()
    await expect(page.get_by_text(re.compile("Stopped by"))).to_be_visible()


async def test_what_a_model_writes_never_runs(stage: Stage, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await say(page, "be hostile")
    await expect(page.get_by_text("That was it.")).to_be_visible()
    assert await page.evaluate("window.pwned") is None
    assert (
        await page.locator(".transcript img, .transcript svg, .transcript iframe, script:not([src])").count()
        == 0
    )
    hrefs = await page.locator(".transcript a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert not [href for href in hrefs if href and not href.startswith("https://")]
    assert not [url for url in asked if not url.startswith((stage.url, "blob:"))]
    assert stage.complaints == []


async def test_a_killed_service_loses_and_doubles_nothing(stage: Stage, page: Page) -> None:
    await say(page, "count slowly")
    await expect(page.get_by_text(re.compile("one two three four"))).to_be_visible()
    await stage.kill()
    await expect(page.get_by_role("status").filter(has_text="Reconnecting")).to_be_visible()
    await say(page, "are you there?")
    await expect(page.get_by_text("Sending…")).to_be_visible()
    await stage.start()
    await expect(page.get_by_text(re.compile("that is all of them"))).to_be_visible(timeout=40_000)
    await expect(page.get_by_text("Sending…")).to_have_count(0)
    said = [e["data"]["text"] for e in await stage.events(conversation(page)) if e["type"] == "message.sent"]
    assert said == ["count slowly", "are you there?"]
    await expect(page.get_by_role("log").get_by_text("are you there?")).to_have_count(1)
    await expect(page.get_by_text(re.compile("one two three four"))).to_have_count(1)


async def test_a_wrong_key_is_named_and_another_can_be_given(stage: Stage) -> None:
    page = await stage.visit(f"{stage.url}/?key=fly_wrong")
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.get_by_label("Key").fill(stage.key)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()


async def test_every_view_passes_axe(stage: Stage, page: Page) -> None:
    script = await asyncio.to_thread(
        (ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js").read_text
    )
    bare = await stage.visit(stage.url)
    await expect(bare.get_by_label("Key")).to_be_visible()
    for scheme in SCHEMES:
        await bare.emulate_media(color_scheme=scheme)
        assert await violations(bare, script) == []
    await page.emulate_media(reduced_motion="reduce")
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        assert await violations(page, script) == []
    await say(page, "please do the work")
    await expect(page.get_by_text("All done:")).to_be_visible()
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        assert await violations(page, script) == []


async def violations(page: Page, script: str) -> list[str]:
    """What axe finds by WCAG 2.1 A and AA; its script comes in past the page's policy."""
    await page.evaluate(script)
    found = await page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})")
    return [
        f"{v['id']}: {node['html']} {node['failureSummary']}"
        for v in found["violations"]
        for node in v["nodes"]
    ]
