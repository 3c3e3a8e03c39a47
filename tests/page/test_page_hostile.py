"""Hostile text in every place that shows some: a model's, a tool's, a file's, a person's. It stays text."""

import json
import re
from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from flynn.domain.principal import Scope
from tests.page.journey import begin, card, conversation, say
from tests.page.stage import Stage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("browser", "bubblewrap"),
    pytest.mark.xdist_group("page-hostile"),
    pytest.mark.asyncio(loop_scope="module"),
]

TURN = "\u202e"
"""The control character that turns around the order of what follows."""
MARKUP = "<img src=x onerror='window.pwned=1'><svg onload='window.pwned=2'>"
FILE = f"<img src=x onerror=pwned>{TURN}txt.sh"

MARKDOWN = f"""
<script>window.pwned = 3</script> {MARKUP}

<iframe srcdoc="<script>parent.pwned=4</script>"></iframe> <form action=/x><input name=y></form>

[one](javascript:window.pwned=5) [two](JaVaScRiPt&colon;window.pwned=6) [three](data:text/html,<b>x</b>)
[four](vbscript:x) [five](//attacker.example/x) [six](https://attacker.example/x "{MARKUP}")
[seven](<java\tscript:window.pwned=7>) [eight][ref] <javascript:window.pwned=8> www.attacker.example

![picture](https://attacker.example/p.png) ![inline](data:image/svg+xml,<svg/onload=pwned>)

[ref]: javascript:window.pwned=9

turned {TURN}around `{TURN}code`

| <b>a</b> | {MARKUP} |
|---|---|
| <style>body{{display:none}}</style> | x |

```html"><script>window.pwned=10</script>
<script>window.pwned=11</script>{TURN}
```

- [ ] {MARKUP}

[^1]: <script>window.pwned=12</script>
"""

OUTPUT = (
    r"<script>window.pwned=13</script>\n\033]8;;javascript:window.pwned=14\aclick\033]8;;\a"
    r"\033[31mred\033[0m\033]0;title\a\033[2J\033[1;1H\033]52;c;cm0=\a\342\200\256turned\n"
)


WAIT = "until [ -e go ]; do sleep 0.1; done"


def _calls(*calls: tuple[str, dict[str, object]]) -> list[dict[str, object]]:
    return [{"tool": tool, "input": given} for tool, given in calls]


SCENARIOS: list[dict[str, object]] = [
    {
        "name": "words",
        "match": "hostile words",
        "turns": [
            {
                "pacing": {"tokens_per_second": 2000},
                "blocks": [{"text": MARKDOWN}],
            }
        ],
    },
    {
        "name": "calls",
        "match": "hostile calls",
        "turns": [
            {
                "blocks": _calls(
                    ("Bash", {"command": f"printf '{OUTPUT}'; {WAIT}", "description": f"{MARKUP}{TURN}"}),
                    ("Write", {"file_path": FILE, "content": f"{MARKUP}{TURN}\n"}),
                    ("Read", {"file_path": f"{MARKUP}{TURN}"}),
                )
            },
            {
                "blocks": _calls(
                    ("Glob", {"pattern": "*.sh"}),
                    ("Grep", {"pattern": "onerror", "output_mode": "content"}),
                    ("Read", {"file_path": FILE}),
                    ("Edit", {"file_path": FILE, "old_string": "src=x", "new_string": f"{TURN}{MARKUP}"}),
                )
            },
            {"blocks": [{"text": "That was it."}]},
        ],
    },
    {
        "name": "ask",
        "match": "hostile asking",
        "turns": [
            {"blocks": _calls(("Bash", {"command": f"echo {TURN} '{MARKUP}'"}))},
            {"blocks": [{"text": "Asked."}]},
        ],
    },
]
SCRIPT = "\n---\n".join(json.dumps(scenario) for scenario in SCENARIOS)

INSERTED = (
    "img, svg, iframe, object, embed, form[action], style, script:not([src]), math, [onerror], [onload]"
)
STATE = f"""() => ({{
  ran: window.pwned ?? null,
  inserted: [...document.querySelectorAll(`{INSERTED}`)].map((e) => e.outerHTML),
  turned: /[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.body.innerText + document.title),
  labels: [...document.querySelectorAll("[aria-label], [title], [placeholder]")].filter((e) =>
    /[\\u202a-\\u202e]/.test(e.ariaLabel + e.title + e.placeholder)).map((e) => e.outerHTML),
  targets: [...document.querySelectorAll("a")].map((a) => a.getAttribute("href")),
}})"""


async def stays_text(page: Page) -> None:
    """Nothing ran, nothing but the page's own elements is there, and what turns words around is shown."""
    found = await page.evaluate(STATE)
    assert found["ran"] is None
    assert found["inserted"] == []
    assert found["turned"] is False
    assert found["labels"] == []
    assert [href for href in found["targets"] if not re.match(r"https?://|mailto:", href or "")] == []


