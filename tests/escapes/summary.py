"""What came of a run's attempts, counted by category, backend and household, for its last lines."""

from collections import Counter
from collections.abc import Iterable, Iterator

_VERDICTS = ("stopped", "accepted", "ESCAPED")


def table(trials: Iterable[tuple[str, str, str, str]]) -> Iterator[str]:
    """Lines of a table of (category, backend, household, verdict); none where there was no trial."""
    counted = Counter(trials)
    columns = sorted({(backend, household) for _, backend, household, _ in counted})
    if not columns:
        return
    heads = [f"{backend}/{household}" for backend, household in columns]
    width = max(map(len, heads)) + 2
    yield "escape attempts: stopped, accepted (announced by the report), ESCAPED"
    yield " " * 20 + "".join(head.rjust(width) for head in heads)
    categories = sorted({category for category, *_ in counted})
    for category in (*categories, "all"):
        cells = []
        for backend, household in columns:
            sums = [
                sum(
                    number
                    for (c, b, h, v), number in counted.items()
                    if (b, h, v) == (backend, household, verdict) and category in (c, "all")
                )
                for verdict in _VERDICTS
            ]
            cells.append("/".join(map(str, sums)).rjust(width))
        yield category.ljust(20) + "".join(cells)
