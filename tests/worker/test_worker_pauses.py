"""How long the courier waits between attempts, and how long it may hold a callback."""

from flynn.worker.courier import LEASE_SECONDS, LONGEST_PAUSE, pause_after
from flynn.worker.webhook import TIMEOUT_SECONDS


def test_pauses_double_are_varied_and_bounded() -> None:
    middle = [pause_after(n, 0.5).total_seconds() for n in range(1, 40)]
    assert middle[:4] == [5, 10, 20, 40]
    assert middle == sorted(middle)
    assert max(middle) == LONGEST_PAUSE
    assert pause_after(1, 0).total_seconds() == 3.75
    assert pause_after(1, 1).total_seconds() == 6.25
    assert pause_after(10_000, 1).total_seconds() == LONGEST_PAUSE * 1.25
    assert LEASE_SECONDS / 2 >= TIMEOUT_SECONDS, "a post that begins late must end within the lease"
