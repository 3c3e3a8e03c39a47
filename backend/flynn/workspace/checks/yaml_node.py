"""YAML with places: documents as plain nodes that know their lines, however hostile the file is.

An alias is the same node as its anchor, so documents that grow without end when they are written out stay
as small as the file. Nothing is constructed: a tag is only a word.
"""

from dataclasses import dataclass, field
from typing import Final

import yaml

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE: Final = "tag:yaml.org,2002:merge"
_NULL: Final = "tag:yaml.org,2002:null"
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
        return self.entries or {}

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
        return [builder.build(node) for node in yaml.compose_all(text, Loader=_LOADER) if node is not None]
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
    except RecursionError:
        raise YamlFault("nested too deeply") from None


class _Builder:
    """Turns the parser's nodes into ours, each once."""

    def __init__(self) -> None:
        self._built: dict[int, Node] = {}
        self._sources: list[yaml.Node] = []
        self._merged = 0

    def build(self, source: yaml.Node) -> Node:
        """The node of `source`."""
        if (known := self._built.get(id(source))) is not None:
            return known
        start, end = source.start_mark, source.end_mark
        last = end.line + 1 if end.column or end.line == start.line else end.line
        node = Node(line=start.line + 1, column=start.column + 1, end_line=max(last, start.line + 1))
        self._built[id(source)] = node
        self._sources.append(source)  # its id must not be given to another
        if isinstance(source, yaml.ScalarNode):
            node.text, node.null = source.value, source.tag == _NULL
        elif isinstance(source, yaml.SequenceNode):
            node.items = []
            node.items += [self.build(item) for item in source.value]
        elif isinstance(source, yaml.MappingNode):
            self._fill(node, source)
        return node

    def _fill(self, node: Node, source: yaml.MappingNode) -> None:
        node.entries = {}
        merged: list[Node] = []
        for key, value in source.value:
            if key.tag == _MERGE:
                brought = self.build(value)
                merged += brought.items if brought.items is not None else [brought]
                continue
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            built = self.build(value)
            if name is None:
                self.build(key)  # a mapping as a key: looked at for its own faults
                continue
            if name in node.key_lines:
                node.doubled.append((name, key.start_mark.line + 1, key.start_mark.column + 1))
            node.key_lines[name] = key.start_mark.line + 1
            node.entries[name] = built
        for other in merged:
            for name, built in list(other.mapping().items()):
                self._merged += 1
                if self._merged > _MOST_MERGED:
                    raise YamlFault("its merge keys bring too much", node.line)
                if name not in node.entries:
                    node.entries[name] = built
                    node.key_lines[name] = other.line_of(name)
