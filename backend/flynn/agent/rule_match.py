"""Holding a permission rule against a tool call.

Specs are read as Claude Code reads them:

- `Bash(npm run *)`: `*` stands for anything; ` *` or `:*` at the end also for nothing. Each command of a
  compound one is held against the rules (flynn.tools.shell): one that matches denies or asks for the whole;
  all must match to allow it.
- `Read(./secrets/**)`, `Edit(*.lock)`: globs as in .gitignore, from the workspace's root. Read speaks of
  Glob and Grep too, Edit of Write, and both of the files that a command redirects from or to.
- `Bash(run_in_background:true)`: a parameter's value; to deny or ask only.
"""

import posixpath
import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Final

from flynn.domain.content import Json
from flynn.domain.errors import WorkspaceError
from flynn.domain.permission import BadRule, Rule
from flynn.tools.pattern import compile_glob
from flynn.tools.shell import Redirect, Script, SimpleCommand, take_apart
from flynn.tools.toolset import TOOLS
from flynn.workspace.path import join
from flynn.workspace.root import Workspace

_SPEAKS_OF: Final = {"Read": ("Glob", "Grep"), "Edit": ("Write",)}
"""Tools that a rule for another tool covers."""
_PATHS: Final = {
    **dict.fromkeys(("Read", "Write", "Edit"), "file_path"),
    **dict.fromkeys(("Glob", "Grep"), "path"),
}
_HARMLESS_TARGETS: Final = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr"})
_PARAMETER: Final = re.compile(r"(-?\w+):(.*)", re.DOTALL)


def check_rule(rule: Rule, effect: str) -> None:
    """Raise BadRule or BadPattern when `rule` can never be held against a call."""
    if rule.tool not in TOOLS:
        raise BadRule(f"there is no tool {rule.tool}; the tools are {', '.join(TOOLS)}")
    if rule.spec is None:
        return
    if parameter_of(rule) is not None:
        if effect in ("allow", "only"):
            raise BadRule("a parameter's value can be denied or asked for, not allowed")
        return
    if rule.tool in _PATHS:
        _path_pattern(rule.spec)
    elif rule.tool != "Bash":
        raise BadRule(f"{rule.tool} takes no pattern; write {rule.tool} or {rule.tool}(parameter:value)")


class JudgedCall:
    """One call as rules see it."""

    def __init__(self, tool: str, given: dict[str, Json], workspace: Workspace, cwd: str) -> None:
        self.tool = tool
        self.given = given
        self._workspace = workspace
        self._cwd = cwd
        command = given.get("command")
        self.command = command if tool == "Bash" and isinstance(command, str) else ""

    @cached_property
    def script(self) -> Script:
        """The command's parts; only taken apart when a rule speaks of them."""
        return take_apart(self.command)

    def first(self, rules: Sequence[Rule]) -> Rule | None:
        """The first of `rules` that any part of the call matches."""
        return next((rule for rule in rules if self._any(rule)), None)

    def allowed_by(self, rules: Sequence[Rule], *, edits: bool) -> bool:
        """Whether every part of the call is matched by one of `rules`.

        `edits`: a command may redirect into files as it likes, since the mode lets files be changed.
        """
        mine = [rule for rule in rules if concerns(rule, self.tool) and parameter_of(rule) is None]
        if not mine or any(rule.spec is None for rule in mine):
            return bool(mine)
        if self.tool != "Bash":
            paths = self._paths(self.given.get(_PATHS.get(self.tool, "")))
            return bool(paths) and all(any(_covers(rule, path) for rule in mine) for path in paths)
        whole = self.command.strip()
        if any(rule.spec == whole for rule in mine):
            return True
        if self.script.opaque or not self.script.commands:
            return False
        return all(any(_fits(rule, part) for rule in mine) for part in self.script.commands) and all(
            edits or self._may_open(redirect, rules) for redirect in self.script.redirects
        )

    def _may_open(self, redirect: Redirect, rules: Sequence[Rule]) -> bool:
        if not redirect.writes or redirect.path in _HARMLESS_TARGETS:
            return True
        if redirect.path is None:
            return False
        mine = [rule for rule in rules if rule.tool == "Edit"]
        paths = self._paths(redirect.path, from_cwd=True)
        return bool(paths) and all(any(_covers(rule, path) for rule in mine) for path in paths)

    def _any(self, rule: Rule) -> bool:
        if concerns(rule, self.tool):
            if rule.spec is None:
                return True
            if (wanted := parameter_of(rule)) is not None:
                return self._has(*wanted)
            if self.tool == "Bash":
                if _glob(rule.spec, self.command.strip()):
                    return True
                return any(_speaks(rule, part) for part in (*self.script.commands, *self.script.hidden))
            return any(_covers(rule, path) for path in self._paths(self.given.get(_PATHS.get(self.tool, ""))))
        if self.tool == "Bash" and rule.tool in ("Edit", "Read") and rule.spec and not parameter_of(rule):
            return any(
                _covers(rule, path)
                for redirect in self.script.redirects
                if redirect.writes == (rule.tool == "Edit") and redirect.path is not None
                for path in self._paths(redirect.path, from_cwd=True)
            )
        return False

    def _has(self, name: str, wanted: str) -> bool:
        match self.given.get(name):
            case None:
                return False
            case bool() as value:
                return _glob(wanted, str(value).lower())
            case value:
                return _glob(wanted, str(value))

    def _paths(self, path: Json, *, from_cwd: bool = False) -> list[str]:
        """The path as it was written and, where something is there, as it really is; relative."""
        if path is None and self.tool in ("Glob", "Grep"):
            path = "."
        if not isinstance(path, str) or not path:
            return []
        if from_cwd and not path.startswith("/"):
            path = join(self._cwd, path)
        try:
            wanted = self._workspace.relative(path)
        except WorkspaceError:
            return [path]
        found = [posixpath.normpath(wanted)]
        try:
            with self._workspace.locate(wanted) as entry:
                found.append(entry.path)
        except WorkspaceError:
            pass  # nothing is there, or nothing that the tool will open
        return list(dict.fromkeys(found))


