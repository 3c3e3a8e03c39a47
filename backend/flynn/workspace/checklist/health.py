"""Health checks: every service that goes on running says how to ask whether it is well."""

from collections.abc import Iterator

from flynn.domain.checklist import ChecklistItem, Proof, failed, passed, undecided
from flynn.workspace.checklist.compose import Service, is_official, words
from flynn.workspace.checklist.look import Look


def health_checks(look: Look) -> ChecklistItem:
    """Compose's own check counts, and the HEALTHCHECK of a Dockerfile of this repository."""
    proofs = list(_proofs(look)) or [undecided("No compose file declares a service.")]
    return ChecklistItem.of("health-checks", "All services have health checks", proofs)


def _proofs(look: Look) -> Iterator[Proof]:
    for service in look.running:
        yield _of_service(service, look)
    if look.services:
        return
    for file in look.dockerfiles:
        check = file.last("HEALTHCHECK")
        if check is None or check.rest.upper() == "NONE":
            yield undecided(
                "The image has no HEALTHCHECK; whatever runs it may ask it otherwise.",
                file.path,
                file.stages[-1].line,
            )
        else:
            yield passed("The image has a HEALTHCHECK.", file.path, check.line)


def _of_service(service: Service, look: Look) -> Proof:
    found = service.find("healthcheck")
    if found is not None:
        part, node = found
        line = part.node.line_of("healthcheck")
        test, disabled = node.get("test"), node.get("disable")
        if (disabled is not None and disabled.scalar() == "true") or words(test) == "NONE":
            return failed(f"The health check of {service.name} is turned off.", part.path, line)
        if test is not None:
            return passed(f"{service.name} has a health check.", part.path, line)
    file = look.built(service)
    if file is not None:
        check = file.last("HEALTHCHECK")
        if check is not None and check.rest.upper() != "NONE":
            return passed(f"The image of {service.name} has a HEALTHCHECK.", file.path, check.line)
    where = (service.path, service.line)
    base = file.lineage()[-1].base if file is not None else service.image
    if is_official(base) or base.lower() == "scratch":
        why = f"{service.name} has no health check, in compose or in its image."
        return look.lacking(why, *where, "compose", "dockerfile")
    return undecided(
        f"{service.name} has no health check in compose; whether its image {base or 'that is built'} brings "
        "one is not to be seen here.",
        *where,
    )
