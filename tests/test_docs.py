"""The documents name nothing that is not there: links, headings, scripts, commands, options and settings are
looked up, and so is every message that docs/troubleshooting.md quotes.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from typer import Typer
from typer.main import get_command

from flynn.cli.commands import app
from flynn.settings import VARIABLES

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

NO_SETTINGS = {
    "FLYNN_BIND": "deploy/haproxy.cfg",
    "FLYNN_1": "deploy/haproxy.cfg",
    "FLYNN_2": "deploy/haproxy.cfg",
    "FLYNN_3": "deploy/haproxy.cfg",
    "FLYNN_PROCESS": "deploy/haproxy.cfg",
    "FLYNN_KEY": "examples/quorra/quorra.py",
    "FLYNN_URL": "examples/quorra/quorra.py",
    "FLYNN_CHAOS_SEED": "tests/drills/test_drill_chaos.py",
    "FLYNN_IMAGE": "tests/scripts/test_scripts_container.py",
    "FLYNN_TEST_DATABASE_URL": "tests/postgres.py",
    "FLYNN_TEST_REDIS_URL": "tests/live/conftest.py",
}
"""Variables of other programs than the service, and where each is read or made."""

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
_CALL = re.compile(r"(?:^|[\s`;|&($])(?:\.venv/bin/|/\S*/)?flynn (?P<words>[a-z][^\n|;&`#<>]*)", re.MULTILINE)
_OPTION = re.compile(r"(?<=\s)--[a-z][a-z-]*")
_VARIABLE = re.compile(r"\bFLYNN_[A-Z0-9_]*[A-Z0-9](?![\w…*])")
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


def _code(text: str) -> list[str]:
    """What stands in code: blocks, their continued lines joined, and pieces of lines."""
    blocks = [block.group().replace("\\\n", " ") for block in _FENCE.finditer(text)]
    return blocks + _CODE.findall(_FENCE.sub("", text))


def _unknown_options(text: str) -> set[str]:
    """Options of flynn's commands in code that the command does not have."""
    unknown = set()
    for call in (call for piece in _code(text) for call in _CALL.finditer(piece)):
        command: Any = get_command(app)
        path = []
        words = call["words"].split()
        while words and words[0] in getattr(command, "commands", {}):
            path.append(words.pop(0))
            command = command.commands[path[-1]]
        if not path or command.context_settings.get("ignore_unknown_options"):
            continue
        known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
        for option in _OPTION.findall(f" {' '.join(words)}"):
            if option not in known | {"--help"}:
                unknown.add(f"{' '.join(path)} {option}")
    return unknown


@cache
def _told() -> list[str]:
    """Every text of the code; what is filled in is one NUL."""
    found = []
    for file in (ROOT / "backend" / "flynn").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(
                        str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values
                    )
                )
    return found


def _untold(message: str) -> bool:
    """Whether no text of the code says `message`, in which `…` stands for what is filled in."""
    pieces = [re.escape(piece.strip()) for piece in message.split("…") if piece.strip()]
    pattern = re.compile(r"\s?[^\n]*?\s?".join(pieces))
    return not any(pattern.search(text) for text in _told())


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


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_option_that_is_named_exists(document: Path) -> None:
    assert sorted(_unknown_options(document.read_text(encoding="utf-8"))) == []


def test_the_check_of_options_finds_what_does_not_exist() -> None:
    block = "```bash\nA=1 .venv/bin/flynn keys create x \\\n  --scope chat --colour red\n```"
    text = f"`flynn serve --port 1`\n{block}"
    assert sorted(_unknown_options(text)) == ["keys create --colour"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_setting_that_is_named_exists(document: Path) -> None:
    named = set(_VARIABLE.findall(document.read_text(encoding="utf-8")))
    assert sorted(named - VARIABLES.keys() - NO_SETTINGS.keys()) == []


def test_a_variable_that_is_no_setting_is_where_it_is_said_to_be() -> None:
    for name, place in NO_SETTINGS.items():
        assert name not in VARIABLES
        assert name in (ROOT / place).read_text(encoding="utf-8"), name
    unit = (ROOT / "deploy" / "flynn.service").read_text(encoding="utf-8")
    assert {"FLYNN_DATA_DIR"} <= set(_VARIABLE.findall(unit)) <= VARIABLES.keys()


def test_every_message_of_the_troubleshooting_is_one_of_the_code() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    assert len(quoted) > 30
    assert [message for message in quoted if _untold(message)] == []
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| It says")]
    assert len(rows) == len(quoted)
    assert _untold("The database has schema …, made by an older version")


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
    assert {"page.png", "architecture.svg"} <= {picture.name for picture in pictures}


def test_the_picture_of_the_architecture_can_be_read_on_both_grounds_and_aloud() -> None:
    picture = fromstring((ROOT / "docs" / "images" / "architecture.svg").read_text(encoding="utf-8"))
    found = {element.tag.rpartition("}")[2]: "".join(element.itertext()) for element in picture.iter()}
    assert "prefers-color-scheme: dark" in found["style"]
    assert len(found["desc"]) > 200
    assert picture.get("aria-labelledby") == "title description"
    # Nothing is fetched, and nothing runs.
    assert not {"script", "image", "use", "foreignObject"} & found.keys()


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
