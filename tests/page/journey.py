"""What a person does on the page, in steps that several tests take."""

import re
from collections.abc import Sequence
from typing import Literal

from playwright.async_api import Locator, Page, expect

from tests.conftest import ROOT

AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")
"""WCAG 2.1 at level AA."""

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


async def say(page: Page, words: str) -> None:
    """Write a message and send it."""
    await page.get_by_label("Message").fill(words)
    await page.keyboard.press("Enter")


async def begin(page: Page, words: str) -> None:
    """Begin a conversation with these words."""
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("heading", name="What is to be done?")).to_be_visible()
    await say(page, words)
    await expect(page).to_have_url(re.compile(r"#/c/[0-9a-f-]{36}$"))


def conversation(page: Page) -> str:
    """The id of the conversation that is open."""
    found = re.search(r"#/c/([0-9a-f-]{36})$", page.url)
    assert found is not None, page.url
    return found.group(1)


def card(page: Page, name: str) -> Locator:
    """The card of a call, by how its tool and subject begin."""
    return page.locator(f'.card[aria-label^="{name}"]')


async def tab_to(page: Page, name: str, *, back: bool = False, most: int = 80) -> None:
    """Press Tab until the element with this accessible name has the focus."""
    for _ in range(most):
        await page.keyboard.press("Shift+Tab" if back else "Tab")
        if await focused(page) == name:
            return
    raise AssertionError(f"Tab does not lead to {name!r} in {most} steps")


async def focused(page: Page) -> str:
    """What has the focus: its label, else its words."""
    words: str = await page.evaluate(
        """() => {
          const e = document.activeElement;
          const label = e.getAttribute("aria-label") || e.labels?.[0]?.innerText.split("\\n")[0];
          return (label || e.innerText || "").trim();
        }"""
    )
    return words


async def violations(page: Page, rules: Sequence[str] = RULES) -> list[str]:
    """What axe finds. Its script comes in past the page's policy."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    found = await page.evaluate("rules => axe.run({runOnly: rules})", list(rules))
    return [
        f"{v['id']}: {node['html']} {node['failureSummary']}"
        for v in found["violations"]
        for node in v["nodes"]
    ]
