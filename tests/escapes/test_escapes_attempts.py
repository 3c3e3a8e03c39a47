"""Every attempt gets out of no sandbox, and out of none of ours; what is weaker by design is announced."""

import pytest

from tests.conftest import QUICK, has
from tests.escapes.accepted import ACCEPTED, accepted
from tests.escapes.attempt import ATTEMPTS, HOUSEHOLDS, Attempt, Household
from tests.escapes.catalogue import load
from tests.escapes.conftest import Stands

BACKENDS = ("bubblewrap", "landlock")
ENOUGH = 120
TRIES = 3

load()


def marks(attempt: Attempt, backend: str, household: str) -> list[pytest.MarkDecorator]:
    made = [pytest.mark.needs(backend, *(() if household == "user" else ("root",)))]
    if not attempt.fast:
        made.append(pytest.mark.slow)
    if attempt.alone or attempt.fast:
        # The fast ones are few: opening the stands takes longer.
        made.append(pytest.mark.xdist_group("escapes-alone" if attempt.alone else "escapes-fast"))
    return made


TRIALS = [
    pytest.param(
        *(attempt, backend, household),
        marks=marks(attempt, backend, household),
        id=f"{attempt.name}-{backend}-{household}".replace(" ", "_"),
    )
    for attempt in ATTEMPTS.values()
    for household in attempt.households
    for backend in BACKENDS
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make no thousands of trials for the quick run, which would throw them away."""
    if "attempt" not in metafunc.fixturenames:
        return
    quick = metafunc.config.option.markexpr == QUICK
    trials = [trial for trial in TRIALS if not quick or all(mark.name != "slow" for mark in trial.marks)]
    metafunc.parametrize(("attempt", "backend", "household"), trials)


def test_attempt(
    attempt: Attempt, backend: str, household: str, stands: Stands, request: pytest.FixtureRequest
) -> None:
    stand = stands(household)  # type: ignore[arg-type]  # one of HOUSEHOLDS
    control = stand.control(attempt.name)
    if "absent" in control:
        pytest.skip(f"no control on this machine: {control['absent']}")
    assert control.get("escaped") is True, f"the control did not get out: {control}"
    trial = stand.ask(attempt=attempt.name, backend=backend)
    assert "escaped" in trial, trial
    known = accepted(attempt.name, backend, household)
    for _ in range(TRIES - 1):
        # What measures the machine is misled when others use it meanwhile: out means out each time.
        if known is not None or attempt.category != "resources" or not trial["escaped"]:
            break
        trial = stand.ask(attempt=attempt.name, backend=backend)
        assert "escaped" in trial, trial
    verdict = "stopped" if not trial["escaped"] else "accepted" if known else "ESCAPED"
    request.node.user_properties.append(("escape", [attempt.category, backend, household, verdict]))
    if known is None:
        assert not trial["escaped"], f"it got out of {backend}: {trial['said']}"
        return
    assert trial["escaped"], f"{backend} stops this now: take it off the table of accepted leaks"
    missing = stand.ask(report=backend)["missing"]
    assert any(known.announced in words for words in missing), f"the report does not announce it: {missing}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_there_are_enough_attempts_with_working_controls(stands: Stands) -> None:
    household = "root" if has("root") else "user"
    stand = stands(household)  # type: ignore[arg-type]  # one of HOUSEHOLDS
    names = [name for name, attempt in ATTEMPTS.items() if household in attempt.households]
    working = [name for name in names if stand.control(name).get("escaped")]
    assert len(working) >= ENOUGH


@pytest.mark.xdist_group("escapes-fast")
@pytest.mark.parametrize("household", HOUSEHOLDS)
@pytest.mark.parametrize("backend", [pytest.param(name, marks=pytest.mark.needs(name)) for name in BACKENDS])
def test_the_code_of_attempts_runs_inside(backend: str, household: Household, stands: Stands) -> None:
    """The control of the other direction: nothing is stopped because it never began."""
    if household != "user" and not has("root"):
        pytest.skip("only root has another household than its own")
    answer = stands(household).ask(check=backend)
    assert answer["ran"], answer


def test_the_table_of_accepted_leaks_names_attempts_that_exist() -> None:
    for line in ACCEPTED:
        assert line.attempt in ATTEMPTS
        assert line.backend in BACKENDS
        assert set(line.households) <= set(ATTEMPTS[line.attempt].households) <= set(HOUSEHOLDS)
