"""Sub-agent files as people write them: what is read, what is said about it, what is refused."""

import hashlib
import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from flynn.agent.agent_file import (
    COMPANIONS,
    EFFORTS,
    MAX_CHARACTERS,
    TOOL_NAMES,
    AgentFile,
    AgentUnusable,
    parse_agent,
)
from flynn.agent.front_matter import FIELDS


def agent(head: str, body: str = "You review code.") -> AgentFile:
    return parse_agent(f"---\n{head}\n---\n\n{body}\n", source="a.md")


def described(description: str) -> AgentFile:
    return agent(f"name: reviewer\ndescription: {description}\nmodel: haiku")


def tools(written: str) -> AgentFile:
    return agent(f"name: reviewer\ndescription: Reviews.\ntools: {written}")


def test_every_field_is_read() -> None:
    read = agent(
        "name: reviewer\ndescription: Reviews code.\nmodel: claude-haiku-5-5\ntools: Read, Bash\n"
        "disallowedTools: Write\neffort: high\nmaxTurns: 12"
    )
    assert read.name == "reviewer"
    assert read.description == "Reviews code."
    assert read.model == "claude-haiku-5-5"
    assert read.tools == ("Read", "Bash")
    assert read.disallowed_tools == ("Write",)
    assert read.effort == "high"
    assert read.max_turns == 12
    assert read.prompt == "You review code."
    assert read.warnings == ()
    assert read.unknown_fields == {}


def test_name_description_and_prompt_are_enough() -> None:
    read = agent("name: reviewer\ndescription: Reviews code.")
    assert (read.model, read.tools, read.effort, read.max_turns) == (None, None, None, None)
    assert read.offered(TOOL_NAMES) == TOOL_NAMES


@pytest.mark.parametrize("model", ["haiku", "opus", "inherit", "claude-sonnet-5-5", "vendor/some-model:8b"])
def test_the_model_is_kept_as_written(model: str) -> None:
    assert agent(f"name: a\ndescription: b\nmodel: {model}").model == model


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Use when: the build breaks", "Use when: the build breaks"),
        ("Use when: it says `a: b`, then c: d", "Use when: it says `a: b`, then c: d"),
        ('"quoted: safely"', "quoted: safely"),
        ("'it''s quoted'", "it's quoted"),
        ("'it's not quoted well'", "it's not quoted well"),
        ('"one" and "two"', '"one" and "two"'),
        ('"never closed', '"never closed'),
        ('closed only"', 'closed only"'),
        ("#hashtags first", "#hashtags first"),
        ("@mention first", "@mention first"),
        ("*starred* words", "*starred* words"),
        ("[draft] reviews: code", "[draft] reviews: code"),
        ("{braced} words", "{braced} words"),
        ("> quoted: like mail", "> quoted: like mail"),
        ("yes", "yes"),
        ("12", "12"),
        ("null and void", "null and void"),
        ("2026-11-23", "2026-11-23"),
        ("tab\there: too", "tab\there: too"),
        (r"Use it. Examples:\n\n<example>\nuser: hi", "Use it. Examples:\n\n<example>\nuser: hi"),
        ("Grüße: Straße, 日本語 🚀", "Grüße: Straße, 日本語 🚀"),
        ("&anchor text", "&anchor text"),
        ("!tagged text", "!tagged text"),
        ("%percent: text", "%percent: text"),
    ],
)
def test_descriptions_from_the_wild(written: str, read: str) -> None:
    found = described(written)
    assert found.description == read
    assert found.model == "haiku"


@pytest.mark.parametrize("indicator", [">", "|", ">-", "|-"])
def test_block_scalars(indicator: str) -> None:
    found = described(f"{indicator}\n  First line.\n  Second: line.")
    assert found.description.split() == ["First", "line.", "Second:", "line."]
    assert found.warnings == ()


def test_a_block_scalar_is_also_read_line_by_line() -> None:
    found = agent("name: a\ndescription: |\n  First: line.\n  Second.\nhooks: {broken\nmodel: haiku")
    assert found.description == "First: line.\nSecond."
    assert found.model == "haiku"
    assert "not valid YAML" in found.warnings[0]


def test_a_dialogue_at_the_left_margin_belongs_to_the_description() -> None:
    found = described(
        'Use when asked.\nExamples:\n<example>\nContext: a build\nuser: "why: this?"\nassistant: I look.\n'
        "model: not a field\n</example>"
    )
    assert found.description.startswith("Use when asked.\nExamples:\n<example>")
    assert "assistant: I look." in found.description
    assert found.model == "haiku"
    assert found.unknown_fields == {}


