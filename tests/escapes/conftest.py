"""One stand for each household, kept for the whole run."""

from collections.abc import Callable, Iterator

import pytest

from tests.escapes.attempt import Household
from tests.escapes.household import Stand

Stands = Callable[[Household], Stand]


@pytest.fixture(scope="session")
def stands() -> Iterator[Stands]:
    """Opens the stand of a household when it is first asked for."""
    known: dict[Household, Stand] = {}

    def get(household: Household) -> Stand:
        if household not in known:
            try:
                known[household] = Stand(household)
            except LookupError as reason:
                pytest.skip(str(reason))
        return known[household]

    yield get
    for stand in known.values():
        stand.close()
