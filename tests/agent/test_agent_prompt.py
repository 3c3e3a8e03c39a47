"""Prompts: which words a model gets, that they are the same bytes each time, and what a fault says."""

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from flynn.agent.agent_file import TOOL_NAMES, AgentFile, parse_agent
from flynn.agent.prompt import NOTES, Prompts
from flynn.domain.errors import ConfigurationError

DIRECTORY = Path(__file__).parents[2] / "prompts"
AGENT = parse_agent(
    "---\nname: a\ndescription: b\n---\nYou are & stay <a>: {{ not_a_template }}\n", source="a.md"
)


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    return Prompts(DIRECTORY)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DIRECTORY, tmp_path / "prompts"))


def runtime(prompts: Prompts, *tools: str, agent: AgentFile = AGENT) -> str:
    return str(prompts.system_blocks(agent, tools)[0]["text"])


def test_the_system_prompt_is_the_runtime_part_then_the_agent_as_written(prompts: Prompts) -> None:
    blocks = prompts.system_blocks(AGENT, TOOL_NAMES)
    assert [block["type"] for block in blocks] == ["text", "text"]
    assert blocks[0]["text"].startswith("# How you work here")
    assert blocks[1]["text"] == "You are & stay <a>: {{ not_a_template }}"


def test_the_system_prompt_is_the_same_bytes_each_time(prompts: Prompts) -> None:
    assert prompts.system_blocks(AGENT, TOOL_NAMES) == Prompts(DIRECTORY).system_blocks(
        AGENT, TOOL_NAMES[::-1]
    )


def test_the_runtime_part_speaks_only_of_tools_that_the_agent_has(prompts: Prompts) -> None:
    everything = runtime(prompts, *TOOL_NAMES)
    for phrase in ("Read a file before you change it", "Glob for file names", "Commands run in a sandbox"):
        assert phrase in everything
    reader = runtime(prompts, "Read", "Grep")
    assert "Grep for contents" in reader
    for phrase in ("Glob", "Bash", "before you change it", "After a change"):
        assert phrase not in reader
    assert "You have no shell" in reader


@pytest.mark.parametrize("count", range(len(TOOL_NAMES)))
def test_no_set_of_tools_leaves_holes_in_the_text(prompts: Prompts, count: int) -> None:
    text = runtime(prompts, *TOOL_NAMES[count:])
    assert "\n\n\n" not in text
    assert "{" not in text
    assert " ," not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_the_runtime_part_holds_what_the_service_promises(prompts: Prompts) -> None:
    text = runtime(prompts, *TOOL_NAMES)
    for word in (
        "no network",
        "no container engine",
        "Outcome unknown",
        "Cancelled",
        "Words after tool results",
    ):
        assert word in text


def test_the_prefix_is_long_enough_to_be_cached_and_short_enough_to_be_paid(prompts: Prompts) -> None:
    characters = len(runtime(prompts, *TOOL_NAMES)) + sum(map(len, prompts.tool_descriptions().values()))
    # The cache takes prefixes of 512 tokens and more; four characters are about a token.
    assert 512 * 4 < characters < 12_000


def test_the_opening_says_where_when_and_whether_bash_works(prompts: Prompts) -> None:
    facts: dict[str, Any] = {
        "workspace_name": "reznet",
        "workspace_path": "/srv/a&b",
        "platform": "Linux x86_64",
    }
    works = prompts.opening(**facts, today=date(2026, 11, 23), bash=True)
    assert works.splitlines() == [
        "<environment>",
        "Workspace: reznet",
        "Path: /srv/a&b",
        "Date: 2026-11-23",
        "Platform: Linux x86_64",
        "Bash: works, sandboxed, without a network",
        "</environment>",
    ]
    bare = prompts.opening(**facts, today=date(2026, 11, 23), bash=True, sandboxed=False)
    assert "WITHOUT a sandbox" in bare
    missing = prompts.opening(**facts, today=date(2026, 11, 23), bash=False, bash_reason="no user namespaces")
    assert "Bash: does not work here (no user namespaces)" in missing
    assert "()" not in prompts.opening(**facts, today=date(2026, 11, 23), bash=False)


def test_notes_say_what_happened(prompts: Prompts) -> None:
    assert prompts.note("unknown_outcome").startswith("Outcome unknown.")
    assert "It was not repeated" in prompts.note("unknown_outcome")
    assert "stays done" in prompts.note("stopped_call")
    assert "did nothing" in prompts.note("skipped_call")
    assert "Do not take it up again" in prompts.note("interrupted")
    assert "stays done" in prompts.note("refused")


def test_a_note_with_missing_or_strange_facts_is_refused(copied: Path) -> None:
    (copied / "notes" / "interrupted.md").write_text("{{ who }} stopped {{ what }} & left.")
    prompts = Prompts(copied)
    assert prompts.note("interrupted", who="ana", what="<it>") == "ana stopped <it> & left."
    with pytest.raises(TypeError, match="'interrupted' takes what, who; it was given who"):
        prompts.note("interrupted", who="ana")
    with pytest.raises(TypeError, match="'refused' takes no facts; it was given mood"):
        prompts.note("refused", mood="bad")


def test_every_tool_is_described_and_every_note_is_known(prompts: Prompts) -> None:
    assert set(prompts.tool_descriptions()) == set(TOOL_NAMES)
    assert {path.stem for path in (DIRECTORY / "notes").glob("*.md")} == set(NOTES)


def test_a_fault_in_a_template_stops_the_start_and_is_located(copied: Path) -> None:
    (copied / "system.md").write_text("Line one.\n{% if tools %}\n")
    with pytest.raises(ConfigurationError, match=r"system\.md:\d+: "):
        Prompts(copied)


def test_a_system_prompt_that_would_hold_a_conversation_is_refused(copied: Path) -> None:
    (copied / "system.md").write_text("Today is {{ date }}. {{ tools }}")
    with pytest.raises(ConfigurationError, match=r"system\.md uses date; it is given tools only"):
        Prompts(copied)


def test_missing_empty_and_unreadable_templates_are_named(copied: Path) -> None:
    (copied / "notes" / "refused.md").write_text(" \n")
    with pytest.raises(ConfigurationError, match=r"refused\.md is empty"):
        Prompts(copied)
    (copied / "notes" / "refused.md").unlink()
    with pytest.raises(ConfigurationError, match=r"refused\.md cannot be read"):
        Prompts(copied)
    shutil.rmtree(copied / "tools")
    shutil.copy(DIRECTORY / "notes" / "refused.md", copied / "notes")
    with pytest.raises(ConfigurationError, match="no tool descriptions"):
        Prompts(copied)