async def test_a_models_words_stay_words(open_stage: Stage, visitor: Page) -> None:
    asked: list[str] = []
    visitor.on("request", lambda request: asked.append(request.url))
    await begin(visitor, f"hostile words {MARKUP} {TURN}")
    log = visitor.get_by_role("log")
    await expect(log.locator(".cost")).to_be_visible()
    await expect(log).to_contain_text("<script>window.pwned = 3</script>")
    await expect(log.get_by_role("link", name="six")).to_have_attribute("rel", "noopener noreferrer nofollow")
    await expect(log.get_by_text("⟨U+202E⟩")).not_to_have_count(0)
    for name in ("one", "two", "three", "four", "five", "seven", "eight"):
        await expect(log.get_by_role("link", name=name, exact=True)).to_have_count(0)
    await stays_text(visitor)
    await visitor.reload()
    await expect(log).to_contain_text("<script>window.pwned = 3</script>")
    await stays_text(visitor)
    assert [url for url in asked if not url.startswith((open_stage.url, "blob:"))] == []


async def test_a_tools_input_and_output_stay_text(open_stage: Stage, visitor: Page) -> None:
    await begin(visitor, "hostile calls")
    output = visitor.get_by_role("region", name="Output of Bash").first
    # On its way output is as the command wrote it; its end is cleaned by the service.
    await expect(output).to_contain_text("<script>window.pwned=13</script>\nclickred⟨U+202E⟩turned")
    await expect(visitor.locator(".ansi-red")).to_have_text(re.compile("^red"))
    for gone in ("javascript:", "title", "52;c", "[2J"):
        await expect(output).not_to_contain_text(gone)
    await stays_text(visitor)
    (open_stage.workspace / "go").touch()
    await expect(visitor.get_by_text("That was it.")).to_be_visible()
    while await (closed := visitor.locator(".card .head[aria-expanded=false]")).count():
        await closed.first.click()
    await expect(visitor.locator(".card")).to_have_count(7)
    await expect(output).to_contain_text("<script>window.pwned=13</script>\nclickred")
    shown = FILE.replace(TURN, "⟨U+202E⟩")
    for name in ("Write ", "Edit "):
        await expect(card(visitor, f"{name}<img").locator(".subject")).to_have_text(shown)
    await expect(card(visitor, "Glob").locator(".path")).to_have_text([shown])
    await expect(card(visitor, "Grep").locator(".path")).to_have_text([shown])
    await expect(card(visitor, "Grep").locator("code")).to_contain_text(f"{MARKUP}⟨U+202E⟩")
    await expect(card(visitor, "Edit").locator("tr.plus")).to_contain_text("⟨U+202E⟩<img")
    await stays_text(visitor)


async def test_names_and_titles_stay_text(open_stage: Stage, visitor: Page) -> None:
    async with open_stage.http() as http:
        made = await http.post("/api/v1/workspaces", json={"name": MARKUP})
        assert made.status_code == 201, made.text
        order = {"title": f"{MARKUP}{TURN}", "workspace": MARKUP, "permission_mode": "ask"}
        opened = (await http.post("/api/v1/conversations", json=order)).json()
        person = {"name": f"eve {MARKUP}", "scopes": [Scope.ADMIN.value]}
        key = (await http.post("/api/v1/keys", json=person)).json()["key"]
        await http.post("/api/v1/tasks", json={"instructions": "hostile words", "title": f"{TURN}{MARKUP}"})
    eve = await open_stage.visit(f"{open_stage.url}/?key={quote(key)}#/c/{opened['id']}")
    await visitor.goto(f"{open_stage.url}/#/c/{opened['id']}")
    await say(eve, f"hostile asking {MARKUP}{TURN}")
    for page in (visitor, eve):
        await expect(page.get_by_text("Waiting for a yes.")).to_be_visible()
        await expect(page.get_by_role("heading", name=f"{MARKUP}⟨U+202E⟩")).to_be_visible()
        await expect(page.locator(".command")).to_contain_text("echo ⟨U+202E⟩ '<img")
        await stays_text(page)
    await expect(visitor.get_by_text(f"Also here: eve {MARKUP}")).to_be_visible()
    await eve.keyboard.press("Escape")
    await expect(visitor.get_by_text(f"Stopped by eve {MARKUP}.")).to_be_visible()
    await visitor.get_by_role("list", name="Tasks").get_by_role("button").click()
    report = visitor.get_by_role("region", name="Report of the task")
    await report.get_by_text("In the agent's own words").click()
    await expect(report).to_contain_text("<script>window.pwned = 3</script>")
    await stays_text(visitor)
    await visitor.keyboard.press("Control+k")
    await expect(visitor.get_by_label("Workspace").locator("option")).to_have_text(["default", MARKUP])
    await stays_text(visitor)


async def test_the_policy_keeps_out_what_the_page_would_let_in(open_stage: Stage, visitor: Page) -> None:
    """A second wall: were an element to come through after all, the browser would not run it."""
    await begin(visitor, "hostile words")
    await expect(visitor.locator(".cost")).to_be_visible()
    ran = await visitor.evaluate(
        """async () => {
          document.body.insertAdjacentHTML("beforeend",
            "<img src=x onerror='window.pwned=1'><a id=trap href='javascript:window.pwned=2'>x</a>");
          const script = document.createElement("script");
          script.textContent = "window.pwned=3";
          document.body.append(script);
          document.getElementById("trap").click();
          const sent = await fetch("https://attacker.example/").then(() => "sent", () => "kept in");
          await new Promise((done) => setTimeout(done, 300));
          return [window.pwned ?? null, sent];
        }"""
    )
    assert ran == [None, "kept in"]
    kept_out = [said for said in open_stage.complaints if "policy: " in said]
    assert len(kept_out) >= 3, "the test would notice a violation"
    assert conversation(visitor)
    open_stage.complaints.clear()
