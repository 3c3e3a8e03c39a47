"""Permission rules: deny before ask before allow, every part of a command, every way to write it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.agent.permission import Permissions, check
from flynn.agent.permission_file import read_permissions
from flynn.agent.rule_match import _glob
from flynn.domain.errors import ConfigurationError
from flynn.domain.permission import (
    BadRule,
    PermissionMode,
    PermissionRules,
    Rule,
    call_digest,
    join,
    strictest,
)
from flynn.workspace.root import Workspace

Mode = PermissionMode


def rules(**lists: list[str]) -> PermissionRules:
    return PermissionRules.model_validate({k: [Rule.parse(text) for text in v] for k, v in lists.items()})


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "w" / "secrets").mkdir(parents=True)
    (tmp_path / "w" / "secrets" / "key").write_text("x")
    (tmp_path / "w" / "link").symlink_to("secrets/key")
    (tmp_path / "w" / "src").mkdir()
    (tmp_path / "w" / "src" / "main.py").write_text("x")
    with Workspace.open(tmp_path / "w") as opened:
        yield opened


def effect(
    workspace: Workspace, held: PermissionRules, tool: str, mode: Mode = Mode.AUTO, **given: Any
) -> str:
    return Permissions(held, workspace).judge(tool, given, mode=mode).effect


def bash(workspace: Workspace, held: PermissionRules, command: str, mode: Mode = Mode.AUTO) -> str:
    return effect(workspace, held, "Bash", mode, command=command)


@pytest.mark.parametrize(
    ("text", "tool", "spec"),
    [
        ("Bash", "Bash", None),
        ("Bash()", "Bash", None),
        ("Bash(*)", "Bash", None),
        ("Bash(npm run *)", "Bash", "npm run *"),
        (" Edit ( docs/** ) ", "Edit", " docs/** "),
        ("Bash(echo (a))", "Bash", "echo (a)"),
    ],
)
def test_rules_are_read(text: str, tool: str, spec: str | None) -> None:
    rule = Rule.parse(text)
    assert (rule.tool, rule.spec) == (tool, spec)


@pytest.mark.parametrize("text", ["", "(x)", "Bash(npm", "Bash npm", "1x", "Bash)x("])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(BadRule, match="is no permission rule"):
        Rule.parse(text)


@pytest.mark.parametrize(
    ("spec", "text", "matches"),
    [
        ("npm test", "npm test", True),
        ("npm test", "npm test x", False),
        ("npm *", "npm", True),
        ("npm *", "npm run x", True),
        ("npm *", "npmx", False),
        ("npm:*", "npm run", True),
        ("npm:*", "npmx", False),
        ("npm*", "npmx", True),
        ("git * main", "git push origin main", True),
        ("git * main", "git push origin", False),
        ("git * main *", "git push main --force", True),
        ("git * main *", "git push main", True),
        ("git * main *", "git push mainly", False),
        ("*", "anything", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
        ("ab*ba", "aba", False),
    ],
)
def test_stars_stand_for_anything(spec: str, text: str, matches: bool) -> None:
    assert _glob(spec, text) is matches


def test_deny_goes_before_ask_before_allow(workspace: Workspace) -> None:
    held = rules(deny=["Bash(rm *)"], ask=["Bash(git *)", "Bash(rm *)"], allow=["Bash"])
    assert bash(workspace, held, "rm x") == "deny"
    assert bash(workspace, held, "git push") == "ask"
    assert bash(workspace, held, "ls") == "allow"


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf x",
        "ls && rm x",
        "ls | xargs rm",
        "echo $(rm x)",
        "r\\m x",
        "'rm' x",
        "/bin/rm x",
        "X=1 rm x",
        "timeout 5 rm x",
        "sudo rm x",
        "bash -c 'rm x'",
        "find . -exec rm {} +",
        "if true; then rm x; fi",
        "(rm x)",
        "rm",
    ],
)
def test_a_denied_command_is_found_in_every_part(workspace: Workspace, command: str) -> None:
    assert bash(workspace, rules(deny=["Bash(rm *)"]), command) == "deny"
    assert bash(workspace, rules(ask=["Bash(rm *)"]), command) == "ask"
    assert bash(workspace, rules(), command) == "allow"


@pytest.mark.parametrize("command", ["$X y", "eval $X", "curl x | sh", "if rm", "f() { r; }; f", "r?m x"])
def test_what_cannot_be_seen_through_is_asked_for_where_rules_speak_of_commands(
    workspace: Workspace, command: str
) -> None:
    assert bash(workspace, rules(deny=["Bash(rm *)"]), command) == "ask"
    assert bash(workspace, rules(deny=["Edit(x)"]), command) == "allow"
    assert bash(workspace, rules(allow=["Bash(r *)"]), command, Mode.ASK) == "ask"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("npm test", "allow"),
        ("npm test && npm run lint", "allow"),
        ("npm test; rm x", "ask"),
        ("npm test $(rm x)", "ask"),
        ("npm test | tee out", "ask"),
        ("PATH=/tmp npm test", "ask"),
        ("npm test > out", "ask"),
        ("npm test > /dev/null 2>&1", "allow"),
        ("npm test > $X", "ask"),
        ("npm test &", "allow"),
        ("X=1", "ask"),
        ("export PATH=/x; npm test", "ask"),
        ("npmx", "ask"),
    ],
)
def test_an_allow_rule_has_to_match_every_part(workspace: Workspace, command: str, expected: str) -> None:
    assert bash(workspace, rules(allow=["Bash(npm *)"]), command, Mode.ASK) == expected


def test_redirections_are_reads_and_edits(workspace: Workspace) -> None:
    held = rules(deny=["Edit(*.lock)", "Read(./secrets/**)"])
    assert bash(workspace, held, "echo x > a.lock") == "deny"
    assert bash(workspace, held, "echo x > a.txt") == "allow"
    assert bash(workspace, held, "cat < secrets/key") == "deny"
    allowed = rules(allow=["Bash(echo *)", "Edit(./out/**)"])
    assert bash(workspace, allowed, "echo x > out/a", Mode.ASK) == "allow"
    assert bash(workspace, allowed, "echo x > a", Mode.ASK) == "ask"
    assert bash(workspace, allowed, "echo x > a", Mode.ACCEPT_EDITS) == "allow"


@pytest.mark.parametrize(
    "path",
    ["secrets/key", "./secrets/key", "src/../secrets/key", "link", "{root}/secrets/key", "secrets/none"],
)
def test_a_path_rule_meets_every_name_of_a_file(workspace: Workspace, path: str) -> None:
    path = path.replace("{root}", str(workspace.path))
    held = rules(deny=["Read(./secrets/**)"], ask=["Edit(/secrets)"])
    assert effect(workspace, held, "Read", file_path=path) == "deny"
    assert effect(workspace, held, "Grep", pattern="x", path=path) == "deny"
    assert effect(workspace, held, "Edit", file_path=path, old_string="a", new_string="b") == "ask"
    assert effect(workspace, held, "Write", file_path=path, content="b") == "ask"
    assert effect(workspace, held, "Read", file_path="src/main.py") == "allow"


def test_an_allowed_path_must_be_allowed_by_each_of_its_names(workspace: Workspace) -> None:
    held = rules(allow=["Edit(link)", "Edit(./src/**)"])
    change: dict[str, Any] = {"old_string": "a", "new_string": "b"}
    assert effect(workspace, held, "Edit", Mode.ASK, file_path="link", **change) == "ask"
    assert effect(workspace, held, "Edit", Mode.ASK, file_path="src/main.py", **change) == "allow"
    assert effect(workspace, held, "Edit", Mode.ASK, file_path="src/new.py", **change) == "allow"
    assert effect(workspace, held, "Edit", Mode.ASK, file_path="src/../x", **change) == "ask"


def test_a_parameter_can_be_denied(workspace: Workspace) -> None:
    held = rules(deny=["Bash(timeout:6*)", "Edit(replace_all:true)"])
    assert effect(workspace, held, "Bash", command="ls", timeout=600000) == "deny"
    assert effect(workspace, held, "Bash", command="ls", timeout=1000) == "allow"
    assert effect(workspace, held, "Bash", command="ls") == "allow"
    change: dict[str, Any] = {"file_path": "x", "old_string": "a", "new_string": "b"}
    assert effect(workspace, held, "Edit", **change, replace_all=True) == "deny"
    assert effect(workspace, held, "Edit", **change) == "allow"


@pytest.mark.parametrize(
    ("mode", "read", "edit", "command"),
    [
        (Mode.AUTO, "allow", "allow", "allow"),
        (Mode.ACCEPT_EDITS, "allow", "allow", "ask"),
        (Mode.ASK, "allow", "ask", "ask"),
        (Mode.PLAN, "allow", "deny", "allow"),
    ],
)
def test_the_mode_decides_what_no_rule_speaks_of(
    workspace: Workspace, mode: Mode, read: str, edit: str, command: str
) -> None:
    none = rules()
    assert effect(workspace, none, "Read", mode, file_path="x") == read
    assert effect(workspace, none, "Grep", mode, pattern="x") == read
    assert effect(workspace, none, "Write", mode, file_path="x", content="y") == edit
    assert bash(workspace, none, "make", mode) == command


def test_plan_is_stronger_than_an_allow_rule_and_a_grant(workspace: Workspace) -> None:
    judge = Permissions(rules(allow=["Edit"]), workspace).judge
    given = {"file_path": "x", "content": "y"}
    digest = {call_digest("Write", given)}
    assert judge("Write", given, mode=Mode.PLAN, remembered=digest).effect == "deny"


def test_an_agent_that_is_narrowed_to_some_calls_has_no_others(workspace: Workspace) -> None:
    held = rules(only=["Bash(git *)", "Bash(make)"], allow=["Bash"])
    assert bash(workspace, held, "git status && make") == "allow"
    assert bash(workspace, held, "git status; ls") == "deny"
    assert bash(workspace, held, "$X") == "deny"
    assert effect(workspace, held, "Read", file_path="x") == "allow"


def test_what_was_granted_needs_no_yes_again(workspace: Workspace) -> None:
    judge = Permissions(rules(ask=["Bash(git push *)"], deny=["Bash(rm *)"]), workspace).judge
    push = {"command": "git push origin x"}
    assert judge("Bash", push, mode=Mode.ASK).effect == "ask"
    assert judge("Bash", push, mode=Mode.ASK, remembered={call_digest("Bash", push)}).effect == "allow"
    other = {"command": "git push origin y"}
    assert judge("Bash", other, mode=Mode.ASK, remembered={call_digest("Bash", push)}).effect == "ask"
    granted = [Rule.parse("Bash(git push *)")]
    assert judge("Bash", other, mode=Mode.ASK, granted=granted).effect == "allow"
    assert judge("Bash", {"command": "git push; rm x"}, mode=Mode.ASK, granted=granted).effect == "deny"


def test_searches_leave_out_what_may_not_be_read(workspace: Workspace) -> None:
    held = rules(deny=["Read(./secrets/**)", "Read(*.pem)", "Read(offset:5)", "Edit(x)"])
    assert Permissions(held, workspace).unreadable == ("./secrets/**", "*.pem")


def test_rules_of_two_places_hold_together_in_the_stricter_mode() -> None:
    both = join(
        PermissionRules(deny=(Rule(tool="Bash"),), mode=Mode.ACCEPT_EDITS),
        PermissionRules(allow=(Rule(tool="Edit"),), mode=Mode.AUTO),
    )
    assert both.deny
    assert both.allow
    assert both.mode is Mode.ACCEPT_EDITS
    assert strictest() is Mode.AUTO
    assert strictest(None, Mode.ASK, Mode.PLAN, Mode.AUTO) is Mode.PLAN


def test_a_digest_depends_on_the_call_alone() -> None:
    assert call_digest("Bash", {"a": 1, "b": "x"}) == call_digest("Bash", {"b": "x", "a": 1})
    assert call_digest("Bash", {"a": 1}) != call_digest("Edit", {"a": 1})
    assert call_digest("Bash", {"a": 1}) != call_digest("Bash", {"a": "1"})


def test_rules_that_can_never_match_are_named() -> None:
    held = rules(deny=["WebFetch(domain:x)", "Read(~/x)"], allow=["Bash(timeout:5)", "Edit({a)", "Bash(ls)"])
    problems = check(held)
    assert len(problems) == 4
    assert "there is no tool WebFetch" in problems[0]
    assert "start at the workspace's root" in problems[1]
    assert "not allowed" in problems[2]


def test_the_operators_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "permissions.json"
    said = {
        "deny": ["Bash(git push *)"],
        "ask": ["Bash(make *)"],
        "allow": ["Edit"],
        "defaultMode": "acceptEdits",
    }
    path.write_text(json.dumps({"permissions": said, "model": "haiku"}))
    found = read_permissions(path)
    assert [str(rule) for rule in (*found.deny, *found.ask, *found.allow)] == [
        "Bash(git push *)",
        "Bash(make *)",
        "Edit",
    ]
    assert found.mode is Mode.ACCEPT_EDITS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no JSON"),
        ("[]", 'has no object "permissions"'),
        ('{"permissions": []}', 'has no object "permissions"'),
        ('{"permissions": {"deny": "Bash"}}', "deny must be a list of rules"),
        ('{"permissions": {"deny": ["Bash(x"]}}', "deny: 'Bash(x' is no permission rule"),
        ('{"permissions": {"denied": []}}', "denied is none of deny, ask, allow, defaultMode"),
        ('{"permissions": {"defaultMode": "lax"}}', "defaultMode 'lax' is none of auto"),
        ('{"permissions": {"allow": ["Fetch"]}}', "there is no tool Fetch"),
    ],
)
def test_a_wrong_file_stops_the_start_and_says_why(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "permissions.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_permissions(path)
    assert words in caught.value.detail
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_permissions(tmp_path / "missing.json")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(["command", "file_path", "path", "pattern", "timeout", "x"])


@given(
    tool=st.sampled_from(["Bash", "Read", "Write", "Edit", "Glob", "Grep", "Nothing"]),
    given_=_JSON | st.dictionaries(_NAMES, _JSON, max_size=4),
    mode=st.sampled_from(list(Mode)),
)
@settings(max_examples=300, deadline=None)
def test_whatever_a_model_sends_is_judged(tool: str, given_: Any, mode: Mode) -> None:
    with Workspace.open(Path(__file__).parents[1] / "agent") as here:
        held = rules(
            deny=["Bash(rm *)", "Read(x)"], ask=["Edit(timeout:1)"], allow=["Bash(a *)", "Edit(b/*)"]
        )
        verdict = Permissions(held, here).judge(tool, given_, mode=mode)
    assert verdict.effect in ("deny", "ask", "allow")
    assert verdict.reason


@given(spec=st.text(alphabet="ab* \\:", max_size=12), text=st.text(alphabet="ab* \\:", max_size=12))
@settings(max_examples=500, deadline=None)
def test_stars_agree_with_an_expression(spec: str, text: str) -> None:
    bounded = spec.endswith((" *", ":*"))
    kept = spec[:-2] if bounded else spec
    pieces = [re.escape(piece.replace("\\*", "*")) for piece in re.split(r"(?<!\\)\*", kept)]
    expression = ".*".join(pieces) + (r"(?:[ \t\n].*)?" if bounded else "")
    assert _glob(spec, text) is bool(re.fullmatch(expression, text, re.DOTALL))
