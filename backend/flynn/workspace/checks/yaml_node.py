"""YAML with places: documents as plain nodes that know their lines, however hostile the file is.

An alias is the same node as its anchor, so a document stays as small as its file. One that would grow
without end when it is written out, as other programs do, is a fault. Nothing is constructed: a tag is only a
word.
"""

from dataclasses import dataclass, field
from typing import Final

import yaml

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE: Final = "<<"
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_DEEPEST: Final = 200
"""Mappings and sequences within each other; nobody writes as many."""
_MOST_CHARACTERS: Final = 4_000_000
"""Of a document that is written out, an alias as often as it stands there."""
_MOST_MERGED: Final = 100_000
"""Entries that merge keys (`<<`) of a file may bring; more is not what people write."""


@dataclass(slots=True)
class Node:
    """A scalar with its `text`, a mapping with `entries`, or a sequence with `items`.

    Lines and columns count from 1. `key_lines` are the lines of the mapping's keys, `doubled` its keys
    that stand there twice, with the line and column of each second one.
    """

    line: int
    column: int
    end_line: int
    text: str | None = None
    null: bool = False
    entries: dict[str, "Node"] | None = None
    items: list["Node"] | None = None
    key_lines: dict[str, int] = field(default_factory=dict)
    doubled: list[tuple[str, int, int]] = field(default_factory=list)
    weight: int = 1
    """Its characters, about, when it is written out."""

    def get(self, *keys: str) -> "Node | None":
        """What lies under `keys`, one beneath the other; None where there is nothing, or null."""
        node: Node | None = self
        for key in keys:
            node = node.entries.get(key) if node is not None and node.entries is not None else None
        return None if node is None or node.null else node

    def line_of(self, key: str) -> int:
        """The line of a key of this mapping; the mapping's own for one that it does not have."""
        return self.key_lines.get(key, self.line)

    def mapping(self) -> dict[str, "Node"]:
        """The entries; none for what is no mapping."""
        return self.entries if self.entries is not None else {}

    def sequence(self) -> list["Node"]:
        """The items; none for what is no sequence."""
        return self.items or []

    def scalar(self) -> str:
        """The text of a scalar; empty for everything else, and for null."""
        return "" if self.text is None or self.null else self.text


class YamlFault(Exception):
    """The text is no YAML. `line` and `column` count from 1, None where the parser does not say."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


def parse_yaml(text: str) -> list[Node]:
    """The documents of `text`. Raises YamlFault."""
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise YamlFault(
            words or "not valid YAML", mark.line + 1 if mark else None, mark.column + 1 if mark else None
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else None
        raise YamlFault(f"a character that YAML does not allow: {error.reason}", line) from None
    except (yaml.YAMLError, ValueError) as error:
        raise YamlFault(str(error)) from None
    return builder.documents


@dataclass(slots=True)
class _Open:
    """A mapping or sequence that has not ended. `key` is the one whose value comes next, None for one that
    is no scalar; `brought` are the values of merge keys.
    """

    node: Node
    awaits_value: bool = False
    key: Node | None = None
    brought: list[Node] = field(default_factory=list)


class _Builder:
    """Makes nodes of the parser's events, with a stack of its own: a hostile file exhausts any other."""

    def __init__(self) -> None:
        self.documents: list[Node] = []
        self._anchors: dict[str, Node] = {}
        self._open: list[_Open] = []
        self._merged = 0

    def take(self, event: yaml.Event) -> None:
        """Go on with the next event. Raises YamlFault."""
        match event:
            case yaml.DocumentStartEvent():
                self._anchors = {}
            case yaml.AliasEvent():
                known = self._anchors.get(event.anchor or "")
                if known is None:
                    raise YamlFault(f"the alias {event.anchor} has no anchor", *_place(event))
                if any(opened.node is known for opened in self._open):
                    raise YamlFault(f"the alias {event.anchor} stands within its own anchor", *_place(event))
                self._add(known, event)
            case yaml.ScalarEvent():
                node = self._node(event)
                node.text = event.value
                node.weight += len(event.value)
                node.null = event.tag is None and event.implicit[0] and event.value in _NULLS
                self._add(node, event)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                node = self._node(event)
                if isinstance(event, yaml.MappingStartEvent):
                    node.entries = {}
                else:
                    node.items = []
                if len(self._open) >= _DEEPEST:
                    raise YamlFault("it is nested too deeply", node.line, node.column)
                self._open.append(_Open(node))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                opened = self._open.pop()
                opened.node.end_line = _last_line(event, opened.node.line)
                for other in opened.brought:
                    self._merge(opened.node, other)
                self._add(opened.node, event)
            case _:
                pass  # the beginning and the end of documents and of the stream

    def _node(self, event: yaml.NodeEvent) -> Node:
        line, column = _place(event)
        node = Node(line=line, column=column, end_line=_last_line(event, line))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _add(self, node: Node, event: yaml.Event) -> None:
        """Put a node where it belongs: into the innermost mapping or sequence that is open."""
        if not self._open:
            self.documents.append(node)
            return
        top = self._open[-1]
        top.node.weight += node.weight
        if top.node.weight > _MOST_CHARACTERS:
            raise YamlFault("its aliases, written out, are too much", *_place(event))
        if top.node.items is not None:
            top.node.items.append(node)
        elif not top.awaits_value:
            top.awaits_value = True
            top.key = node if node.text is not None else None
            if isinstance(event, yaml.AliasEvent) and top.key is not None:
                # The key stands here, not where its anchor is.
                line, column = _place(event)
                top.key = Node(line, column, line, text=node.text)
        else:
            top.awaits_value = False
            if top.key is not None:
                self._enter(top, top.key, node)

    def _enter(self, top: _Open, key: Node, value: Node) -> None:
        name = key.text or ""
        if name == _MERGE:
            top.brought += value.items if value.items is not None else [value]
            return
        if name in top.node.key_lines:
            top.node.doubled.append((name, key.line, key.column))
        top.node.key_lines[name] = key.line
        top.node.mapping()[name] = value

    def _merge(self, node: Node, other: Node) -> None:
        for name, value in list(other.mapping().items()):
            self._merged += 1
            if self._merged > _MOST_MERGED:
                raise YamlFault("its merge keys bring too much", node.line)
            if name not in node.mapping():
                node.mapping()[name] = value
                node.key_lines[name] = other.line_of(name)


def _last_line(event: yaml.Event, first: int) -> int:
    """The line on which something ends, from 1: the parser may see the end at the beginning of the next."""
    end = event.end_mark
    return first if end is None else max(end.line + 1 if end.column else end.line, first)


def _place(event: yaml.Event) -> tuple[int, int]:
    """The line and column where something begins, from 1."""
    start = event.start_mark
    return (1, 1) if start is None else (start.line + 1, start.column + 1)
