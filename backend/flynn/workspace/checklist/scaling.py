"""Scaling: a service with several instances has nothing of which there can be only one."""

import re
from collections.abc import Iterator

from flynn.domain.checklist import ChecklistItem, Proof, failed, passed, undecided
from flynn.workspace.checklist.compose import Part, Service
from flynn.workspace.checklist.look import Look
from flynn.workspace.checks.yaml_node import Node

_NUMBER = re.compile(r"[0-9]{1,6}")


def scalable_services(look: Look) -> ChecklistItem:
    """With replicas, no container name and no fixed port of the host."""
    if not look.services:
        proofs = [undecided("No compose file declares a service.")]
    else:
        proofs = list(_proofs(look)) or [passed("No service is to run more than once.")]
    return ChecklistItem.of("scaling", "Services with replicas have nothing that exists once", proofs)


def _proofs(look: Look) -> Iterator[Proof]:
    for service in look.services:
        several = _several(service)
        if several is None:
            continue
        part, node = several
        clashes = list(_clashes(service))
        if not clashes:
            yield passed(f"{service.name} can run {node.scalar()} times.", part.path, node.line)
        for what, place, line in clashes:
            yield failed(
                f"{service.name} has {what}, so that its {node.scalar()} replicas cannot start.", place, line
            )


def _several(service: Service) -> tuple[Part, Node] | None:
    for keys in (("deploy", "replicas"), ("scale",)):
        for part, node in service.all(*keys):
            if _NUMBER.fullmatch(node.scalar()) and int(node.scalar()) > 1:
                return part, node
    return None


def _clashes(service: Service) -> Iterator[tuple[str, str, int]]:
    named = service.find("container_name")
    if named is not None:
        yield "a container_name", named[0].path, named[0].node.line_of("container_name")
    for part, node in service.all("ports"):
        for item in node.sequence():
            if item.text is not None:
                pieces = item.text.partition("/")[0].rsplit(":", 1)
                published = pieces[0].rpartition(":")[2] if len(pieces) > 1 else ""
            else:
                given = item.get("published")
                published = given.scalar() if given is not None else ""
            if _NUMBER.fullmatch(published) and published != "0":
                yield f"the fixed port {published} of the host", part.path, item.line