def test_a_comment_that_yaml_cuts_off_is_said() -> None:
    found = described("Fixes issue #12")
    assert found.description == "Fixes issue"
    assert found.warnings == ("line 3: YAML takes '#12' for a comment; put the value in quotes to keep it",)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Read, Write, Bash", ("Read", "Write", "Bash")),
        ("Read,Write ,  Bash,", ("Read", "Write", "Bash")),
        ("Read Write", ("Read", "Write")),
        ('"Read, Write"', ("Read", "Write")),
        ("[Read, Write]", ("Read", "Write")),
        ("['Read', \"Write\"]", ("Read", "Write")),
        ("\n  - Read\n  - Write", ("Read", "Write")),
        ("\n- Read\n- Write", ("Read", "Write")),
        ("Read, Read", ("Read",)),
        ("'*'", None),
        ("*", None),
    ],
)
def test_ways_to_write_tools(written: str, expected: tuple[str, ...] | None) -> None:
    assert tools(written).tools == expected


@pytest.mark.parametrize(
    ("written", "rules"),
    [
        ("Read, Bash(npm run *)", ("Bash(npm run *)",)),
        ("Bash(git add:*), Bash(git status:*), Read", ("Bash(git add:*)", "Bash(git status:*)")),
        ("[Bash(echo a, b), Read]", ("Bash(echo a, b)",)),
        ("\n  - Bash(echo (a, b), c)\n  - Read", ("Bash(echo (a, b), c)",)),
    ],
)
def test_patterns_are_one_entry_and_narrow_their_tool(written: str, rules: tuple[str, ...]) -> None:
    found = tools(written)
    assert set(found.tools or ()) == {"Read", "Bash"}
    assert tuple(map(str, found.permissions.only)) == rules
    assert not found.permissions.deny
    assert not found.warnings


def test_a_pattern_that_is_not_closed_is_read_as_if_it_were() -> None:
    found = tools("Read, Bash(echo a, b")
    assert tuple(map(str, found.permissions.only)) == ("Bash(echo a, b)",)
    assert any("closing parenthesis" in warning for warning in found.warnings)


def test_a_tool_that_is_also_named_without_a_pattern_is_not_narrowed() -> None:
    assert not tools("Read, Bash(npm run *), Bash").permissions.only


@pytest.mark.parametrize("written", ["Read(~/.ssh/**)", "Bash(timeout:600000)", "Read({a)"])
def test_a_pattern_that_can_never_match_is_refused_with_its_line(written: str) -> None:
    with pytest.raises(AgentUnusable, match=r"^a\.md:4: "):
        tools(f"Bash, {written}" if written.startswith("Read") else f"Read, {written}")


def test_a_pattern_in_disallowed_tools_forbids_some_calls_and_leaves_the_tool() -> None:
    found = agent("name: a\ndescription: d\ndisallowedTools: Bash(git push *), Edit(*.lock), WebFetch")
    assert tuple(map(str, found.permissions.deny)) == ("Bash(git push *)", "Edit(*.lock)")
    assert not found.disallowed_tools
    assert "Bash" in found.offered(TOOL_NAMES)


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ("default", "auto"),
        ("acceptEdits", "accept-edits"),
        ("plan", "plan"),
        ("auto", "auto"),
        ("bypassPermissions", "auto"),
        ("dontAsk", "ask"),
    ],
)
def test_permission_modes_are_read_and_unknown_ones_ask(written: str, mode: str) -> None:
    found = agent(f"name: a\ndescription: d\npermissionMode: {written}")
    assert found.permissions.mode == mode
    assert any("permissionMode" in warning for warning in found.warnings) == (written == "dontAsk")


def test_tools_that_we_do_not_have_are_dropped_and_named() -> None:
    found = tools("Read, WebFetch, mcp__github__create_issue, Task, bash")
    assert found.tools == ("Read", "Bash")
    for name in ("WebFetch", "mcp__github__create_issue", "Task"):
        assert any(repr(name) in warning and "line 4" in warning for warning in found.warnings)
    assert "line 4: 'bash' was read as Bash" in found.warnings


@pytest.mark.parametrize("written", ["WebFetch, WebSearch", "[]", '""', "mcp__x"])
def test_an_agent_without_a_tool_left_is_refused(written: str) -> None:
    with pytest.raises(AgentUnusable, match=r"^a\.md:4: none of its tools .* Read, Write, Edit"):
        tools(written)


def test_disallowed_tools_are_taken_off_first() -> None:
    found = agent("name: a\ndescription: b\ntools: Read, Bash\ndisallowedTools: Bash")
    assert found.offered(TOOL_NAMES) == ("Read",)
    found = agent("name: a\ndescription: b\ndisallowedTools: [Bash, Write]")
    assert found.offered(TOOL_NAMES) == ("Read", "Edit", "Glob", "Grep")
    with pytest.raises(AgentUnusable, match=r"^a\.md:4: none of its tools"):
        agent("name: a\ndescription: b\ndisallowedTools: '*'")


