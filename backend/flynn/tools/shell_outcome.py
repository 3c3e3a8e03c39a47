"""What the exit code of a piece of shell text proves of each command in it.

`a && b` that ended with 0 ran both, and both ended well; of `a; b`, `a | b` and `a || true` the code is that
of one command, and says nothing of the others; nor does it of what stands behind an `exit`. Nothing is run or
expanded. Commands are compared as what they run: a directory that is changed to first, variables that are set
in front, a time limit, redirections and the way to a program make no other command of it; another word does.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final

from tree_sitter import Node

from flynn.tools.shell import parse, word_of

_LONGEST: Final = 16_384
_SECONDS: Final = 0.2
_PREPARING: Final = frozenset(
    {"cd", "pushd", "popd", "export", "set", "source", ".", "unset", "umask", "true", ":"}
)
"""Commands that only prepare for what is meant, and are not looked for."""
_PLAIN_WRAPPERS: Final = frozenset({"nohup", "command", "exec", "setsid", "time", "stdbuf", "nice", "ionice"})
_RUNNERS: Final = (
    ("uv", "run"),
    ("poetry", "run"),
    ("pipenv", "run"),
    ("pdm", "run"),
    ("hatch", "run"),
    ("npx",),
)
_SHELLS: Final = frozenset({"bash", "sh", "dash", "zsh"})
_PYTHON: Final = re.compile(r"python(?:3(?:\.\d+)?)?")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=")
_EXITS: Final = re.compile(r"-[a-z]*e[a-z]*")
_GOES_ON: Final = re.compile(r"\+[a-z]*e[a-z]*|\+o")
_LEAVING: Final = frozenset({"exit", "return", "logout"})
"""Commands with which the shell ends, so that what stands behind them may never have run."""
_BENDING: Final = frozenset({"eval", "alias", "enable"})
"""Commands after which others need not be what they look like."""
_DURATION: Final = re.compile(r"\d+(?:\.\d+)?[smhd]?")

Words = tuple[str, ...]


class End(StrEnum):
    """What is known of how one command ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_PASSED = "not passed"
    """It failed, or was not reached."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Part:
    """One command of a text, in the form in which it is compared, and how it ended."""

    words: Words
    end: End


def ends(text: str, exit_code: int | None) -> tuple[Part, ...] | None:
    """The commands of `text` and how they ended, given the exit code of the whole (None: it was killed).

    None when the text is no bash that can be taken apart.
    """
    lists = _parsed(text)
    if lists is None:
        return None
    return tuple(_judged(lists, exit_code))


def parts(text: str) -> tuple[Words, ...] | None:
    """The commands of `text` that are meant, in the form in which they are compared; None if it is no bash.

    Commands that only prepare for others, such as `cd`, are not among them.
    """
    lists = _parsed(text)
    if lists is None:
        return None
    return tuple(c.words for item in lists for c in item.commands if not c.preparing)


@dataclass(frozen=True, slots=True)
class _Command:
    words: Words
    preparing: bool
    sole: bool
    """Whether its exit code is that of the pipe it stands in."""
    leaves: bool = False
    """Whether the shell may end here with a code of 0."""
    bends: bool = False
    """Whether the code need not be that of the last command any more."""


@dataclass(frozen=True, slots=True)
class _List:
    """Commands joined by `&&` alone, or (not `chained`) by anything else."""

    commands: tuple[_Command, ...]
    chained: bool


@lru_cache(maxsize=512)
def _parsed(text: str) -> tuple[_List, ...] | None:
    if len(text) > _LONGEST:
        return None
    root = parse(text, time.monotonic() + _SECONDS)
    if root is None or root.has_error or _redefines(root) or not _covers(root, text):
        return None
    return _reached(_strict(tuple(_lists(root, text))))


def _redefines(node: Node) -> bool:
    """Whether a name is given to something else in there: then commands are not what they look like."""
    return node.type == "function_definition" or any(_redefines(child) for child in node.children)


def _covers(root: Node, text: str) -> bool:
    """Whether the tree has all of `text`: the grammar passes over some words without a sign, as `- 2>&1`."""
    gaps: list[str] = []
    end = 0
    for leaf in _leaves(root):
        gaps.append(text[end : leaf.start_byte])
        end = max(end, leaf.end_byte)
    return not "".join((*gaps, text[end:])).replace("\\\n", "").strip()


def _leaves(node: Node) -> Iterator[Node]:
    if not node.children or node.type == "string":
        yield node
    else:
        for child in node.children:
            yield from _leaves(child)


def _strict(lists: tuple[_List, ...]) -> tuple[_List, ...]:
    """One chain of single commands that `set -e` stands in front of: there each has to end well."""
    if len(lists) < 2 or len(lists[0].commands) != 1:
        return lists
    first = lists[0].commands[0].words
    if first[:1] != ("set",) or not any(_EXITS.fullmatch(word) for word in first[1:]):
        return lists
    if not all(len(item.commands) == 1 and item.chained for item in lists[1:]):
        return lists
    if any(c.words[:1] == ("set",) and any(map(_GOES_ON.match, c.words)) for i in lists for c in i.commands):
        return lists
    return (_List(tuple(command for item in lists for command in item.commands), chained=True),)


def _reached(lists: tuple[_List, ...]) -> tuple[_List, ...]:
    """`lists`, where the code is that of no command which may not have been reached, or is bent."""
    left = any(command.bends for item in lists for command in item.commands)
    found: list[_List] = []
    for item in lists:
        commands: list[_Command] = []
        for command in item.commands:
            commands.append(replace(command, sole=False) if left else command)
            left = left or command.leaves
        found.append(_List(tuple(commands), item.chained))
    return tuple(found)


def _lists(root: Node, text: str) -> Iterator[_List]:
    for child in root.children:
        if child.is_named and child.type != "comment":
            found: list[_Command] = []
            chained = _flatten(child, text, found)
            background = child.next_sibling is not None and child.next_sibling.type == "&"
            yield _List(tuple(found), chained and not background)


def _flatten(node: Node, text: str, found: list[_Command]) -> bool:
    """Add the commands of `node` to `found`; whether they are joined by `&&` alone."""
    match node.type:
        case "list":
            left, operator, right = node.children[0], node.children[1], node.children[-1]
            first = _flatten(left, text, found)
            return _flatten(right, text, found) and first and operator.type == "&&"
        case "pipeline":
            members = [child for child in node.children if child.is_named]
            for place, member in enumerate(members):
                within: list[_Command] = []
                chained = _flatten(member, text, within)
                last = place == len(members) - 1
                found += [replace(c, sole=c.sole and last and chained) for c in within]
            return True
        case "redirected_statement":
            return _flatten(node.children[0], text, found)
        case "command":
            found.append(_command(node, text))
            return True
        case "variable_assignment" | "variable_assignments" | "declaration_command" | "unset_command":
            found.append(_Command((), preparing=True, sole=True))
            return True
        case _:
            # A loop, a group, a test, a negation: of what is within, the code says nothing.
            for inner in _within(node):
                found.append(replace(_command(inner, text), sole=False))
            return False


def _within(node: Node) -> Iterator[Node]:
    for child in node.children:
        if child.type == "command":
            yield child
        else:
            yield from _within(child)


def _command(node: Node, text: str) -> _Command:
    words: list[str] = []
    for child in node.children:
        match child.type:
            case "variable_assignment" | "file_redirect" | "heredoc_redirect" | "herestring_redirect":
                pass
            case _:
                value = word_of(child, text)
                # What is computed is compared as it is written.
                words.append(text[child.start_byte : child.end_byte] if value is None else value)
    compared = _bare(tuple(words))
    return _Command(
        compared,
        preparing=not compared or compared[0] in _PREPARING,
        sole=True,
        leaves=_leaves_shell(words[:1], compared),
        bends=_bends(compared),
    )


def _leaves_shell(name: Sequence[str], words: Words) -> bool:
    """Whether the command may end the shell with a code of 0: as `exit 1` does not."""
    if name == ["exec"]:
        return words != ("exec",)  # with redirections alone it replaces nothing
    if words[:1] == ("builtin",):
        words = words[1:]
    fails = len(words) == 2 and words[1].isdecimal() and int(words[1]) % 256 != 0
    return words[:1] != () and words[0] in _LEAVING and not fails


def _bends(words: Words) -> bool:
    """Whether the command may give the whole another code, or other commands another meaning."""
    if words[:1] == ("builtin",):
        words = words[1:]
    if words[:1] == ("trap",):
        return len(words) > 2 and ("exit" in words[1] or words[1].startswith("$"))
    return words[:1] != () and words[0] in _BENDING


def _bare(words: Words) -> Words:
    """What a command runs, without what is wrapped around it."""
    while words:
        rest = _unwrapped(words)
        if rest == words:
            break
        words = rest
    if not words:
        return ()
    name = words[0].removeprefix("./")
    in_path = name.startswith("/") or "/bin/" in f"/{name}"
    return (name.rpartition("/")[2] if in_path else name, *words[1:])


def _unwrapped(words: Words) -> Words:
    name = words[0].rpartition("/")[2]
    rest = words[1:]
    if not rest:
        return words
    if name == "env":
        return _after(rest, lambda word: word == "-i" or bool(_ASSIGNMENT.match(word)))
    if name == "timeout":
        return _limited(rest) or words
    if name in _PLAIN_WRAPPERS:
        return _after(rest, lambda word: word.startswith("-") or word.lstrip("-").isdigit())
    if _PYTHON.fullmatch(name) and rest[0] == "-m" and len(rest) > 1:
        return rest[1:]
    if name in _SHELLS and not rest[0].startswith("-"):
        return rest
    for runner in _RUNNERS:
        if (name, *rest[: len(runner) - 1]) == runner and len(rest) >= len(runner):
            return rest[len(runner) - 1 :]
    return words


def _limited(words: Words) -> Words:
    """What `timeout` runs, behind its options and the time; nothing where that cannot be told."""
    place = 0
    while place < len(words) and words[place].startswith("-"):
        place += 2 if words[place] in ("-k", "-s", "--kill-after", "--signal") else 1
    return words[place + 1 :] if place < len(words) and _DURATION.fullmatch(words[place]) else ()


def _after(words: Words, skipped: Callable[[str], bool]) -> Words:
    place = next((place for place, word in enumerate(words) if not skipped(word)), len(words))
    return words[place:]


def _judged(lists: Sequence[_List], exit_code: int | None) -> Iterator[Part]:
    for place, item in enumerate(lists):
        last = place == len(lists) - 1
        meant = [command for command in item.commands if not command.preparing]
        for number, command in enumerate(meant):
            end = End.UNKNOWN
            if last and item.chained and command.sole and exit_code is not None:
                if exit_code == 0:
                    end = End.PASSED
                elif len(item.commands) == 1:
                    end = End.FAILED
                elif number == len(meant) - 1:
                    end = End.NOT_PASSED
            elif last and exit_code is None and number == len(meant) - 1:
                end = End.NOT_PASSED  # killed before it had ended
            yield Part(command.words, end)
