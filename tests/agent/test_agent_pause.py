"""Pauses between attempts: they grow, they differ, they end somewhere, and the provider is heard."""

from flynn.agent.pause import ATTEMPTS, LONGEST_ASKED, LONGEST_WAIT, SHORT_PAUSE, SPREAD, pause_after


def test_pauses_grow_and_are_capped() -> None:
    for failures, middle in ((1, 0.5), (2, 1.0), (3, 30.0), (4, 60.0), (6, 240.0), (7, LONGEST_WAIT)):
        assert 0.8 * middle <= pause_after(failures, None) <= 1.2 * middle


def test_an_outage_of_days_is_no_overflow() -> None:
    assert 0.8 * LONGEST_WAIT <= pause_after(5_000, None) <= 1.2 * LONGEST_WAIT


def test_pauses_differ_so_that_waiting_runs_do_not_come_at_once() -> None:
    for failures in (1, ATTEMPTS, 50):
        assert len({pause_after(failures, None) for _ in range(20)}) > 1
    assert len({pause_after(1, 60.0) for _ in range(20)}) > 1


def test_the_provider_is_never_asked_before_it_says() -> None:
    for _ in range(50):
        assert 60.0 <= pause_after(1, 60.0) <= 66.0
        assert 900.0 <= pause_after(ATTEMPTS, 900.0) <= 900.0 + SPREAD
    assert pause_after(1, SHORT_PAUSE) == SHORT_PAUSE, "so short that it is slept"


def test_an_absurd_pause_is_bounded() -> None:
    for asked in (86_400.0, 1e300):
        assert LONGEST_ASKED <= pause_after(1, asked) <= LONGEST_ASKED + SPREAD