def test_empty_tools_mean_all_and_are_said() -> None:
    found = tools("")
    assert found.tools is None
    assert found.warnings == ("line 4: tools is empty and was read as left out",)


def test_known_tools_are_passed_in() -> None:
    text = "---\nname: a\ndescription: b\ntools: Read, Deploy\n---\nWork."
    found = parse_agent(text, source="a.md", known_tools=("Read", "Deploy"))
    assert found.tools == ("Read", "Deploy")
    assert found.warnings == ()


def test_unknown_fields_are_kept_and_said() -> None:
    found = agent(
        "name: a\ndescription: b\ncolor: cyan\nisolation: worktree\n"
        "hooks:\n  Stop:\n    - hooks: []\nx-mine: 1"
    )
    assert found.unknown_fields["isolation"] == "worktree"
    assert found.unknown_fields["x-mine"] == "1"
    assert yaml.safe_load("hooks:\n  " + found.unknown_fields["hooks"]) == {
        "hooks": {"Stop": [{"hooks": []}]}
    }
    assert found.unknown_fields["color"] == "cyan"
    assert [warning.split(": ")[1].split()[0] for warning in found.warnings] == [
        "isolation",
        "hooks",
        "x-mine",
    ]


@pytest.mark.parametrize(("key", "value"), [("maxTurns", "0"), ("maxTurns", "many"), ("effort", "extreme")])
def test_values_out_of_range_fall_back_and_are_said(key: str, value: str) -> None:
    found = agent(f"name: a\ndescription: b\n{key}: {value}")
    assert (found.max_turns, found.effort) == (None, None)
    assert len(found.warnings) == 1
    assert f"line 4: {key} {value!r}" in found.warnings[0]


def test_line_ends_byte_order_mark_and_final_newline_change_nothing() -> None:
    plain = "---\nname: a\ndescription: b\n---\n\nOne.\n\nTwo.\n"
    variants = [
        plain.replace("\n", "\r\n"),
        plain.replace("\n", "\r"),
        "\ufeff" + plain,
        plain.rstrip("\n"),
        plain + "\n\n",
    ]
    first = parse_agent(plain, source="a.md")
    assert first.prompt == "One.\n\nTwo."
    assert first.version == hashlib.sha256(plain.encode()).hexdigest()
    assert [parse_agent(variant, source="a.md") for variant in variants] == [first] * len(variants)
    assert parse_agent(plain.replace("Two", "Three"), source="a.md").version != first.version


def test_fences_and_tables_in_the_body_stay_in_the_body() -> None:
    body = "Part one.\n\n---\n\nPart two.\n\n---\nname: not a field"
    assert agent("name: a\ndescription: b", body).prompt == body


def test_an_indented_fence_does_not_close_the_head() -> None:
    assert agent("name: a\ndescription: |\n  x\n  ---\n  y").description == "x\n---\ny"


def test_tabs_and_missing_blanks_after_the_colon() -> None:
    found = agent("name:\treviewer\ndescription:Reviews code\ntools:\tRead")
    assert (found.name, found.description, found.tools) == ("reviewer", "Reviews code", ("Read",))


def test_fences_with_trailing_blanks_and_lines_before() -> None:
    found = parse_agent("\n\n--- \nname: a\ndescription: b\n---\t\nWork.", source="a.md")
    assert found.prompt == "Work."
    assert found.warnings == ("blank lines before the head were skipped",)


def test_a_field_given_twice_counts_once() -> None:
    found = agent("name: a\ndescription: b\nname: c")
    assert found.name == "a"
    assert "line 4: name appears a second time and was left out" in found.warnings


def test_aliases_are_never_unfolded() -> None:
    levels = "\n".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 12))
    found = agent(f"name: a\ndescription: b\nx0: &x0 lol\n{levels}")
    assert found.name == "a"
    assert "not valid YAML" in found.warnings[0]
    assert sum(map(len, found.unknown_fields.values())) < 2000


