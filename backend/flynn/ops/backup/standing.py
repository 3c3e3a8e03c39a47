"""How backups stand: as a document, as a part of /ready, as figures."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from flynn.domain.backup import BackupsView
from flynn.domain.readiness import Part
from flynn.ops.backup.catalogue import Base, Catalogue
from flynn.ops.backup.keeper import Keeper, Policy
from flynn.telemetry.metrics import Metrics

LATE = 1.5
"""How many periods old the newest base may be."""

LAG_SECONDS = 60.0
"""How far the kept log may be behind."""

NOT_INCLUDED = (
    "workspaces that are the operator's own directories, and volumes of FLYNN_VOLUMES",
    "the keys in owner.key and anthropic.key",
    "what happened to files between two backups: workspaces are as they were when a backup was taken",
)


def at_rest(catalogue: Catalogue, policy: Policy) -> BackupsView:
    """How they stand while no service keeps them. Blocks."""
    bases = catalogue.bases()
    return BackupsView(
        items=[base.view() for base in reversed(bases)],
        windows=catalogue.windows(bases),
        under_way=None,
        last_failure=None,
        next_at=None,
        lag_seconds=None,
        bytes=catalogue.bytes(),
        keep_days=policy.keep.total_seconds() / 86_400,
        not_included=_not_included(bases),
    )


def kept(keeper: Keeper) -> BackupsView:
    """How they stand with the service that keeps them. Blocks."""
    windows = keeper.catalogue.windows(keeper.bases)
    now = keeper.stretch.covered_at
    newest = keeper.bases[-1] if keeper.bases else None
    if windows and newest and now and newest.line == keeper.stretch.line_id:
        windows[0] = windows[0].model_copy(update={"end": max(windows[0].end, now)})
    return BackupsView(
        items=[base.view() for base in reversed(keeper.bases)],
        windows=windows,
        under_way=keeper.under_way,
        last_failure=keeper.last_failure,
        next_at=keeper.due_at(),
        lag_seconds=keeper.stretch.lag_seconds,
        bytes=keeper.housekeeping.bytes,
        keep_days=keeper.policy.keep.total_seconds() / 86_400,
        not_included=_not_included(keeper.bases),
    )


def _not_included(bases: Sequence[Base]) -> list[str]:
    named = [f"the workspace {name}" for name in (bases[-1].elsewhere if bases else ())]
    return [*NOT_INCLUDED, *named]


def backups_part(keeper: Keeper) -> Part:
    """Whether what was promised can be restored, and what is wrong if not."""
    now = datetime.now(UTC)
    newest = keeper.bases[-1] if keeper.bases else None
    lag = keeper.stretch.lag_seconds
    receiver = keeper.stretch.receiver
    wrong: list[str] = []
    if keeper.last_failure is not None:
        wrong.append(f"The last backup was not taken: {keeper.last_failure.detail}")
    if newest is not None and now - newest.finished_at > LATE * keeper.policy.every:
        wrong.append(f"The newest backup is of {newest.finished_at:%Y-%m-%d %H:%M} UTC.")
    if lag is not None and lag > LAG_SECONDS:
        said = f": {receiver.trouble}" if receiver is not None and receiver.trouble else ""
        wrong.append(f"The kept log is {lag:.0f} s behind the database{said}.")
    if keeper.trouble is not None:
        wrong.append(f"The kept log cannot be looked after: {keeper.trouble}.")
    if keeper.housekeeping.shortened:
        wrong.append(
            f"Backups take more than {keeper.policy.most_bytes:,} bytes (FLYNN_BACKUP_MAX_BYTES), so fewer "
            "days are kept."
        )
    if wrong:
        return Part(name="backups", state="degraded", detail=" ".join(wrong))
    if newest is None:
        due = keeper.due_at()
        when = f"the first is due at {due:%Y-%m-%d %H:%M} UTC" if due else "none is taken by itself"
        return Part(name="backups", state="ok", detail=f"there is none yet; {when}")
    return Part(
        name="backups",
        state="ok",
        detail=f"the newest is of {newest.finished_at:%Y-%m-%d %H:%M} UTC, {len(keeper.bases)} are kept",
    )


def measure(keeper: Keeper, metrics: Metrics) -> None:
    """Fill the figures of backups in."""
    newest = keeper.bases[-1] if keeper.bases else None
    lag = keeper.stretch.lag_seconds
    age = (datetime.now(UTC) - newest.finished_at).total_seconds() if newest else math.nan
    metrics.backup_age.set(age)
    metrics.backup_lag.set(math.nan if lag is None else lag)
    metrics.backup_bytes.set(keeper.housekeeping.bytes)
