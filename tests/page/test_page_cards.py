"""Cards and states: what each tool shows, why a run waits and what to do, a task and its report."""

import re

import pytest
from playwright.async_api import Page, expect

from flynn.domain.principal import Scope
from tests.page.journey import begin, card, conversation, say
from tests.page.stage import Stage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("browser", "bubblewrap"),
    pytest.mark.xdist_group("page-cards"),
    pytest.mark.asyncio(loop_scope="module"),
]

SETTINGS = {"FLYNN_RUN_MAX_TURNS": "4"}

SCRIPT = r"""
name: look
match: look around
turns:
  - blocks:
      - { tool: Glob, input: { pattern: "**/*.txt", path: seen } }
      - { tool: Glob, input: { pattern: "*.none" } }
      - { tool: Grep, input: { pattern: "tea", path: seen, output_mode: content, head_limit: 3 } }
      - { tool: Grep, input: { pattern: "tea", path: seen } }
      - { tool: Grep, input: { pattern: "tea", path: seen, output_mode: count } }
      - { tool: Read, input: { file_path: seen/long.txt, offset: 3, limit: 2 } }
      - { tool: Read, input: { file_path: seen/missing.txt } }
  - blocks: [{ text: "Looked." }]
---
name: job
match: in the background
turns:
  - blocks:
      - tool: Bash
        call: job
        input:
          run_in_background: true
          command: "echo from the job; until [ -e stop ]; do sleep 0.1; done"
  - blocks:
      - tool: TaskOutput
        input: { task_id: '{{ result("job").regex("ID:? +([a-z0-9]+)", 1) }}', block: false }
  - blocks: [{ tool: Bash, input: { command: "touch stop; exit 3" } }]
  - blocks: [{ text: "It is over." }]
---
name: many
match: many turns
turns:
  - blocks: [{ tool: Bash, input: { command: "echo 1" } }]
  - blocks: [{ tool: Bash, input: { command: "echo 2" } }]
  - blocks: [{ tool: Bash, input: { command: "echo 3" } }]
  - blocks: [{ tool: Bash, input: { command: "echo 4" } }]
  - blocks: [{ text: "Five turns it took." }]
---
name: ask
match: ask before you write
turns:
  - blocks:
      - { tool: Write, input: { file_path: asked.txt, content: "asked\n" } }
      - { tool: Bash, input: { command: "rm -rf nothing" } }
  - blocks: [{ text: "So be it." }]
---
name: wait
match: wait for it
turns:
  - blocks: [{ tool: Bash, input: { command: "until [ -e over ]; do sleep 0.1; done" } }]
  - blocks: [{ text: "Waited." }]
---
name: task
match: delegated
turns:
  - blocks:
      - { tool: Write, input: { file_path: task/made.txt, content: "one\ntwo\n" } }
      - { tool: Bash, input: { command: "exit 4" } }
  - blocks: [{ text: "I did **everything**." }]
---
name: prose
match: write prose
turns:
  - pacing: { tokens_per_second: 60 }
    blocks:
      - text: |
          Some **bold words that take a while to come** and `code that comes slowly too`.

          ```python
          print("copied")
          ```
---
name: else
turns:
  - blocks: [{ text: "Yes." }]
"""


async def test_searches_and_reads_show_what_they_found(open_stage: Stage, visitor: Page) -> None:
    seen = open_stage.workspace / "seen"
    seen.mkdir()
    (seen / "a.txt").write_text("green tea\nwater\nblack tea\n")
    (seen / "long.txt").write_text("".join(f"line {n} has tea\n" for n in range(1, 10)))
    await begin(visitor, "look around")
    await expect(visitor.get_by_text("Looked.")).to_be_visible()
    expected = [
        ("Glob **/*.txt in seen", "2 files", ("seen/a.txt", "seen/long.txt")),
        ("Glob *.none", "nothing found", ("No files match.",)),
        ("Read seen/long.txt from line 3", "lines 3 to 4 of 9", ("line 3 has tea", "line 4 has tea")),
    ]
    for name, chip, words in expected:
        found = card(visitor, name)
        await expect(found.locator(".chip")).to_have_text(chip)
        await found.get_by_role("button").first.click()
        for part in words:
            await expect(found).to_contain_text(part)
    lines, files, counts = (card(visitor, "Grep tea in seen").nth(n) for n in range(3))
    await expect(lines.locator(".chip")).to_have_text("11 lines, not all shown")
    await lines.get_by_role("button").first.click()
    await expect(lines.locator(".path")).to_have_text(["seen/a.txt", "seen/long.txt"])
    await expect(lines.locator("td.number")).to_have_text(["1", "3", "1"])
    await expect(lines).to_contain_text("3 lines of 11 shown; go on with offset 3")
    await expect(files.locator(".chip")).to_have_text("2 files")
    await counts.get_by_role("button").first.click()
    await expect(counts.locator("li")).to_have_text(["seen/a.txt 2", "seen/long.txt 9"])
    # What failed is open without being asked for.
    missing = card(visitor, "Read seen/missing.txt")
    await expect(missing.locator(".chip")).to_have_text("error")
    await expect(missing).to_contain_text("does not exist")


