"""A service without a key of the model, on the page: what a message meets, and a key typed into the field."""

import asyncio
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from flynn.simulator import Options, SimulatorServer, parse_scenarios
from tests.page.journey import SCHEMES, conversation, say, violations
from tests.page.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.needs("browser")]

KEY = "sk-plain-77c1e2-of-the-page"
SCRIPT = """
name: ask
match: ask before you write
turns:
  - blocks: [{ tool: Write, input: { file_path: asked.txt, content: "asked\\n" } }]
  - blocks: [{ text: "Now it is written." }]
---
name: well
turns: [{ blocks: [{ text: Here I am. }] }]
"""


@pytest.fixture
async def stage(tmp_path: Path, browser: Browser) -> AsyncIterator[Stage]:
    """A service without a key, before a model's API that takes KEY alone."""
    options = Options(keys=frozenset({KEY}))
    async with SimulatorServer(parse_scenarios(SCRIPT), options) as simulator:
        settings = {"ANTHROPIC_API_KEY": "", "LOG_LEVEL": "debug"}
        async with Stage(tmp_path, simulator.url, browser, settings=settings) as found:
            yield found


async def give(page: Page, key: str) -> None:
    await page.get_by_label("API key of the model").fill(key)
    # Not by a click: what else the page learns meanwhile may move the button away beneath the pointer.
    await page.get_by_label("API key of the model").press("Enter")


async def kept_on_the_page(page: Page) -> str:
    """All that the page has of us: its storage, its cookies, its address and what it shows."""
    stored = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    fields = await page.evaluate("[...document.querySelectorAll('input')].map(i => i.value).join()")
    return "\n".join([stored, fields, page.url, await page.content()])


async def test_a_key_is_asked_for_tried_and_used(stage: Stage) -> None:
    page = await stage.visit()
    field = page.get_by_label("API key of the model")
    await expect(field).to_be_visible()
    await expect(field).to_have_attribute("type", "password")
    await expect(field).to_have_attribute("autocomplete", "off")

    # A message meets a clear problem at once, and its words are kept, over a reload too.
    await say(page, "Is anybody there?")
    letter = page.get_by_role("article", name="Not sent yet")
    await expect(letter).to_contain_text("There is no key of the model's API")
    await expect(letter).to_contain_text("Is anybody there?")
    assert await stage.events(conversation(page)) == []
    await page.reload()
    await expect(letter).to_contain_text("Is anybody there?")
    await expect(letter).to_contain_text("There is no key")

    # Taken back, they are in the field again, and a key can still be given.
    await letter.get_by_role("button", name="Take it back").click()
    await expect(letter).to_have_count(0)
    await expect(field).to_be_visible()
    await expect(page.get_by_label("Message")).to_have_value("Is anybody there?")
    await page.get_by_label("Message").press("Enter")
    await expect(letter).to_contain_text("There is no key")
    await say(page, "Tell me.")
    await expect(letter).to_have_count(2)
    await expect(letter.last).to_contain_text("There is no key of the model's API")

    await give(page, "sk-plain-nobodys")
    await expect(page.get_by_role("alert").filter(has_text="refuses this key")).to_be_visible()
    assert not await asyncio.to_thread((stage.place / "data" / "anthropic.key").exists)

    # The right one is taken, and what was not sent goes out by itself, in its order.
    await give(page, KEY)
    await expect(page.get_by_text("Here I am.").last).to_be_visible()
    await expect(page.get_by_role("article", name="Not sent yet")).to_have_count(0)
    await expect(field).to_have_count(0)
    said = [e["data"]["text"] for e in await stage.events(conversation(page)) if e["type"] == "message.sent"]
    assert said == ["Is anybody there?", "Tell me."]

    assert KEY not in await kept_on_the_page(page)
    await page.reload()
    await expect(page.get_by_text("Here I am.").last).to_be_visible()
    assert KEY not in await kept_on_the_page(page)
    await page.goto(stage.url)
    await say(page, "And now?")
    await expect(page.get_by_text("Here I am.")).to_be_visible()
    assert KEY not in await kept_on_the_page(page)
    file = stage.place / "data" / "anthropic.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KEY not in stage.log.read_text()
    # Nothing but the answers that said no, which browsers note.
    assert not [said for said in stage.complaints if not re.search(r"status of (409|422)", said)]


async def test_a_run_that_waits_for_a_key_gets_one_where_it_says_so(stage: Stage) -> None:
    page = await stage.visit()
    await give(page, KEY)
    await expect(page.get_by_role("status").filter(has_text="Flynn can answer now")).to_be_visible()
    await page.get_by_label("Permission").select_option("ask")
    await say(page, "ask before you write")
    allow = page.get_by_role("button", name="Allow")
    await expect(allow).to_be_visible()
    async with stage.http() as http:
        assert (await http.delete("/api/v1/model-key")).status_code == 200
    await allow.click()

    # The call is made, and the next one of the model has no key.
    run = page.get_by_role("region", name="The run")
    await expect(run).to_contain_text("Waiting for the model.")
    await expect(run).to_contain_text("There is no key of the model's API")
    await expect(run.get_by_label("API key of the model")).to_be_visible()
    await expect(run).to_contain_text("by itself.")
    await expect(run).not_to_contain_text("A message tries it now")
    # A message is refused, and one field is enough.
    await say(page, "Go on.")
    letter = page.get_by_role("article", name="Not sent yet")
    await expect(letter).to_contain_text("There is no key of the model's API")
    await expect(page.get_by_label("API key of the model")).to_have_count(1)

    await give(page, KEY)
    await expect(page.get_by_text("Now it is written.")).to_be_visible()
    await expect(letter).to_have_count(0)
    await expect(page.get_by_label("API key of the model")).to_have_count(0)
    events = await stage.events(conversation(page))
    assert [e["data"]["text"] for e in events if e["type"] == "message.sent"][1:] == ["Go on."]
    assert [e["data"]["reason"] for e in events if e["type"] == "run.waiting"] == ["approval", "model"]
    assert (stage.workspace / "asked.txt").read_text() == "asked\n"


async def test_the_field_passes_axe_and_is_for_admins_alone(stage: Stage) -> None:
    page = await stage.visit()
    await give(page, "sk-plain-nobodys")
    await expect(page.get_by_role("alert").filter(has_text="refuses this key")).to_be_visible()
    await page.emulate_media(reduced_motion="reduce")
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        assert await violations(page) == []
    made = await page.evaluate(
        """async (key) => (await (await fetch("/api/v1/keys", {
          method: "POST",
          headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
          body: JSON.stringify({ name: "reader", scopes: ["chat"] }),
        })).json()).key""",
        stage.key,
    )
    other = await stage.visit(f"{stage.url}/?key={made}")
    await expect(other.get_by_role("status").filter(has_text="Live")).to_be_visible()
    await expect(other.get_by_role("alert").filter(has_text="no key of the model's API")).to_be_visible()
    await expect(other.get_by_label("API key of the model")).to_have_count(0)
