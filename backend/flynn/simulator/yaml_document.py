"""YAML documents that remember their lines, so that an error can say where it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from flynn.domain.content import Json
from flynn.domain.errors import FlynnError


class ScenarioError(FlynnError):
    """A scenario cannot be used. The message names file, line and field."""

    code = "scenario"
    title = "The scenario cannot be used"
    status = 422


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, and the nodes that know the lines."""

    source: str
    value: Json
    root: yaml.Node

    def place(self, path: Sequence[int | str]) -> str:
        """Name the place of `path` as `source:line: field`.

        Steps of `path` that the document does not have (a missing field, the tag of a union) are
        skipped; the line is that of the innermost node found.
        """
        node, field = self.root, ""
        for position, step in enumerate(path, start=1):
            child = _child(node, step)
            if child is not None:
                node = child
            if child is not None or position == len(path):
                field += f"[{step}]" if isinstance(step, int) else f".{step}"
        return f"{self.source}:{node.start_mark.line + 1}: {field.lstrip('.') or 'the scenario'}"


def read_documents(text: str, source: str) -> Iterator[Document]:
    """Read all YAML documents of `text`, skipping empty ones.

    Raises:
        ScenarioError: the text is no YAML, or no document in it is a mapping.
    """
    loader = yaml.SafeLoader(text)
    count = 0
    try:
        while loader.check_node():
            node = loader.get_node()
            value = loader.construct_document(node) if node is not None else None
            if node is None or value is None:
                continue
            if not isinstance(value, dict):
                line = node.start_mark.line + 1
                raise ScenarioError(f"{source}:{line}: a scenario is a mapping with name and turns")
            count += 1
            yield Document(source, value, node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ScenarioError(f"{source}:{line}: no valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{source}:1: no valid YAML: {error}") from error
    finally:
        loader.dispose()
    if not count:
        raise ScenarioError(f"{source}:1: there is no scenario in this text")


def _child(node: yaml.Node, step: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        found: yaml.Node = node.value[step]
        return found
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                child: yaml.Node = value
                return child
    return None