async def test_a_job_and_a_command_that_fails(visitor: Page) -> None:
    await begin(visitor, "do it in the background")
    await expect(visitor.get_by_text("It is over.")).to_be_visible()
    await expect(card(visitor, "Bash echo from the job")).to_contain_text("in the background")
    await expect(card(visitor, "Bash touch stop")).to_contain_text(re.compile(r"exit 3 · \d"))
    look = card(visitor, "TaskOutput")
    await expect(look.locator(".chip")).to_have_text("still running")
    await look.get_by_role("button").first.click()
    await expect(look).not_to_contain_text("<status>")


async def test_a_run_out_of_turns_is_raised_from_the_page(visitor: Page) -> None:
    await begin(visitor, "take many turns")
    state = visitor.get_by_role("region", name="The run")
    await expect(state).to_contain_text("Out of turns. The run has used its 4 turns.")
    entry = visitor.locator(".entry[aria-current=page]")
    await expect(entry).to_contain_text("needs more turns")
    await expect(visitor).to_have_title(re.compile(r"^\(\?\) take many turns"))
    field = visitor.get_by_label("Turns in all")
    await expect(field).to_have_value("8")
    await field.fill("2")
    await visitor.get_by_role("button", name="Raise and go on").click()
    await expect(state.get_by_role("alert")).to_contain_text("must be above the present limit of 4")
    await field.fill("5")
    await visitor.get_by_role("button", name="Raise and go on").click()
    await expect(visitor.get_by_text("Five turns it took.")).to_be_visible()
    await expect(visitor.get_by_text("owner raised the limits.")).to_be_visible()
    await expect(entry).to_contain_text("done")


async def test_a_task_out_of_dollars_is_raised_from_the_page(open_stage: Stage, visitor: Page) -> None:
    order = {"instructions": "take many turns", "title": "Few dollars", "budget": {"dollars": 0.001}}
    async with open_stage.http() as http:
        sent = await http.post("/api/v1/tasks", json=order)
    assert sent.status_code == 202, sent.text
    await visitor.get_by_text("Few dollars").first.click()
    state = visitor.get_by_role("region", name="The run")
    await expect(state).to_contain_text("The task is out of dollars. The task has used $0.0000")
    field = visitor.get_by_label("Dollars of the task")
    # What is proposed is enough for the next call, to the cent.
    await expect(field).to_have_value("0.01")
    await field.fill("1")
    await visitor.get_by_role("button", name="Raise and go on").click()
    # Then it is the run that is out of turns.
    await expect(state).to_contain_text("Out of turns. The run has used its 4 turns.")
    await expect(visitor.get_by_label("Turns in all")).to_have_value("8")


async def test_a_call_that_needs_a_yes_gets_one_and_one_does_not(open_stage: Stage, visitor: Page) -> None:
    await visitor.get_by_label("Permission").select_option("ask")
    await say(visitor, "ask before you write")
    await expect(visitor.get_by_text("Waiting for a yes.")).to_be_visible()
    write, bash = card(visitor, "Write asked.txt"), card(visitor, "Bash rm -rf nothing")
    await expect(write).to_contain_text("asked")
    await visitor.get_by_role("button", name="Show what is asked").click()
    await expect(write.get_by_role("button", name="Allow")).to_be_focused()
    await write.get_by_role("button", name="Allow").click()
    await expect(write).to_contain_text("Allowed by owner.")
    await bash.get_by_label("Words for the agent, with a no").fill("leave that")
    await bash.get_by_role("button", name="Deny").click()
    await expect(visitor.get_by_text("So be it.")).to_be_visible()
    await expect(bash).to_contain_text("Denied by owner.")
    await expect(write).to_contain_text("new +1 −0")
    assert (open_stage.workspace / "asked.txt").read_text() == "asked\n"


async def test_a_queued_run_says_what_it_waits_for_and_others_are_seen(
    open_stage: Stage, visitor: Page
) -> None:
    await begin(visitor, "wait for it")
    await expect(card(visitor, "Bash")).to_contain_text("running…")
    await begin(visitor, "hello there")
    state = visitor.get_by_role("region", name="The run")
    await expect(state).to_contain_text("Queued. Another run is at work in the workspace 'default'.")
    await expect(visitor.locator(".entry[aria-current=page]")).to_contain_text("waits for its workspace")
    await expect(visitor.get_by_text("What you send is read when the run begins.")).to_be_visible()
    async with open_stage.http() as http:
        order = {"name": "ada", "scopes": [Scope.ADMIN.value]}
        key = (await http.post("/api/v1/keys", json=order)).json()["key"]
    other = await open_stage.visit(f"{open_stage.url}/?key={key}#/c/{conversation(visitor)}")
    await expect(other.get_by_text("Also here: owner")).to_be_visible()
    await expect(visitor.get_by_text("Also here: ada")).to_be_visible()
    await expect(visitor.locator(".entry[aria-current=page]")).to_contain_text("2 here")
    await other.close()
    await expect(visitor.get_by_text("Also here: ada")).to_have_count(0)
    (open_stage.workspace / "over").touch()
    await expect(visitor.get_by_text("Yes.", exact=True)).to_be_visible()


