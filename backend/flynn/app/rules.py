"""The settings as the rooms take them."""

import platform
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from flynn.agent.permission_file import read_permissions
from flynn.agent.prompt import Prompts
from flynn.app.places import own_places
from flynn.domain.destination import Destinations
from flynn.domain.errors import ConfigurationError, InvalidInput
from flynn.domain.permission import PermissionMode, PermissionRules
from flynn.domain.run import Limits
from flynn.domain.usage import nanodollars
from flynn.intake.rules import Rules
from flynn.model.catalog import find, resolve
from flynn.model.switches import Switches
from flynn.sandbox.command import Sandbox
from flynn.settings import Settings
from flynn.store.admission import AdmissionLimits
from flynn.worker.workplace import Caps
from flynn.workspace.mounts import Mounts


def switches(settings: Settings) -> Switches:
    """What the model's endpoint can do, as the settings say."""
    return Switches(
        caching=settings.endpoint_cache,
        effort=settings.endpoint_effort,
        structured=settings.endpoint_structured,
        count_tokens=settings.endpoint_count_tokens,
        auth=settings.endpoint_auth,
    )


def fallback_of(settings: Settings) -> str | None:
    """The id of the fallback model, None without one. Raises ConfigurationError for one that cannot be."""
    if settings.fallback_model is None:
        return None
    given = f'FLYNN_FALLBACK_MODEL is "{settings.fallback_model}"'
    try:
        model = resolve(settings.fallback_model, settings.model_aliases)
    except InvalidInput as error:
        raise ConfigurationError(f"{given}, whose price is not known: {error.detail}") from None
    if not find(model).efforts:
        raise ConfigurationError(
            f"{given}: {model} is of an older generation and not known to take what newer models have "
            "thought. Allowed is a model that takes efforts."
        )
    return model


def day_of(settings: Settings) -> int | None:
    """Nano-dollars that one principal may spend in a day, None without a limit."""
    return nanodollars(settings.dollars_per_day) or None


def caps_of(settings: Settings, mounts: Mounts, permissions: PermissionRules) -> Caps:
    """What runs may use, as the settings say; `permissions` as `read_rules` gave them."""
    return Caps(
        max_output_tokens=settings.max_output_tokens,
        output_ceiling=settings.max_output_tokens_ceiling,
        aliases=dict(settings.model_aliases),
        fallback=fallback_of(settings),
        scratch=settings.data_dir.resolve() / "private" / "scratch",
        forbidden=own_places(settings),
        permissions=permissions,
        patience=timedelta(hours=settings.approval_hours),
        mounts=mounts,
        snapshot_bytes=settings.snapshots_mb * 2**20,
        workspace_quota=settings.workspace_quota,
        day_nanodollars=day_of(settings),
        checks=settings.checks,
        commit_email=settings.commit_email,
    )


def read_rules(settings: Settings) -> PermissionRules:
    """The operator's permission rules in the operator's mode. Raises ConfigurationError."""
    rules = read_permissions(settings.permissions) if settings.permissions else PermissionRules()
    return rules.joined(PermissionRules(mode=PermissionMode(settings.permission_mode)))


def rules_of(
    settings: Settings,
    prompts: Prompts,
    sandbox: Sandbox,
    mounts: Mounts,
    *,
    keyless: Callable[[], bool] = lambda: False,
) -> Rules:
    """What intake needs to know of the settings, of what is said to the model, and of the machine.

    `keyless` says whether this process runs the agent and has no key for it now.
    """

    def opening(workspace_name: str, workspace_path: str | None) -> str:
        return prompts.opening(
            workspace_name=workspace_name,
            workspace_path=workspace_path,
            today=datetime.now(UTC).date(),
            platform=platform.system(),
            bash=sandbox.report.backend is not None,
            bash_reason=None if sandbox.report.backend else sandbox.report.reason,
            sandboxed=sandbox.report.backend != "unconfined",
        )

    return Rules(
        limits=Limits(
            turns=settings.run_max_turns,
            nanodollars=nanodollars(settings.run_max_dollars),
            prompt_tokens=settings.max_prompt_tokens,
        ),
        admission=AdmissionLimits(
            principal=settings.principal_runs,
            everyone=settings.total_runs,
            depth=settings.queue_depth,
            principal_depth=settings.principal_queue_depth,
        ),
        message_max_bytes=settings.message_max_bytes,
        forbidden_roots=own_places(settings),
        opening=opening,
        interrupted=prompts.note("interrupted"),
        brief=prompts.task,
        modes={mode: prompts.mode(mode) for mode in PermissionMode},
        mounts=mounts,
        workspace_quota=settings.workspace_quota,
        workspaces_each=settings.workspaces_each,
        keyless=keyless,
        day_nanodollars=day_of(settings),
        destinations=Destinations.of(settings.webhook_hosts),
    )
