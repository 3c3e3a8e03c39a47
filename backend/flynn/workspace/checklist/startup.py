"""The order of the start: what needs a data service waits until that is well."""

from collections.abc import Iterator

from flynn.domain.checklist import ChecklistItem, Proof, failed, passed, undecided
from flynn.workspace.checklist.compose import Service
from flynn.workspace.checklist.look import Look
from flynn.workspace.checks.yaml_node import Node

_WAITS = frozenset({"service_healthy", "service_completed_successfully"})


def startup_order(look: Look) -> ChecklistItem:
    """`depends_on` a data service names a condition; without one it waits for nothing but the start."""
    engines = {service.name: service for service in look.services if service.engine is not None}
    proofs = [proof for service in look.services for proof in _proofs(service, engines)]
    return ChecklistItem.of(
        "startup-order",
        "Services wait until what they need is healthy",
        proofs or [undecided("No service says that it depends on a data service.")],
    )


def _proofs(service: Service, engines: dict[str, Service]) -> Iterator[Proof]:
    for part, node in service.all("depends_on"):
        for other, line, condition in _needed(node):
            if other not in engines:
                continue
            if condition in _WAITS:
                yield passed(f"{service.name} waits for {other}.", part.path, line)
            else:
                yield failed(
                    f"{service.name} does not wait until {other} is healthy: give depends_on the condition "
                    "service_healthy.",
                    part.path,
                    line,
                )


def _needed(node: Node) -> Iterator[tuple[str, int, str]]:
    for item in node.sequence():
        yield item.scalar(), item.line, "service_started"
    for name, given in node.mapping().items():
        condition = given.get("condition")
        yield name, node.line_of(name), condition.scalar() if condition is not None else "service_started"
