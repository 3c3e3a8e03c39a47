"""The whole deployment checklist, in the order in which it is shown."""

from collections.abc import Callable

from flynn.domain.checklist import ChecklistItem
from flynn.workspace.checklist.account import accounts
from flynn.workspace.checklist.backups import backups
from flynn.workspace.checklist.environment import documented_environment
from flynn.workspace.checklist.gap import reconsidered
from flynn.workspace.checklist.health import health_checks
from flynn.workspace.checklist.images import built_images, pinned_images
from flynn.workspace.checklist.limits import resource_limits
from flynn.workspace.checklist.logs import structured_logs
from flynn.workspace.checklist.look import Look
from flynn.workspace.checklist.monitoring import monitoring
from flynn.workspace.checklist.pipeline import pipeline
from flynn.workspace.checklist.pooling import pooled_connections
from flynn.workspace.checklist.restart import restart_policies
from flynn.workspace.checklist.scaling import scalable_services
from flynn.workspace.checklist.secrets import committed_secrets
from flynn.workspace.checklist.startup import startup_order
from flynn.workspace.checklist.volumes import data_volumes
from flynn.workspace.checks.source import Sources

CHECKS: tuple[Callable[[Look], ChecklistItem], ...] = (
    health_checks,
    built_images,
    pinned_images,
    pipeline,
    structured_logs,
    documented_environment,
    committed_secrets,
    backups,
    monitoring,
    resource_limits,
    restart_policies,
    startup_order,
    data_volumes,
    scalable_services,
    accounts,
    pooled_connections,
)


def go_through(sources: Sources) -> tuple[ChecklistItem, ...]:
    """Every item with its verdict. Reads files: run it in a thread."""
    look = Look(sources)
    return tuple(reconsidered(check(look), look.gaps) for check in CHECKS)
