"""Restart policies: a service that falls over comes back without a person."""

from collections.abc import Iterator

from flynn.domain.checklist import ChecklistItem, Proof, failed, passed, undecided
from flynn.workspace.checklist.look import Look


def restart_policies(look: Look) -> ChecklistItem:
    """Each service that goes on running has `restart` or `deploy.restart_policy`."""
    proofs = list(_proofs(look)) or [undecided("No compose file declares a service.")]
    return ChecklistItem.of("restart-policy", "Services restart after a failure", proofs)


def _proofs(look: Look) -> Iterator[Proof]:
    for service in look.running:
        found = [(part, node) for part, node in service.all("restart") if node.scalar() != "no"]
        if found:
            part, node = found[0]
            line = part.node.line_of("restart")
            yield passed(f"{service.name} restarts: {node.scalar()}.", part.path, line)
        elif (policy := service.find("deploy", "restart_policy")) is not None:
            part, node = policy
            condition = node.get("condition")
            if condition is not None and condition.scalar() == "none":
                yield failed(f"{service.name} is told never to restart.", part.path, condition.line)
            else:
                yield passed(f"{service.name} has a restart policy.", part.path, node.line)
        else:
            why = f"{service.name} has no restart policy."
            yield look.lacking(why, service.path, service.line, "compose")
