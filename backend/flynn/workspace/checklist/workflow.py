"""Pipelines: the commands that GitHub workflows run, and the files of other services' pipelines."""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from flynn.workspace.checks.source import Sources
from flynn.workspace.checks.yaml_node import Node

_OWN = re.compile(r"^\.github/workflows/[^/]+\.ya?ml$")
ELSEWHERE = (
    *(
        ".gitlab-ci.yml",
        ".circleci/config.yml",
        "azure-pipelines.yml",
        "bitbucket-pipelines.yml",
        "Jenkinsfile",
    ),
    *(".travis.yml", ".drone.yml", ".woodpecker.yml", ".woodpecker.yaml", ".buildkite/pipeline.yml"),
    *("cloudbuild.yaml", ".forgejo/workflows/ci.yml", ".gitea/workflows/ci.yml"),
)
_LONGEST = 2_000
"""Characters of a command that are looked at."""
_MOVE = re.compile(r"(?:cd|pushd)\s+(?P<where>[^\s;&|]+)\s*(?:&&\s*|;\s*|$)")
_TRUE = frozenset({"true", "True", "TRUE"})
"""What programs for YAML 1.1 write for the key `on`, which they take for a truth value."""
_CHANGES = frozenset({"push", "pull_request", "pull_request_target", "merge_group"})


@dataclass(frozen=True, slots=True)
class Step:
    """A command that a workflow runs: one line of a step's script. `directory` is relative to the root, None
    when it cannot be known. `changes`: the workflow runs when the code changes.
    """

    path: str
    line: int
    command: str
    directory: str | None
    changes: bool


@dataclass(frozen=True, slots=True)
class Use:
    """An action or a reusable workflow that a workflow uses, with what it is given."""

    path: str
    line: int
    name: str
    node: Node
    changes: bool


@dataclass(frozen=True, slots=True)
class Pipelines:
    """What runs by itself. `scheduled` are the workflows with a schedule; `elsewhere` files of other
    services' pipelines.
    """

    workflows: tuple[str, ...]
    steps: tuple[Step, ...]
    uses: tuple[Use, ...]
    images: tuple[tuple[str, int, str], ...]
    """Images of jobs and of their services: path, line, image."""
    scheduled: frozenset[str]
    changing: frozenset[str]
    """The workflows that run when the code changes, whatever is in them."""
    invalid: tuple[tuple[str, int, str], ...]
    """Jobs for which GitHub refuses a workflow: path, line, and what is wrong with it."""
    elsewhere: tuple[str, ...]


def is_own_workflow(path: str) -> bool:
    """Whether `path` is a GitHub workflow of the repository itself."""
    return bool(_OWN.match(path))


def pipelines(sources: Sources) -> Pipelines:
    """The pipelines of the repository itself."""
    steps: list[Step] = []
    uses: list[Use] = []
    images: list[tuple[str, int, str]] = []
    scheduled: set[str] = set()
    changing: set[str] = set()
    invalid: list[tuple[str, int, str]] = []
    paths = tuple(path for path in sources.paths if is_own_workflow(path))
    for path in paths:
        for document in sources.yaml(path)[:1]:
            events = _events(document.get("on"))
            for key in _TRUE & document.mapping().keys():
                events |= _events(document.get(key))
                invalid.append((path, document.line_of(key), f"its key on is written as {key}"))
            changes = not _CHANGES.isdisjoint(events)
            if "schedule" in events:
                scheduled.add(path)
            if changes:
                changing.add(path)
            base = _directory(document, ".")
            jobs = document.get("jobs")
            for name, job in (jobs.mapping() if jobs is not None else {}).items():
                images += _images(path, job)
                if jobs is not None and job.get("steps") is None and job.get("uses") is None:
                    invalid.append((path, jobs.line_of(name), f"the job {name} has neither steps nor uses"))
                if (used := job.get("uses")) is not None and jobs is not None:
                    uses.append(Use(path, jobs.line_of(name), used.scalar(), job, changes))
                place = _directory(job, base)
                listed = job.get("steps")
                for step in listed.sequence() if listed is not None else []:
                    steps += _lines(path, step, place, changes)
                    if (used := step.get("uses")) is not None:
                        uses.append(Use(path, used.line, used.scalar(), step, changes))
    elsewhere = tuple(path for path in ELSEWHERE if path in sources.known)
    return Pipelines(
        workflows=paths,
        steps=tuple(steps),
        uses=tuple(uses),
        images=tuple(images),
        scheduled=frozenset(scheduled),
        changing=frozenset(changing),
        invalid=tuple(invalid),
        elsewhere=elsewhere,
    )


def script_lines(text: str) -> Iterator[tuple[int, str]]:
    """The commands of a script, with the lines they begin on: continuations joined, comments left out."""
    pending, start = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        start = start or number
        body = line.strip()
        if body.endswith("\\"):
            pending += f"{body[:-1]} "
            continue
        whole = (pending + body).strip()
        if whole and not whole.startswith("#"):
            yield start, whole[:_LONGEST]
        pending, start = "", 0


def _events(node: Node | None) -> set[str]:
    if node is None:
        return set()
    listed = (name for item in node.sequence() for name in (item.scalar(), *item.mapping()))
    return {node.scalar(), *node.mapping(), *listed} - {""}


def _directory(node: Node, base: str | None) -> str | None:
    given = node.get("defaults", "run", "working-directory") or node.get("working-directory")
    return base if given is None else _joined(".", given.scalar())


def _joined(base: str | None, path: str) -> str | None:
    if base is None or "$" in path or path.startswith(("/", "~", "-")):
        return None
    return posixpath.normpath(posixpath.join(base, path or "."))


def _lines(path: str, step: Node, place: str | None, changes: bool) -> Iterator[Step]:
    run = step.get("run")
    if run is None:
        return
    directory = _directory(step, place)
    # A block begins on the line below its key; a text behind the key is there itself.
    first = run.line + 1 if run.end_line > run.line and "\n" in run.scalar() else run.line
    for number, command in script_lines(run.scalar()):
        rest = command
        if (moved := _MOVE.match(command)) is not None:
            directory = _joined(directory, moved["where"].strip("\"'"))
            rest = command[moved.end() :]
        if rest:
            yield Step(path, first + number - 1, rest, directory, changes)


def _images(path: str, job: Node) -> Iterator[tuple[str, int, str]]:
    listed = job.get("services")
    places = [job.get("container"), *(listed.mapping().values() if listed is not None else ())]
    for place in places:
        image = place if place is not None and place.text is not None else place and place.get("image")
        if image is not None and image.scalar():
            yield path, image.line, image.scalar()
