"""Dockerfiles as stages: what each begins with, and the instructions that matter for running it."""

import re
from dataclasses import dataclass, field
from functools import cached_property

from flynn.workspace.checks.hadolint import is_dockerfile
from flynn.workspace.checks.source import Obstacle, Sources

_INSTRUCTION = re.compile(r"^\s*(?P<word>[A-Za-z]+)\s+(?P<rest>.*)$", re.DOTALL)
_FLAG = re.compile(r"^--\S+\s+")
_WORDS = frozenset(
    (
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
        *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    )
)
_ESCAPE = re.compile(r"#\s*escape\s*=\s*`\s*$", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{(\w+)(?::?-([^{}]*))?\}|\$(\w+)")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its word in capitals, what follows on one line, the line it begins on."""

    word: str
    rest: str
    line: int


@dataclass(slots=True)
class Stage:
    """One FROM and what follows. `base` is an image or an earlier stage, its variables filled in."""

    base: str
    line: int
    name: str = ""
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, word: str) -> Instruction | None:
        """The last instruction with `word`."""
        return next((i for i in reversed(self.instructions) if i.word == word), None)


@dataclass(frozen=True)
class Dockerfile:
    """A file from which an image is built. The last stage is the image."""

    path: str
    stages: tuple[Stage, ...]

    @cached_property
    def parents(self) -> list[int | None]:
        """For each stage the index of the one it begins with; None for one that begins with an image."""
        found: list[int | None] = []
        named: dict[str, int] = {}
        for index, stage in enumerate(self.stages):
            found.append(named.get(stage.base.lower()))
            if stage.name:
                named[stage.name] = index
        return found

    def lineage(self) -> list[Stage]:
        """The last stage, the stage it begins with, and so on to one that begins with an image."""
        index: int | None = len(self.stages) - 1
        found: list[Stage] = []
        while index is not None:
            found.append(self.stages[index])
            index = self.parents[index]
        return found

    def last(self, word: str) -> Instruction | None:
        """The instruction with `word` that holds for the image."""
        return next((found for stage in self.lineage() if (found := stage.last(word))), None)

    @property
    def images(self) -> list[Stage]:
        """The stages that begin with an image, not with a stage or with nothing."""
        return [
            stage
            for stage, parent in zip(self.stages, self.parents, strict=True)
            if parent is None and stage.base.lower() != "scratch"
        ]


def dockerfiles(sources: Sources) -> list[Dockerfile]:
    """The Dockerfiles that are no tests or examples and have a stage."""
    found = (read_dockerfile(path, sources) for path in sources.deployed if is_dockerfile(path))
    return [file for file in found if file is not None]


def dockerfile_obstacle(path: str, sources: Sources) -> Obstacle | None:
    """What keeps the text at `path` from being a Dockerfile; None for one that is."""
    strange: list[int] = []
    instructions = _instructions(sources.lines(path), strange)
    strange += [item.line for item in instructions if item.word not in _WORDS]
    if strange:
        return Obstacle("does not parse", min(strange))
    return None if any(item.word == "FROM" for item in instructions) else Obstacle("has no FROM")


def read_dockerfile(path: str, sources: Sources) -> Dockerfile | None:
    """The Dockerfile at `path`; None where there is none, or none with a stage."""
    if path not in sources.known:
        return None
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for item in _instructions(sources.lines(path)):
        if item.word == "ARG" and not stages:
            name, _, value = item.rest.partition("=")
            arguments[name.strip()] = value.strip().strip("\"'")
        elif item.word == "FROM":
            stages.append(_stage(item, arguments))
        elif stages:
            stages[-1].instructions.append(item)
    return Dockerfile(path, tuple(stages)) if stages else None


def _stage(item: Instruction, arguments: dict[str, str]) -> Stage:
    rest = item.rest
    while _FLAG.match(rest):
        rest = _FLAG.sub("", rest, count=1)
    parts = rest.split()
    base = _VARIABLE.sub(lambda m: arguments.get(m[1] or m[3]) or m[2] or m[0], parts[0] if parts else "")
    named = len(parts) >= 3 and parts[1].lower() == "as"
    return Stage(base, item.line, parts[2].lower() if named else "")


def _instructions(lines: list[str], strange: list[int] | None = None) -> list[Instruction]:
    """Instructions with their continuations; comments and here-documents are left out. The lines of what is
    no instruction are put into `strange`.
    """
    escape = "`" if any(_ESCAPE.match(line) for line in lines[:3]) else "\\"
    found: list[Instruction] = []
    pending, start = "", 0
    end_words: list[str] = []
    for number, line in enumerate(lines, 1):
        if end_words:
            if line.strip() == end_words[0]:
                end_words.pop(0)
            continue
        if line.lstrip().startswith("#") or (not pending and not line.strip()):
            continue
        start = start or number
        body = line.rstrip()
        if body.endswith(escape):
            pending += f"{body[:-1]} "
            continue
        matched = _INSTRUCTION.match(pending + body)
        if matched is not None:
            word = matched["word"].upper()
            found.append(Instruction(word, matched["rest"].strip(), start))
            if word in ("RUN", "COPY", "ADD"):
                end_words = re.findall(r"<<-?[\"']?(\w+)[\"']?", matched["rest"])
        elif strange is not None:
            strange.append(start)
        pending, start = "", 0
    return found
