"""The head of a sub-agent file: finds it, and reads its top-level fields.

Strict YAML first. People write heads that YAML refuses (`description: Use when: …`), and Claude Code
reads them all the same, so what YAML refuses is read line by line. Values are kept as text: what a
field means is for flynn.agent.agent_file to say. Anchors, aliases and tags are text.
"""

import re
from dataclasses import dataclass
from typing import Final

import yaml

FENCE: Final = "---"
MAX_HEAD_CHARACTERS: Final = 65_536
FIELDS: Final = frozenset(
    {
        "name", "description", "model", "tools", "disallowedTools", "effort", "permissionMode", "mcpServers",
        "hooks", "maxTurns", "autoCompactWindow", "skills", "initialPrompt", "memory", "background",
        "omitClaudeMd", "isolation", "color", "observer", "observerMessage", "observeToolResults",
        "observeSubagents", "experimental",
    }
)  # fmt: skip
"""The fields that Claude Code 2.1.330 knows. Only these are seen without a blank after the colon."""

_BRACKETS: Final = 200
_PAIR = re.compile(r"(?P<key>[A-Za-z_][\w-]*)[ \t]*:(?P<gap>[ \t]+|$)?(?P<value>.*)")
_BLOCK = re.compile(r"[|>][+-]?[1-9]?[+-]?[ \t]*(?:#.*)?")
_ITEM = re.compile(r"[ \t]*-[ \t]+(?P<item>.*)")
_CLOSED_EARLY = re.compile(r'[^"\\]*"[\s,.;]')
_DOUBLE_ESCAPE = re.compile(r'\\(["\\])')


class NotFrontMatter(ValueError):
    """The text does not begin with a head between two lines of three dashes."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True)
class Field:
    """One top-level field: its value as text, as items when it was written as a list, and its line.

    `text` is None when nothing was written after the colon. `raw` is the value as it stands in the file.
    """

    key: str
    line: int
    text: str | None
    raw: str
    items: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The fields by name, the first line of the body (counted from 1), and what to tell the author."""

    fields: dict[str, Field]
    body: str
    body_line: int
    warnings: tuple[str, ...]


