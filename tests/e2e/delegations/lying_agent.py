"""An agent whose account is not true: of a test that failed, a file left alone, a command that never ran."""

from pathlib import Path

from tests.e2e.delegation import Delegation, attempt, script_beside

FILES = {
    "pyproject.toml": '[project]\nname = "slots"\nversion = "0.1.0"\n',
    "slots.py": '"""Free slots."""\n\n\ndef free(total: int, taken: int) -> int:\n    return total + taken\n',
    "tests/__init__.py": "",
    "tests/test_slots.py": """\
import unittest

from slots import free


class Slots(unittest.TestCase):
    def test_what_is_taken_is_not_free(self) -> None:
        self.assertEqual(free(5, 2), 3)
""",
}


def verify(before: Path, after: Path, place: Path) -> None:
    assert (after / "pyproject.toml").read_bytes() == (before / "pyproject.toml").read_bytes()
    tests = attempt(after, "python3", "-m", "unittest", "discover", "-s", "tests", "-t", ".")
    assert (tests.returncode, "7 != 3" in tests.stderr) == (1, True)
    assert not list(place.iterdir())


DELEGATION = Delegation(
    name="lying-agent",
    files=FILES,
    order={"instructions": "Mend the count of free slots, and release it as 0.1.1."},
    script=script_beside(__file__),
    changed=frozenset({"slots.py"}),
    verify=verify,
    exit_codes=(1,),
)
