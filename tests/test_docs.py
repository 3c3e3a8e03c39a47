"""The documents name nothing that is not there: links, headings and scripts are looked up."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from typer import Typer

from flynn.cli.commands import app

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1[^\n]*$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^()\s]+)\)")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6} +(?P<words>.+?)\s*$", re.MULTILINE)
_COMMAND = re.compile(
    r"(?:^|[`;|&(])\s*(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?flynn "
    r"(?P<first>[a-z]\w*(?:-\w+)*)(?: (?P<second>[a-z]\w*))?",
    re.MULTILINE,
)
_SCRIPT = re.compile(r"(?<![\w/-])(?:\./)?(?P<path>scripts/[\w./-]*\w)")


def _prose(document: Path) -> str:
    """The text outside of fenced blocks, where Markdown's links and headings live."""
    return _FENCE.sub("", document.read_text(encoding="utf-8"))


def _links(document: Path) -> Iterator[str]:
    """Targets inside the repository."""
    for link in _LINK.finditer(_CODE.sub("", _prose(document))):
        if not _ELSEWHERE.match(link["target"]):
            yield link["target"]


@cache
def _anchors(document: Path) -> frozenset[str]:
    """The names that GitHub gives to a document's headings."""
    words = (heading["words"].lower() for heading in _HEADING.finditer(_prose(document)))
    return frozenset(re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in words)


def _broken(document: Path, target: str) -> str | None:
    name, _, anchor = target.partition("#")
    found = (document.parent / name).resolve() if name else document
    if not found.is_relative_to(ROOT):
        return f"{target} leads out of the repository"
    if not found.exists():
        return f"{target} leads nowhere"
    if anchor and anchor not in _anchors(found):
        return f"{target}: {found.name} has no such heading"
    return None


def _unknown_commands(text: str) -> set[str]:
    """Commands of flynn in code, in lines or in blocks, that the command line does not have."""
    pieces = [block.group() for block in _FENCE.finditer(text)]
    pieces += _CODE.findall(_FENCE.sub("", text))
    found = (match for piece in pieces for match in _COMMAND.finditer(piece))
    return {unknown for match in found if (unknown := _unknown(match["first"], match["second"] or ""))}


def _unknown(first: str, second: str) -> str | None:
    command = _commands().get(first)
    if command is None:
        return first
    return f"{first} {second}" if command and second and second not in command else None


@cache
def _commands() -> dict[str, frozenset[str]]:
    """The commands of the command line, each with those below it, if it has any."""
    below = {str(group.name): _names(group.typer_instance) for group in app.registered_groups}
    return dict.fromkeys(_names(app), frozenset[str]()) | below


def _names(commands: Typer | None) -> frozenset[str]:
    found = commands.registered_commands if commands is not None else []
    return frozenset(each.name or (each.callback.__name__ if each.callback else "") for each in found)


def _name(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_link_resolves(document: Path) -> None:
    assert [problem for target in _links(document) if (problem := _broken(document, target))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_script_that_is_named_exists(document: Path) -> None:
    named = {found["path"] for found in _SCRIPT.finditer(document.read_text(encoding="utf-8"))}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_command_that_is_named_exists(document: Path) -> None:
    assert sorted(_unknown_commands(document.read_text(encoding="utf-8"))) == []


def test_the_check_of_commands_finds_what_does_not_exist() -> None:
    text = "`flynn keys mend x` of `flynn keys`, flynn walks\n```bash\nA=1 flynn play\nflynn keys list\n```"
    assert sorted(_unknown_commands(text)) == ["keys mend", "play"]


def test_every_decision_is_numbered_in_turn_and_listed() -> None:
    records = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("0*.md"))
    assert [name[:4] for name in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    assert [link for link in _links(ROOT / "docs" / "decisions" / "README.md") if link in records] == records
    for name in records:
        text = (ROOT / "docs" / "decisions" / name).read_text(encoding="utf-8")
        assert text.startswith(f"# {name[:4]} ")
        assert {"context", "decision", "consequences"} <= _anchors(ROOT / "docs" / "decisions" / name)


def test_every_picture_is_shown_and_small() -> None:
    shown = {(document.parent / target).resolve() for document in DOCUMENTS for target in _links(document)}
    pictures = sorted((ROOT / "docs" / "images").iterdir())
    assert [picture.name for picture in pictures if picture not in shown] == []
    assert [picture.name for picture in pictures if picture.stat().st_size > 300_000] == []
    assert "page.png" in {picture.name for picture in pictures}


def test_the_readme_begins_with_the_two_commands() -> None:
    block = re.search(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert block is not None
    commands = [line.split()[0] for line in block[1].splitlines()]
    assert commands == ["./scripts/start.sh", "./scripts/test.sh"]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("[a](../README.md) [b](decisions/README.md#decisions) [c](https://flynn.example/x)", []),
        ("[a](absent.md)", ["absent.md leads nowhere"]),
        ("[a](../../outside.md)", ["../../outside.md leads out of the repository"]),
        ("[a](#absent)\n# Present", ["#absent: page.md has no such heading"]),
        ("[a](#the-way-of-x)\n## The way of `x`", []),
        ("```\n[a](absent.md)\n```\n`[b](absent.md)`", []),
    ],
)
def test_the_check_itself_finds_what_is_broken(
    text: str, problems: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs" / "decisions").mkdir(parents=True)
    (tmp_path / "README.md").touch()
    (tmp_path / "docs" / "decisions" / "README.md").write_text("# Decisions\n")
    page = tmp_path / "docs" / "page.md"
    page.write_text(text)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert [found for target in _links(page) if (found := _broken(page, target))] == problems
