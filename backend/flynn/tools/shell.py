"""Shell text taken apart by the grammar of bash, so that a rule can be held against each command in it.

Nothing is run or expanded. What cannot be known without running it (a command whose name is computed, text
that is no bash) is said to be `opaque`, and whoever judges must not take it for harmless.
Source: bash(1), "SHELL GRAMMAR"; the parser is the package tree-sitter-bash.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

_SECONDS: Final = 0.2
"""How long one text may take; what takes longer is opaque."""
_MOST_WORDS: Final = 64
_TEXT_FOLLOWS: Final = re.compile(r"-[a-z]*c")
_NESTING: Final = 4
"""How many shells within shells (`bash -c "bash -c …"`) are taken apart before the rest is opaque."""

_LONGEST: Final = 16_384
"""Characters that are taken apart; longer scripts belong into a file."""
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")

_SHELLS: Final = frozenset({"bash", "sh", "dash", "ash", "ksh", "zsh", "rbash"})
_WRAPPERS: Final = frozenset(
    {
        *("builtin", "chroot", "chrt", "command", "coproc", "doas", "env", "exec", "find", "flock", "ionice"),
        *("nice", "nohup", "nsenter", "parallel", "runuser", "script", "setpriv", "setsid", "stdbuf", "su"),
        *("sudo", "taskset", "time", "timeout", "trap", "unshare", "watch", "xargs", "busybox", "toybox"),
    }
)
"""Commands that run others: their arguments are looked at as commands, too."""
_WRITING: Final = frozenset({">", ">>", ">|", "&>", "&>>", "<>", ">&"})
_PATTERN: Final = frozenset("*?[{~")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_QUOTED_ESCAPE: Final = re.compile(r'\\([$`"\\])')


@dataclass(frozen=True, slots=True)
class Redirect:
    """A file that a command opens by redirection; `path` is None where it is computed."""

    path: str | None
    writes: bool


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """One command. `text` as written; `words` without quotes, None for those that are computed.

    Assignments before the command are part of `text` and not of `words`; `assigned` tells of them.
    """

    text: str
    words: tuple[str | None, ...]
    assigned: bool = False

    @property
    def plain(self) -> str | None:
        """The words joined by blanks, None when one is computed."""
        return None if None in self.words else " ".join(word for word in self.words if word is not None)


@dataclass(frozen=True, slots=True)
class Script:
    """What a piece of shell text would run: each command, also in pipes, lists, loops and substitutions.

    `hidden` are the commands that wrappers such as `timeout` or `xargs` would run, as far as they show.
    `opaque` says why not everything can be known, None when everything is.
    """

    commands: tuple[SimpleCommand, ...]
    hidden: tuple[SimpleCommand, ...]
    redirects: tuple[Redirect, ...]
    opaque: str | None


@lru_cache(maxsize=256)
def take_apart(text: str) -> Script:
    """Take shell text apart. Never raises: what is no bash, or takes too long, is opaque."""
    if len(text) > _LONGEST:
        return _opaque("it is too long to be taken apart")
    return _Reading(time.monotonic() + _SECONDS).script(text, _NESTING)


def parse(text: str, deadline: float) -> Node | None:
    """The tree of `text`, in which a character is a byte; None when it is not there by `deadline`, a time of
    the monotonic clock.
    """
    # The grammar's scanner asks the C library for the class of each character, which reads past its tables
    # beyond ASCII and crashes. To bash such characters are letters, so the parser gets one.
    data = _BEYOND_ASCII.sub("x", text).encode("ascii")
    parser = Parser(_language())
    try:
        tree = parser.parse(
            lambda offset, _point: data[offset:],
            progress_callback=lambda _offset, _failed: time.monotonic() > deadline,
        )
    except ValueError:  # what the package makes of a parse that was given up
        return None
    return tree.root_node


def word_of(node: Node, text: str) -> str | None:
    """What the shell would make of a word, or of a command's name; None when that is computed."""
    return _name(node, text) if node.type == "command_name" else _value(node, text)


def _opaque(reason: str) -> Script:
    return Script((), (), (), reason)


_NOTHING: Final = Script((), (), (), None)