def normalise(text: str) -> str:
    """Drop a byte order mark, make every line end in one LF, and end the text with exactly one."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").rstrip() + "\n"


def read_front_matter(text: str) -> FrontMatter:
    """Split normalised `text` at its fences and read the fields. Raises NotFrontMatter."""
    lines = text.split("\n")
    opened = next((number for number, line in enumerate(lines) if line.strip()), None)
    if opened is None or lines[opened].rstrip() != FENCE:
        raise NotFrontMatter(f"a sub-agent file begins with a line of three dashes ({FENCE})", 1)
    closed = next((n for n in range(opened + 1, len(lines)) if lines[n].rstrip() == FENCE), None)
    if closed is None:
        raise NotFrontMatter(f"the head that begins here is never closed by a line {FENCE}", opened + 1)
    head = lines[opened + 1 : closed]
    if (size := sum(map(len, head))) > MAX_HEAD_CHARACTERS:
        raise NotFrontMatter(
            f"the head has {size:,} characters; {MAX_HEAD_CHARACTERS:,} are the most", opened + 1
        )
    warnings = [] if opened == 0 else ["blank lines before the head were skipped"]
    fields, said = _read_fields(head, first_line=opened + 2)
    return FrontMatter(
        fields=fields,
        body="\n".join(lines[closed + 1 :]).strip("\n"),
        body_line=closed + 2,
        warnings=(*warnings, *said),
    )


def _read_fields(head: list[str], *, first_line: int) -> tuple[dict[str, Field], list[str]]:
    try:
        fields, warnings = _strictly("\n".join(head) + "\n", first_line)
    except (yaml.YAMLError, RecursionError) as refusal:
        fields, warnings = _leniently(head, first_line)
        return fields, [f"{_where(refusal, first_line)}not valid YAML, read line by line", *warnings]
    # A value that begins with "#" is a comment to YAML, and then the field has no value at all.
    for key, lenient in _leniently(head, first_line)[0].items():
        strict = fields.get(key)
        if strict is not None and strict.text is None and strict.items is None and lenient.text:
            fields[key] = lenient
            warnings.append(
                f"line {lenient.line}: {key} begins with # and was read as text; put it in quotes"
            )
    return fields, warnings


def _where(refusal: Exception, first_line: int) -> str:
    mark = getattr(refusal, "problem_mark", None)
    return f"line {first_line + mark.line}: " if mark is not None else ""


def _refuse_references(head: str) -> None:
    """Raise yaml.YAMLError for anchors, aliases and tags, and for a head of mostly brackets.

    `&`, `*` and `!` at the start of a value are meant as text there, a few aliases can unfold to
    gigabytes, and PyYAML takes a millisecond for every six open brackets.
    """
    if head.count("[") + head.count("{") > _BRACKETS:
        raise yaml.YAMLError(f"there are more than {_BRACKETS} brackets")
    for event in yaml.parse(head, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.NodeEvent) and (event.anchor or getattr(event, "tag", None)):
            raise yaml.YAMLError("anchors, aliases and tags are not read")


def _strictly(head: str, first_line: int) -> tuple[dict[str, Field], list[str]]:
    """Read `head` as a YAML mapping. Raises yaml.YAMLError for what YAML, or a repeated key, forbids."""
    _refuse_references(head)
    root = yaml.compose(head, Loader=yaml.SafeLoader)
    if root is None:
        return {}, []
    if not isinstance(root, yaml.MappingNode):
        raise yaml.MarkedYAMLError(problem="not a mapping", problem_mark=root.start_mark)
    fields: dict[str, Field] = {}
    warnings: list[str] = []
    for key_node, node in root.value:
        if not isinstance(key_node, yaml.ScalarNode) or key_node.value in fields:
            raise yaml.MarkedYAMLError(problem="unusable key", problem_mark=key_node.start_mark)
        line = first_line + key_node.start_mark.line
        raw = head[node.start_mark.index : node.end_mark.index].rstrip()
        match node:
            case yaml.ScalarNode():
                text = None if node.tag.endswith(":null") and not node.style else node.value
                fields[key_node.value] = Field(key_node.value, line, text, raw)
                rest = head[node.end_mark.index :].split("\n", 1)[0]
                if text is not None and node.style is None and rest.lstrip().startswith("#"):
                    warnings.append(
                        f"line {line}: YAML takes {rest.strip()!r} for a comment;"
                        " put the value in quotes to keep it"
                    )
            case yaml.SequenceNode():
                items = tuple(item.value for item in node.value if isinstance(item, yaml.ScalarNode))
                fields[key_node.value] = Field(key_node.value, line, raw, raw, items)
            case _:
                fields[key_node.value] = Field(key_node.value, line, raw, raw)
    return fields, warnings


def _leniently(head: list[str], first_line: int) -> tuple[dict[str, Field], list[str]]:
    """Read `key: value` at the start of a line; every other line goes on with the field above it."""
    found: list[tuple[str, int, list[str]]] = []
    warnings: list[str] = []
    for number, line in enumerate(head, start=first_line):
        pair = _PAIR.fullmatch(line)
        if pair is not None and _begins_field(pair, found, head[number - first_line :]):
            found.append((pair["key"], number, [pair["value"]]))
        elif found:
            found[-1][2].append(line)
        elif line.strip() and not line.lstrip().startswith("#"):
            warnings.append(f"line {number}: belongs to no field and was left out")
    fields: dict[str, Field] = {}
    for key, number, lines in found:
        if key in fields:
            warnings.append(f"line {number}: {key} appears a second time and was left out")
        else:
            fields[key] = _field(key, number, lines)
    return fields, warnings


def _begins_field(pair: re.Match[str], found: list[tuple[str, int, list[str]]], below: list[str]) -> bool:
    """Whether this line is a field of its own and not a line of the description above it.

    Descriptions from the wild hold dialogues (`user: "…"`) between <example> tags at the left margin.
    """
    if found and any("</example>" in line for line in below):
        above = "\n".join(found[-1][2])
        if above.count("<example>") > above.count("</example>"):
            return False
    if pair["key"] in FIELDS:
        return True
    return pair["gap"] is not None and pair["key"][0].islower()


def _field(key: str, line: int, lines: list[str]) -> Field:
    raw = "\n".join(lines).strip()
    items = [match["item"] for match in map(_ITEM.fullmatch, lines[1:]) if match is not None]
    if not lines[0].strip() and items:
        return Field(key, line, raw, raw, tuple(_unquote(item.strip()) for item in items))
    if _BLOCK.fullmatch(lines[0].strip()):
        lines = lines[1:]
    text = "\n".join(part.strip() for part in lines).strip()
    return Field(key, line, _unquote(text) or None, raw)


def _unquote(text: str) -> str:
    """Take off quotes that open and close the whole value; one that is left open is part of the text."""
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "\"'":
        return text
    inner = text[1:-1]
    if text[0] == '"' and _CLOSED_EARLY.match(inner):
        return text
    return _DOUBLE_ESCAPE.sub(r"\1", inner) if text[0] == '"' else inner.replace("''", "'")