async def test_a_task_and_its_report(open_stage: Stage, visitor: Page) -> None:
    async with open_stage.http() as http:
        made = await http.post("/api/v1/tasks", json={"instructions": "delegated work", "title": "Make it"})
        assert made.status_code == 202
    tasks = visitor.get_by_role("list", name="Tasks")
    await tasks.get_by_role("button", name=re.compile("^Make it")).click()
    report = visitor.get_by_role("region", name="Report of the task")
    await expect(report).to_contain_text("completed")
    await expect(report.get_by_role("listitem").first).to_have_text("task/made.txt new, +2 −0")
    await expect(report.get_by_role("listitem").filter(has_text="exit 4")).to_have_count(1)
    await expect(report).to_contain_text("3 model calls, 2 tool calls")
    await expect(report.locator("strong")).to_be_hidden()
    await report.get_by_text("In the agent's own words").click()
    await expect(report.locator("strong", has_text="everything")).to_be_visible()
    await expect(tasks).to_contain_text("done")
    used = visitor.get_by_role("region", name="What the task has used")
    await expect(used).to_contain_text(re.compile(r"\d turns · .*tokens · \$.* minutes at work"))


async def test_an_answer_comes_without_marks_that_go_again_and_can_be_copied(visitor: Page) -> None:
    await visitor.evaluate(
        """() => {
          window.flickered = [];
          new MutationObserver(() => {
            const log = document.querySelector('[role=log]')?.innerText ?? "";
            if (/\\*\\*|`/.test(log)) window.flickered.push(log);
          }).observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    await begin(visitor, "write prose")
    await expect(visitor.locator(".code pre")).to_contain_text("copied")
    await expect(visitor.locator(".cost")).to_be_visible()
    assert await visitor.evaluate("window.flickered") == []
    await visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await visitor.get_by_role("button", name="Copy the code").click()
    await expect(visitor.get_by_role("button", name="Copied the code")).to_be_visible()
    assert await visitor.evaluate("navigator.clipboard.readText()") == 'print("copied")\n'
    await visitor.get_by_role("button", name="Copy the answer").click()
    await expect(visitor.get_by_role("button", name="Copied the answer")).to_be_visible()
    copied = await visitor.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("Some **bold words that take a while to come**")
    async with visitor.expect_download() as coming:
        await visitor.get_by_role("button", name="Download the transcript as Markdown").click()
    kept = await coming.value
    assert kept.suggested_filename == "write-prose.md"
    text = (await kept.path()).read_text()
    assert text.startswith("# write prose\n\n**owner** (")
    assert copied.strip() in text


async def test_many_conversations_are_paged_and_found(open_stage: Stage, visitor: Page) -> None:
    async with open_stage.http() as http:
        for n in range(60):
            made = await http.post("/api/v1/conversations", json={"title": f"Number {n} of many"})
            assert made.status_code == 201
    await visitor.reload()
    entries = visitor.locator(".entry")
    await expect(entries).to_have_count(50)
    await expect(entries.first).to_contain_text("Number 59 of many")
    # The page follows the last 20 that were looked at; going back to the first begins anew.
    await entries.first.click()
    for n in range(58, 34, -1):
        await visitor.keyboard.press("Alt+ArrowDown")
        await expect(visitor.get_by_role("heading", name=f"Number {n} of many")).to_be_visible()
    await entries.first.click()
    await expect(visitor.get_by_role("heading", name="Number 59 of many")).to_be_visible()
    await expect(visitor.get_by_text("Loading…")).to_have_count(0)
    await visitor.get_by_role("button", name="Show older ones").click()
    await expect(visitor.get_by_role("button", name=re.compile("^Number 0 of many"))).to_be_visible()
    await expect(visitor.get_by_role("button", name="Show older ones")).to_have_count(0)
    await visitor.get_by_label("Find a conversation").fill("number 17")
    await expect(entries).to_have_count(1)
    await visitor.keyboard.press("Escape")
    await expect(visitor.get_by_label("Find a conversation")).to_have_value("")
    await visitor.get_by_label("Find a conversation").fill("nothing such")
    await expect(visitor.get_by_text("None of these has such words.")).to_be_visible()
