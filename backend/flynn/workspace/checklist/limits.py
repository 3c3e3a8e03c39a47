"""Resource limits: no service can take all of the machine's memory."""

from collections.abc import Iterator

from flynn.domain.checklist import ChecklistItem, Proof, passed, undecided
from flynn.workspace.checklist.look import Look

_MEMORY = (("deploy", "resources", "limits", "memory"), ("mem_limit",))
_PROCESSORS = (("deploy", "resources", "limits", "cpus"), ("cpus",), ("cpu_quota",))


def resource_limits(look: Look) -> ChecklistItem:
    """Each service limits its memory and its processors, as `deploy.resources.limits` or the older way."""
    proofs = list(_proofs(look)) or [undecided("No compose file declares a service.")]
    return ChecklistItem.of("resource-limits", "Resource limits are set", proofs)


def _proofs(look: Look) -> Iterator[Proof]:
    for service in look.services:
        missing = [
            what
            for what, ways in (("memory", _MEMORY), ("processors", _PROCESSORS))
            if not any(service.find(*way) for way in ways)
        ]
        where = (service.path, service.line)
        if missing:
            why = f"{service.name} has no limit of {' and '.join(missing)}."
            yield look.lacking(why, *where, "compose")
        else:
            yield passed(f"{service.name} has limits.", *where)
