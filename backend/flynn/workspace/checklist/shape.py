"""The shape of a file: where something else stands than what gives it meaning, as a list for a mapping.

A parser takes such a file and gives nothing for it; taken for empty, it would say what it does not.
"""

from collections.abc import Iterator
from dataclasses import replace

from flynn.workspace.checks.source import Obstacle
from flynn.workspace.checks.yaml_node import Node

_MAPPING, _LIST, _TEXT = "a mapping", "a list", "a text"
_OF_SERVICE = {
    **dict.fromkeys(("image", "restart", "user", "container_name"), (_TEXT,)),
    **dict.fromkeys(("deploy", "healthcheck"), (_MAPPING,)),
    **dict.fromkeys(("volumes", "ports"), (_LIST,)),
    **dict.fromkeys(("environment", "depends_on"), (_MAPPING, _LIST)),
    **dict.fromkeys(("build",), (_TEXT, _MAPPING)),
    **dict.fromkeys(("command", "entrypoint"), (_TEXT, _LIST)),
}


def of_compose(documents: list[Node]) -> Obstacle | None:
    """What is wrong with the shape of a compose file; None where its services can be told.

    One that hides more than its own place comes first.
    """
    if len(documents) > 1:
        return Obstacle("holds more than one document", documents[1].line)
    found = [obstacle for document in documents for obstacle in _of_compose(document)]
    return min(found, key=lambda obstacle: obstacle.local, default=None)


def of_workflow(documents: list[Node]) -> Obstacle | None:
    """The same of a GitHub workflow, whose jobs and steps are to be told."""
    if len(documents) > 1:
        return Obstacle("holds more than one document", documents[1].line)
    return next((found for document in documents for found in _of_workflow(document)), None)


def _of_compose(document: Node) -> Iterator[Obstacle]:
    yield from _unless(document, "its top", _MAPPING)
    services = document.mapping().get("services")
    if services is None:
        return
    yield from _unless(services, "its services", _MAPPING)
    for name, service in services.mapping().items():
        if name.startswith("x-"):
            continue
        if service.null:
            yield Obstacle(f"has nothing for the service {name}", services.line_of(name))
        yield from _unless(service, f"the service {name}", _MAPPING)
        for key, kinds in _OF_SERVICE.items():
            if (node := service.mapping().get(key)) is not None:
                for found in _unless(node, f"{key} of the service {name}", *kinds):
                    yield replace(found, local=True)


def _of_workflow(document: Node) -> Iterator[Obstacle]:
    yield from _unless(document, "its top", _MAPPING)
    jobs = document.mapping().get("jobs")
    if jobs is None:
        return
    yield from _unless(jobs, "its jobs", _MAPPING)
    for name, job in jobs.mapping().items():
        yield from _unless(job, f"the job {name}", _MAPPING)
        steps = job.mapping().get("steps")
        if steps is not None:
            yield from _unless(steps, f"the steps of the job {name}", _LIST)
            for step in steps.sequence():
                yield from _unless(step, f"a step of the job {name}", _MAPPING)


def _unless(node: Node, what: str, *kinds: str) -> Iterator[Obstacle]:
    """The obstacle that `what` is of none of `kinds`; null is nothing, and stands in nobody's way."""
    kind = _MAPPING if node.entries is not None else _LIST if node.items is not None else _TEXT
    if not node.null and kind not in kinds:
        yield Obstacle(f"has {kind} for {what}, where {' or '.join(kinds)} belongs", node.line)