def concerns(rule: Rule, tool: str) -> bool:
    """Whether `rule` speaks of calls of `tool`."""
    return rule.tool == tool or tool in _SPEAKS_OF.get(rule.tool, ())


def parameter_of(rule: Rule) -> tuple[str, str] | None:
    """`name` and `value` of a spec `name:value`, where the tool has such a parameter."""
    found = _PARAMETER.fullmatch(rule.spec or "")
    if found is None or rule.tool not in TOOLS:
        return None
    fields = TOOLS[rule.tool].arguments.model_fields
    names = {field.alias or name for name, field in fields.items()}
    return (found[1], found[2]) if found[1] in names else None


def _fits(rule: Rule, part: SimpleCommand) -> bool:
    """Whether an allow rule matches the command, as written or, where nothing is set before it, as meant."""
    spec = rule.spec or "*"
    plain = None if part.assigned else part.plain
    return _glob(spec, part.text) or (plain is not None and _glob(spec, plain))


def _speaks(rule: Rule, part: SimpleCommand) -> bool:
    """Whether a deny or ask rule matches the command in any of the ways to write it."""
    spec = rule.spec or "*"
    ways = [part.text]
    if part.words and part.words[0] is not None:
        known = [word if word is not None else "$" for word in part.words]
        ways.append(" ".join(known))
        ways.append(" ".join([known[0].rpartition("/")[2], *known[1:]]))
    return any(_glob(spec, way) for way in ways)


def _covers(rule: Rule, path: str) -> bool:
    """Whether a path rule matches `path` or a directory above it."""
    if rule.spec is None:
        return True
    expression = _path_pattern(rule.spec)
    while path not in ("", "/"):
        if expression.fullmatch(path):
            return True
        path = path.rpartition("/")[0]
    return False


@lru_cache(maxsize=512)
def _path_pattern(spec: str) -> re.Pattern[str]:
    """The expression of a path spec. Raises BadPattern, and BadRule for places outside the workspace."""
    if spec.startswith(("~", "//")):
        raise BadRule("paths start at the workspace's root, as ./secrets/**; nothing else can be reached")
    return compile_glob(spec)


@lru_cache(maxsize=512)
def _pieces(spec: str) -> tuple[tuple[str, ...], bool]:
    """The literal pieces between the stars of `spec`, and whether its end is open at a word's boundary."""
    bounded = spec.endswith(" *") or spec.endswith(":*")
    if bounded:
        spec = spec[:-2]
    pieces = [piece.replace("\\*", "*") for piece in re.split(r"(?<!\\)\*", spec)]
    return tuple(pieces), bounded


def _glob(spec: str, text: str) -> bool:
    """Whether `spec` matches all of `text`; takes time in proportion to both."""
    (first, *rest), bounded = _pieces(spec)
    if not rest:
        if bounded:
            return text == first or text.startswith((first + " ", first + "\t", first + "\n"))
        return text == first
    if not text.startswith(first):
        return False
    position = len(first)
    *middle, last = rest
    for piece in middle:
        found = text.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    if bounded and any(text.find(last + gap, position) >= 0 for gap in " \t\n"):
        return True
    return len(text) - position >= len(last) and text.endswith(last)
