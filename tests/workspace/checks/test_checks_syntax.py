"""YAML, TOML and JSON: what does not parse, what stands twice, and what is fine. No process is needed."""

import pytest

from flynn.sandbox.command import Sandbox
from flynn.workspace.checks.json_syntax import JSON
from flynn.workspace.checks.linters import LINTERS
from flynn.workspace.checks.toml_syntax import TOML
from flynn.workspace.checks.yaml_syntax import YAML
from tests.workspace.checks.conftest import Lint, places


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("a: 1\nb: [1, 2]\nc: &x {d: 1}\ne: *x\nf:\n  <<: *x\n---\nsecond: document\n", []),
        ("on: push\nurl: http://x/y?z#w\nemoji: 🚀\ntag: !vault |\n  1234\n", []),
        ("", []),
        ("a: [1\nb: 2\n", [("error", "syntax", "x.yml", 2)]),
        ("a:\n\t- 1\n", [("error", "syntax", "x.yml", 2)]),
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n", None),
        ("a: \x07\n", [("error", "syntax", "x.yml", 1)]),
        ("a: *missing\n", [("error", "syntax", "x.yml", 1)]),
        ("[" * 100_000, [("error", "syntax", "x.yml", 1)]),
    ],
)
async def test_yaml(
    lint: Lint, no_sandbox: Sandbox, content: str, found: list[tuple[str, str, str, int]] | None
) -> None:
    checked = await lint(YAML, files={"x.yml": content.encode()}, within=no_sandbox)
    twice = [("error", "duplicate-key", "x.yml", 5), ("error", "duplicate-key", "x.yml", 6)]
    got = places(checked)
    if content.startswith("["):
        assert [(severity, rule) for severity, rule, _, _ in got] == [("error", "syntax")]
    else:
        assert got == (twice if found is None else found)


async def test_yaml_that_grows_without_end_when_it_is_written_out_is_a_fault(
    lint: Lint, no_sandbox: Sandbox
) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
    files = {
        "bomb.yaml": "\n".join(lines),
        "round.yaml": "a: &a\n  b: *a\n",
        "fine.yaml": "\n".join(lines[:4]),
    }
    checked = await lint(YAML, files=files, within=no_sandbox)
    assert places(checked) == [
        ("error", "syntax", "bomb.yaml", 7),
        ("error", "syntax", "round.yaml", 2),
    ]


async def test_templates_are_no_yaml_yet(lint: Lint, no_sandbox: Sandbox) -> None:
    files = {
        "chart/Chart.yaml": "name: x\n",
        "chart/templates/service.yaml": "{{- if .Values.on }}\na: {{ .b }}\n",
        "{{name}}/values.yaml": "a: {{ b }}: {{ c }}\n",
        "other/templates/service.yaml": "{{- if }}\n: : :",
    }
    checked = await lint(YAML, files=files, within=no_sandbox)
    assert [path for _, _, path, _ in places(checked)] == ["other/templates/service.yaml"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("[a]\nb = 1\n", None),
        ("[a]\nb = \n", 2),
        ("[a]\nb = 1\nb = 2\n", 3),
        ('[a]\nb = "open\n', 2),
        ("a = " + "[" * 5_000, 1),
    ],
)
async def test_toml(lint: Lint, no_sandbox: Sandbox, content: str, line: int | None) -> None:
    got = places(await lint(TOML, files={"x.toml": content}, within=no_sandbox))
    if len(content) > 1_000:
        assert [rule for _, rule, _, _ in got] == ["syntax"]
    else:
        assert got == ([("error", "syntax", "x.toml", line)] if line else [])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"a": {"b": 1}, "c": [{"b": 2}, {"b": 3}], "d": "a: {"}', []),
        ('{"a": 1,}', [("error", "syntax", "x.json", 1)]),
        ('{\n "a": 1,\n "b": {"a": 2,\n  "a": 3}\n}', [("error", "duplicate-key", "x.json", 4)]),
        ("", [("error", "syntax", "x.json", None)]),
        ('{"a": ' + "[" * 100_000, [("error", "syntax", "x.json", None)]),
        ('{"a": ' + "1" * 10_000 + "}", [("error", "syntax", "x.json", None)]),
    ],
)
async def test_json(
    lint: Lint, no_sandbox: Sandbox, content: str, found: list[tuple[str, str, str, int | None]]
) -> None:
    assert places(await lint(JSON, files={"x.json": content}, within=no_sandbox)) == found


async def test_files_that_may_hold_comments_and_lock_files_are_left_alone(
    lint: Lint, no_sandbox: Sandbox
) -> None:
    files = dict.fromkeys(("tsconfig.json", ".vscode/settings.json", "package-lock.json"), "// not JSON")
    checked = await lint(JSON, files=files, within=no_sandbox)
    assert (checked.ran, checked.findings, checked.not_run) == ((), (), ())


async def test_a_file_that_cannot_be_read_as_text_is_named(lint: Lint, no_sandbox: Sandbox) -> None:
    files: dict[str, str | bytes] = {"big.json": b"[" + b"1," * (1 << 20) + b"1]", "binary.yml": b"a: \0\xff"}
    checked = await lint(JSON, YAML, files=files, within=no_sandbox)
    assert [(gap.tool, gap.path) for gap in checked.not_run] == [("json", "big.json"), ("yaml", "binary.yml")]
    assert checked.findings == ()


async def test_every_linter_has_a_name_and_takes_nothing_that_nobody_knows(
    lint: Lint, no_sandbox: Sandbox
) -> None:
    checked = await lint(*LINTERS, files={"notes.unknown": "x", "LICENSE": "y"}, within=no_sandbox)
    assert (checked.ran, checked.findings, checked.not_run) == ((), (), ())
    assert all(linter.tool for linter in LINTERS)
