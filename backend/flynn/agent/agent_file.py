"""A sub-agent file in Claude Code's format: YAML front matter, then the system prompt.

Any file from the wild is read (flynn.agent.front_matter); what would be served otherwise than its
author wrote it is said in `warnings`, and what cannot be served raises AgentUnusable with a line.
Field names and their meaning: Claude Code's sub-agent documentation.
"""

import hashlib
import re
from collections.abc import Collection, Iterable
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict

from flynn.agent.front_matter import Field, FrontMatter, NotFrontMatter, normalise, read_front_matter
from flynn.agent.rule_match import check_rule
from flynn.domain.content import clean
from flynn.domain.errors import InvalidInput
from flynn.domain.permission import BadRule, PermissionMode, PermissionRules, Rule
from flynn.tools.pattern import BadPattern

TOOL_NAMES: Final = ("Read", "Write", "Edit", "Glob", "Grep", "Bash", "TaskOutput", "TaskStop")
COMPANIONS: Final = {"TaskOutput": "Bash", "TaskStop": "Bash"}
"""Tools that an agent gets with another one, and never without it."""
EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
MAX_CHARACTERS: Final = 262_144
"""The longest file that is read: a system prompt of some 65,000 tokens, far past what anybody should pay."""

_READ: Final = frozenset(
    {"name", "description", "model", "tools", "disallowedTools", "effort", "maxTurns", "permissionMode"}
)
_MODES: Final = {
    "default": None,
    "acceptEdits": PermissionMode.ACCEPT_EDITS,
    "plan": PermissionMode.PLAN,
    "auto": PermissionMode.AUTO,
    "bypassPermissions": PermissionMode.AUTO,
}
"""Claude Code's modes as ours. The operator's mode holds where it is stricter; `default` leaves it to it."""
_SILENT: Final = frozenset({"color"})
"""Fields that change nothing but looks: kept without a word."""

_NAME = re.compile(r"\w[\w .:-]{0,63}")
_PLAIN_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class AgentUnusable(InvalidInput):
    """An agent file cannot be served. `source` and `line` say where, `reason` what would be right."""

    code: ClassVar[str] = "agent-unusable"
    title: ClassVar[str] = "This agent file cannot be served"

    def __init__(self, reason: str, *, source: str, line: int) -> None:
        super().__init__(f"{source}:{line}: {reason}", source=source, line=line)
        self.reason = reason
        self.source = source
        self.line = line


class AgentFile(BaseModel):
    """An agent as its file declares it.

    `model` is as written: an alias, a full id, `inherit` or None. `tools` are names that this service
    has, None for all of them; `disallowed_tools` are taken off first. `rules` are the calls that
    entries with a pattern, such as `Bash(npm run *)`, narrow a tool to, `denied` those that
    `disallowedTools` forbids in this way. `unknown_fields` hold the YAML text of the fields
    that are not acted upon. `version` is the sha256 of the file, line ends and byte order mark apart.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    description: str
    prompt: str
    version: str
    source: str
    model: str | None = None
    tools: tuple[str, ...] | None = None
    disallowed_tools: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    denied: tuple[Rule, ...] = ()
    permission_mode: PermissionMode | None = None
    effort: str | None = None
    max_turns: int | None = None
    unknown_fields: dict[str, str] = {}
    warnings: tuple[str, ...] = ()

    def offered(self, known_tools: Iterable[str]) -> tuple[str, ...]:
        """Those of `known_tools` that the agent gets, in their order; companions come with their tool."""
        return tuple(tool for tool in known_tools if self._gets(COMPANIONS.get(tool, tool)))

    def _gets(self, tool: str) -> bool:
        return tool not in self.disallowed_tools and (self.tools is None or tool in self.tools)

    @property
    def permissions(self) -> PermissionRules:
        """What the file says of its tools' calls, beside which tools there are."""
        return PermissionRules(
            deny=self.denied, only=self.rules, mode=self.permission_mode or PermissionMode.AUTO
        )