class _Reading:
    """One text on its way, with the shells in it. The parser takes quadratic time over hostile text."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def script(self, text: str, depth: int) -> Script:
        """What `text` would run."""
        root = parse(text, self._deadline)
        if root is None:
            return _opaque("it takes too long to be taken apart")
        commands: list[SimpleCommand] = []
        redirects: list[Redirect] = []
        opaque = "it is not complete bash" if root.has_error else None
        for node in _nodes(root):
            match node.type:
                case "command" | "declaration_command" | "unset_command" | "test_command":
                    commands.append(_command(node, text))
                    if node.type != "test_command" and _spans_lines(node, text):
                        opaque = opaque or "its lines cannot be told apart"
                case "variable_assignment" if node.parent is not None and _stands_alone(node.parent):
                    commands.append(SimpleCommand(_said(node, text), ()))
                case "file_redirect":
                    redirects += _redirect(node, text)
                case "function_definition":
                    # Later commands of that name are not what they look like.
                    opaque = opaque or "it defines a function"
        hidden: list[SimpleCommand] = []
        for command in commands:
            if command.words and command.words[0] is None:
                opaque = opaque or "the name of a command is computed"
            within = self._within(command, depth)
            hidden += within.commands + within.hidden
            redirects += within.redirects
            opaque = opaque or within.opaque
        return Script(tuple(commands), tuple(hidden), tuple(redirects), opaque)

    def _within(self, command: SimpleCommand, depth: int) -> Script:
        """What `command` itself would run."""
        name = (command.words[0] or "").rpartition("/")[2] if command.words else ""
        rest = command.words[1:]
        if name in ("source", "."):
            return _opaque("it runs a file")
        if name == "eval":
            return self._nested(" ".join(word for word in rest if word is not None), None in rest, depth)
        if name in _SHELLS:
            if not any(word is not None and _TEXT_FOLLOWS.fullmatch(word) for word in rest):
                return _opaque("a shell runs what it is given")
            script = next((word for word in rest if word is None or not word.startswith("-")), None)
            return self._nested(script or "", script is None, depth)
        return self._wrapped(name, rest, depth) if name in _WRAPPERS else _NOTHING

    def _nested(self, text: str, computed: bool, depth: int) -> Script:
        if computed:
            return _opaque("a shell runs text that is computed")
        return self.script(text, depth - 1) if depth else _opaque("shells within shells")

    def _wrapped(self, wrapper: str, words: tuple[str | None, ...], depth: int) -> Script:
        """Each place in `words` where another command may begin, since wrappers have options of their own."""
        commands: list[SimpleCommand] = []
        opaque = "it has very many words" if len(words) > _MOST_WORDS else None
        for place, word in enumerate(words[:_MOST_WORDS]):
            if word is None:
                opaque = opaque or "what a command runs is computed"
            if word is None or word.startswith("-"):
                continue
            suffix = SimpleCommand(" ".join(w or "$" for w in words[place:]), words[place:])
            commands.append(suffix)
            name = word.rpartition("/")[2]
            # In `find . -name x` the dot is a directory.
            runs_a_file = name == "source" or (word == "." and place == 0 and wrapper != "find")
            if name in _SHELLS or name == "eval" or runs_a_file:
                within = self._within(suffix, depth - 1) if depth else _opaque("shells within shells")
                commands += within.commands + within.hidden
                opaque = opaque or within.opaque
        return Script(tuple(commands), (), (), opaque)


@cache
def _language() -> Language:
    return Language(tree_sitter_bash.language())


def _nodes(root: Node) -> Iterator[Node]:
    """Every node beneath `root`, parents first, in the order of the text."""
    ahead = [root]
    while ahead:
        node = ahead.pop()
        yield node
        ahead.extend(reversed(node.children))


def _said(node: Node, text: str) -> str:
    """What stands at `node` in `text`, of which the parser saw a character a byte."""
    return text[node.start_byte : node.end_byte]


def _stands_alone(parent: Node) -> bool:
    return parent.type not in ("command", "declaration_command", "variable_assignments")


def _command(node: Node, text: str) -> SimpleCommand:
    words: list[str | None] = []
    assigned = False
    for child in node.children:
        match child.type:
            case "variable_assignment" if node.type == "command":
                assigned = True
            case "file_redirect" | "heredoc_redirect" | "herestring_redirect":
                pass
            case "command_name":
                words.append(_name(child, text))
            case _:
                words.append(_value(child, text))
    return SimpleCommand(_said(node, text), tuple(words), assigned)


def _spans_lines(node: Node, text: str) -> bool:
    """Whether the grammar took words of several lines for one command, as it does behind some pipes."""
    ends = [child.end_byte for child in node.children]
    starts = [child.start_byte for child in node.children]
    gaps = (text[end:start] for end, start in zip(ends, starts[1:], strict=False))
    return any("\n" in gap.replace("\\\n", "") for gap in gaps)


def _name(node: Node, text: str) -> str | None:
    """The name of a command; None where it is computed, as by a glob or a brace expansion."""
    name = node.children[0] if node.children else node
    if name.type in ("word", "concatenation") and not _PATTERN.isdisjoint(_said(name, text)):
        return None
    return _value(name, text)


def _redirect(node: Node, text: str) -> list[Redirect]:
    operator = next((c.type for c in node.children if not c.is_named), "")
    target = node.children[-1]
    if (
        operator in (">&", "<&")
        and target.type in ("number", "word")
        and _said(target, text).strip("-").isdigit()
    ):
        return []  # one descriptor for another
    return [Redirect(_value(target, text), operator in _WRITING)]


def _value(node: Node, text: str) -> str | None:
    """What the shell would make of a word without running anything; None when that is not known."""
    match node.type:
        case "word" | "number" | "variable_name" | "extglob_pattern" | "regex" | "test_operator":
            return None if node.children else _ESCAPE.sub(r"\1", _said(node, text))
        case "raw_string":
            return _said(node, text)[1:-1]
        case "string":
            parts = [c for c in node.children if c.type != '"']
            if any(c.type != "string_content" for c in parts):
                return None
            return _QUOTED_ESCAPE.sub(r"\1", _said(node, text)[1:-1])
        case "concatenation":
            values = [_value(child, text) for child in node.children]
            return None if None in values else "".join(value or "" for value in values)
        case _ if not node.is_named:
            return _said(node, text)
        case _:
            return None
