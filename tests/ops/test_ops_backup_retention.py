"""Whatever backups there were: what is removed is never needed, and the newest stays."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from flynn.ops.backup.catalogue import Base, Bundled
from flynn.ops.backup.retention import outdated, too_much

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEEP = timedelta(days=7)
BUNDLED = Bundled(file="x.tar.gz", bytes=100, sha256="", entries=0, content_bytes=0)


def base(number: int, line: str, hours_ago: int) -> Base:
    at = NOW - timedelta(hours=hours_ago)
    return Base(
        id=f"{number:04}",
        line=line,
        started_at=at - timedelta(minutes=1),
        finished_at=at,
        system_identifier="1",
        timeline=1,
        start_lsn="0/2000028",
        end_lsn="0/2000100",
        postgres="16.14",
        version="0",
        verified=True,
        database=BUNDLED,
        workspaces=BUNDLED,
    )


# Lines follow one another: "a" ends before "b" begins.
ages = st.lists(st.integers(0, 1000), min_size=0, max_size=12, unique=True)


@given(ages, st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 400))
def test_every_second_that_could_be_restored_still_can(
    hours: list[int], broken: int, asked: int, after_end: int
) -> None:
    bases = [base(n, "a" if age > broken else "b", age) for n, age in enumerate(sorted(hours, reverse=True))]
    newest_a = min((age for age in hours if age > broken), default=None)
    ends = {"b": NOW}
    if newest_a is not None:
        ends["a"] = NOW - timedelta(hours=max(broken, newest_a - after_end))
    gone = outdated(bases, ends, now=NOW, keep=KEEP)
    left = [one for one in bases if one not in gone]

    def restorable(among: list[Base], second: datetime) -> bool:
        return any(one.finished_at <= second <= max(ends[one.line], one.finished_at) for one in among)

    second = NOW - min(timedelta(hours=asked), KEEP)
    assert restorable(left, second) == restorable(bases, second)
    assert bool(left) == bool(bases)
    if bases:
        assert bases[-1] in left
    assert outdated(left, ends, now=NOW, keep=KEEP) == []  # nothing is left for a second look


def test_daily_bases_are_kept_for_a_week_and_one() -> None:
    bases = [base(n, "a", 24 * (30 - n)) for n in range(31)]
    gone = outdated(bases, {"a": NOW}, now=NOW, keep=KEEP)
    assert [NOW - one.finished_at for one in bases if one not in gone] == [
        timedelta(days=day) for day in range(7, -1, -1)
    ]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=8), st.integers(0, 10_000))
def test_too_much_goes_from_the_oldest_and_never_the_newest(sizes: list[int], most: int) -> None:
    bases = [base(n, "a", 100 - n) for n in range(len(sizes))]
    known = {one.id: size for one, size in zip(bases, sizes, strict=True)}
    gone = too_much(bases, known, total=sum(sizes), most=most)
    assert gone == bases[: len(gone)]
    left = bases[len(gone) :]
    assert left
    assert len(left) == 1 or sum(known[one.id] for one in left) <= most
    if gone:
        assert sum(known[one.id] for one in [gone[-1], *left]) > most
