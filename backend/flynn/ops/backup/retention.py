"""Which backups are not needed any more. Only reckons; deletes nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from flynn.ops.backup.catalogue import Base


def outdated(
    bases: Sequence[Base], ends: Mapping[str, datetime], *, now: datetime, keep: timedelta
) -> list[Base]:
    """The bases that no second since `now - keep` needs, the oldest first.

    `ends` says up to when each line goes, by its id. Of each line, the newest base from before that time
    stays, as the seconds after it are made of it; a line that ended before goes whole. The newest base of
    all stays, whatever its age.
    """
    since = now - keep
    newest = max(bases, key=_age, default=None)
    gone = []
    for base in bases:
        followers = [other for other in bases if other.line == base.line and _age(other) > _age(base)]
        replaced = any(other.finished_at <= since for other in followers)
        ended = max(ends.get(base.line, base.finished_at), base.finished_at) < since
        if base is not newest and (replaced or ended):
            gone.append(base)
    return sorted(gone, key=_age)


def too_much(bases: Sequence[Base], sizes: Mapping[str, int], *, total: int, most: int) -> list[Base]:
    """The oldest bases that have to go so that no more than `most` of `total` bytes are left.

    `sizes` is what goes with each base, by its id, its part of the log included. The newest stays.
    """
    gone: list[Base] = []
    for base in sorted(bases, key=_age)[:-1]:
        if total <= most:
            break
        total -= sizes.get(base.id, base.bytes)
        gone.append(base)
    return gone


def _age(base: Base) -> tuple[datetime, str]:
    return base.finished_at, base.id