def test_a_name_out_of_habit_is_served_and_said() -> None:
    found = agent("name: Code Reviewer\ndescription: b")
    assert found.name == "Code Reviewer"
    assert "lower case" in found.warnings[0]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "begins with a line of three dashes"),
        ("You are a reviewer.", 1, "begins with a line of three dashes"),
        ("\n---\nname: a\n", 2, "never closed"),
        ("---\n---\nWork.", 1, "needs a name"),
        ("---\ndescription: b\n---\nWork.", 1, "needs a name"),
        ("---\nname: a\n---\nWork.", 1, "needs a description"),
        ("---\nname: a\ndescription:\n---\nWork.", 3, "needs a description"),
        ("---\nname: a\ndescription: b\n---\n\n  \n", 5, "system prompt"),
        ("---\nname: ../etc\ndescription: b\n---\nWork.", 2, "cannot be used"),
        ("---\ndescription: b\nname: " + "a" * 65 + "\n---\nWork.", 3, "cannot be used"),
        ("---\n" + "a" * MAX_CHARACTERS, 1, "are the most"),
        ("---\nx: " + "a" * 70_000 + "\n---\nWork.", 1, "head has 70,003 characters"),
        ("---\n- a\n- b\n---\nWork.", 1, "needs a name"),
    ],
)
def test_what_cannot_be_served_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(AgentUnusable, match=re.escape(words)) as refused:
        parse_agent(text, source="agents/a.md")
    assert refused.value.line == line
    assert refused.value.status == 422
    assert refused.value.detail.startswith(f"agents/a.md:{line}: ")


def test_bash_brings_the_tools_of_its_jobs_and_takes_them_along() -> None:
    jobs = ("TaskOutput", "TaskStop")
    assert agent("name: a\ndescription: b\ntools: Bash, Read").offered(TOOL_NAMES) == ("Read", "Bash", *jobs)
    named = agent("name: a\ndescription: b\ntools: Bash, TaskOutput")
    assert named.offered(TOOL_NAMES) == ("Bash", *jobs)
    assert named.warnings == ()
    alone = agent("name: a\ndescription: b\ntools: Read, TaskOutput")
    assert alone.offered(TOOL_NAMES) == ("Read",)
    assert alone.warnings == ("line 4: TaskOutput comes with Bash and goes with it; it has no effect here",)
    taken = agent("name: a\ndescription: b\ndisallowedTools: TaskStop")
    assert taken.offered(TOOL_NAMES) == TOOL_NAMES
    assert "TaskStop comes with Bash" in taken.warnings[0]
    # A conversation that froze six tools is offered six: names are matched with those it has.
    assert agent("name: a\ndescription: b").offered(TOOL_NAMES[:6]) == TOOL_NAMES[:6]


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1).filter(
    lambda text: text.strip() != ""
)


@given(
    description=WORDS,
    tools=st.one_of(
        st.none(),
        st.lists(st.sampled_from(sorted(set(TOOL_NAMES) - COMPANIONS.keys())), min_size=1, unique=True),
    ),
    effort=st.one_of(st.none(), st.sampled_from(EFFORTS)),
    turns=st.one_of(st.none(), st.integers(1, 999_999)),
    prompt=WORDS,
    flow=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_what_yaml_writes_is_read_back(
    *,
    description: str,
    tools: list[str] | None,
    effort: str | None,
    turns: int | None,
    prompt: str,
    flow: bool,
    newline: str,
) -> None:
    head: dict[str, Any] = {"name": "a", "description": description}
    head |= {"tools": tools} if tools else {}
    head |= {"effort": effort} if effort else {}
    head |= {"maxTurns": turns} if turns else {}
    written = yaml.safe_dump(head, allow_unicode=True, default_flow_style=flow)
    text = f"---\n{written}---\n{prompt}".replace("\n", newline)
    found = parse_agent(text, source="a.md")
    assert found.description == description.replace("\\n", "\n").strip()
    assert found.tools == (tuple(tools) if tools else None)
    assert (found.effort, found.max_turns) == (effort, turns)
    assert found.prompt == prompt.rstrip()
    assert found.warnings == ()


LINES = st.one_of(
    st.text(max_size=30),
    st.builds(
        lambda key, gap, value: f"{key}:{gap}{value}",
        st.sampled_from(sorted(FIELDS)),
        st.sampled_from(["", " ", "\t", "\n  "]),
        st.one_of(
            st.text(max_size=30),
            st.sampled_from(["|", ">", "- a", "[", "{", "&a *a", "!!python/none x", '"', "Bash(a, b)", "*"]),
        ),
    ),
)


@given(st.lists(LINES, max_size=12), st.text(max_size=40))
@example(["name: a", "description: b", "x: " + "[" * 5000], "Work.")
@example(["name: a", "description: b", "x: 2026-99-99"], "Work.")
@example(["name: a", "description: b", "x: 0b_", "? complex", ": key"], "Work.")
@example(["name: a", "description: \ud800"], "Work. \x00")
def test_whatever_is_written_is_served_or_refused_by_name(lines: list[str], body: str) -> None:
    text = "---\n" + "\n".join(lines) + "\n---\n" + body
    try:
        found = parse_agent(text, source="a.md")
    except AgentUnusable as refusal:
        line = refusal.line
    else:
        line = 1
        assert found.name.strip()
        assert found.prompt.strip()
        assert found.offered(TOOL_NAMES)
        found.model_dump_json()
    assert 1 <= line <= text.count("\n") + text.count("\r") + 2