def parse_agent(text: str, *, source: str, known_tools: Collection[str] = TOOL_NAMES) -> AgentFile:
    """Read a sub-agent file. `source` names it in messages; `known_tools` are those we can offer.

    Raises AgentUnusable when there is no head, no name, no description, no prompt, or no tool left.
    """
    if len(text) > MAX_CHARACTERS:
        reason = f"the file has {len(text):,} characters; {MAX_CHARACTERS:,} are the most"
        raise AgentUnusable(reason, source=source, line=1)
    text = normalise(text)
    try:
        head = read_front_matter(clean(text))
    except NotFrontMatter as problem:
        raise AgentUnusable(problem.reason, source=source, line=problem.line) from None
    return _Reader(head, source, tuple(known_tools)).read(version=_digest(text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class _Reader:
    """Reads one head field by field, collecting what to tell the author."""

    def __init__(self, head: FrontMatter, source: str, known_tools: tuple[str, ...]) -> None:
        self._head = head
        self._source = source
        self._known = known_tools
        self._warnings = list(head.warnings)

    def read(self, *, version: str) -> AgentFile:
        name = self._name()
        description = self._needed("description").replace("\\n", "\n")
        if not self._head.body.strip():
            raise self._unusable(
                "there is no text after the head; it is the system prompt", self._head.body_line
            )
        tools, rules = self._tools("tools")
        disallowed, denied = self._tools("disallowedTools")
        agent = AgentFile(
            name=name,
            description=description,
            prompt=self._head.body,
            version=version,
            source=self._source,
            model=self._text("model"),
            tools=tools,
            disallowed_tools=disallowed or (),
            rules=rules,
            denied=denied,
            permission_mode=self._permission_mode(),
            effort=self._effort(),
            max_turns=self._max_turns(),
            unknown_fields=self._unknown(),
            warnings=tuple(self._warnings),
        )
        if not agent.offered(self._known):
            raise self._unusable(
                f"none of its tools can be offered; there are {', '.join(self._known)}"
                " (leave `tools` out for all of them)",
                self._line("tools" if tools is not None else "disallowedTools"),
            )
        return agent

    def _unusable(self, reason: str, line: int) -> AgentUnusable:
        return AgentUnusable(reason, source=self._source, line=line)

    def _line(self, key: str) -> int:
        field = self._head.fields.get(key)
        return field.line if field else 1

    def _warn(self, key: str, message: str) -> None:
        self._warnings.append(f"line {self._line(key)}: {message}")

    def _text(self, key: str) -> str | None:
        field = self._head.fields.get(key)
        return field.text.strip() or None if field and field.text else None

    def _needed(self, key: str) -> str:
        value = self._text(key)
        if value is None:
            raise self._unusable(f"the head needs a {key}", self._line(key))
        return value

    def _name(self) -> str:
        name = self._needed("name")
        if not _NAME.fullmatch(name):
            raise self._unusable(
                f"the name {name[:80]!r} cannot be used: 1 to 64 letters, digits, blanks and . : _ -",
                self._line("name"),
            )
        if not _PLAIN_NAME.fullmatch(name):
            self._warn("name", f"the name {name!r} is served as it is; lower case with hyphens is customary")
        return name

    def _tools(self, key: str) -> tuple[tuple[str, ...] | None, tuple[Rule, ...]]:
        """The tool names of `key` (None: not narrowed), and its entries with a pattern as rules.

        A pattern in `tools` also names the tool; one in `disallowedTools` forbids some calls of it only.
        """
        field = self._head.fields.get(key)
        if field is None or field.text is None:
            if field is not None:
                self._warn(key, f"{key} is empty and was read as left out")
            return None, ()
        entries = _entries(field)
        if "*" in entries:
            return (self._known if key == "disallowedTools" else None), ()
        names: list[str] = []
        rules: list[Rule] = []
        whole: set[str] = set()
        for entry in entries:
            name, _, pattern = entry.partition("(")
            tool = next((known for known in self._known if known.casefold() == name.casefold()), None)
            if tool is None:
                self._warn(key, f"{entry!r} is no tool of this service and was dropped from {key}")
                continue
            if tool != name:
                self._warn(key, f"{name!r} was read as {tool}")
            if tool in COMPANIONS and (key != "tools" or COMPANIONS[tool].casefold() not in _names(entries)):
                self._warn(
                    key, f"{tool} comes with {COMPANIONS[tool]} and goes with it; it has no effect here"
                )
            rule = self._rule(key, tool, entry) if pattern else None
            if rule is None:
                whole.add(tool)
            else:
                rules.append(rule)
            if tool not in names and (rule is None or key == "tools"):
                names.append(tool)
        return tuple(names), tuple(rule for rule in rules if rule.tool not in whole)

    def _rule(self, key: str, tool: str, entry: str) -> Rule | None:
        """The rule that an entry with a pattern is; None for one that means the whole tool."""
        spec = entry.partition("(")[2]
        if not spec.endswith(")"):
            self._warn(key, f"{entry!r} lacks its closing parenthesis and was read with one")
            spec += ")"
        try:
            rule = Rule.parse(f"{tool}({spec}")
            check_rule(rule, "only" if key == "tools" else "deny")
        except (BadRule, BadPattern) as error:
            raise self._unusable(f"{entry!r} in {key}: {error}", self._line(key)) from None
        return rule if rule.spec is not None else None

    def _permission_mode(self) -> PermissionMode | None:
        asked = self._text("permissionMode")
        if asked is None or asked in _MODES:
            return _MODES[asked] if asked else None
        self._warn(
            "permissionMode",
            f"permissionMode {asked!r} is none of {', '.join(_MODES)}; whatever acts is asked for",
        )
        return PermissionMode.ASK

    def _effort(self) -> str | None:
        effort = self._text("effort")
        if effort is None or effort.casefold() in EFFORTS:
            return effort.casefold() if effort else None
        self._warn("effort", f"effort {effort!r} is none of {', '.join(EFFORTS)}; the default is used")
        return None

    def _max_turns(self) -> int | None:
        turns = self._text("maxTurns")
        if turns is None:
            return None
        if re.fullmatch(r"[1-9][0-9]{0,5}", turns):
            return int(turns)
        self._warn("maxTurns", f"maxTurns {turns!r} is no whole number above 0; the default is used")
        return None

    def _unknown(self) -> dict[str, str]:
        unknown = {key: field.raw for key, field in self._head.fields.items() if key not in _READ}
        for key in unknown:
            if key not in _SILENT:
                self._warn(key, f"{key} is kept but has no effect here")
        return unknown


def _names(entries: Iterable[str]) -> set[str]:
    """The tools that `entries` name, case-folded."""
    return {entry.partition("(")[0].casefold() for entry in entries}


def _entries(field: Field) -> list[str]:
    """The entries of a tool list, written as text or as a YAML list.

    YAML cuts `[Bash(npm run a, b), Read]` inside the parentheses, so items are joined before splitting.
    """
    if field.items is None:
        return _split((field.text or "").strip().removeprefix("[").removesuffix("]"))
    joined = ", ".join(field.items)
    if joined.count("(") == joined.count(")"):
        return _split(joined)
    return [entry for item in field.items for entry in _split(item)]


def _split(text: str) -> list[str]:
    """Split at commas and blanks outside of parentheses; `Bash(a, b)` is one entry."""
    entries = [""]
    depth = 0
    for character in text:
        depth = max(0, depth + (character == "(") - (character == ")"))
        if depth == 0 and (character == "," or character.isspace()):
            entries.append("")
        else:
            entries[-1] += character
    return [bare for entry in entries if (bare := entry.strip("\"'"))]
