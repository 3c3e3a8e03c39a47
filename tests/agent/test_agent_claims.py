"""Claims of an account, held against the evidence."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.agent.claims import Proofs, criteria_of, judge, unmentioned
from flynn.domain.account import Account
from flynn.domain.claim import Judgement
from flynn.domain.diff_checks import DiffChecks, DiffFinding
from flynn.domain.finding import Severity
from flynn.domain.report import ReportedCommand
from flynn.domain.review import NotRun, Ran

S, C, U = Judgement.SUPPORTED, Judgement.CONTRADICTED, Judgement.UNVERIFIED

LEAST: dict[str, Any] = {
    "summary": "",
    "files_changed": [],
    "verification": [],
    "criteria": [],
    "findings": "unknown",
    "next_steps": [],
    "left_undone": [],
    "risks": [],
}


def account(**said: Any) -> Account:
    return Account.model_validate({**LEAST, **said})


def ran(
    command: str, exit_code: int | None = 0, seq: int = 10, outcome: str | None = None
) -> ReportedCommand:
    return ReportedCommand.model_validate(
        {
            "seq": seq,
            "command": command,
            "cwd": ".",
            "exit_code": exit_code,
            "outcome": outcome or ("ok" if exit_code == 0 else "error"),
            "duration_ms": 5,
        }
    )


def proofs(*commands: ReportedCommand, **more: Any) -> Proofs:
    known: dict[str, Any] = {
        "changed": {},
        "touched": {},
        "modes": frozenset(),
        "untouched": frozenset(),
        "absent": frozenset(),
        "checks": None,
    }
    return Proofs(commands=commands, **{**known, **more})


def finding(new: bool | None) -> DiffFinding:
    return DiffFinding(
        tool="shellcheck", rule="SC1", severity=Severity.NOTE, message="m", path="a.sh", line=2, new=new
    )


@pytest.mark.parametrize(
    ("claimed", "result", "commands", "expected"),
    [
        ("pytest -q", "passed", [ran("pytest -q")], S),
        ("pytest  -q", "passed", [ran("cd app && timeout 60 pytest -q 2>&1")], S),
        ("python -m pytest -q", "passed", [ran(".venv/bin/pytest -q")], S),
        ("pytest -q", "passed", [ran("pytest -q", 1)], C),
        ("pytest -q", "passed", [ran("pytest -q", None)], C),
        ("pytest -q", "passed", [ran("pytest -q", None, outcome="cancelled")], C),
        ("pytest -q", "passed", [ran("pytest -q", None, outcome="unknown")], U),
        ("pytest -q", "passed", [ran("pytest -q", None, outcome="denied")], C),
        ("pytest -q", "passed", [], C),
        ("pytest -q", "passed", [ran("ls -l")], C),
        # The last run counts.
        ("pytest", "passed", [ran("pytest", 1, 10), ran("pytest", 0, 20)], S),
        ("pytest", "passed", [ran("pytest", 0, 10), ran("pytest", 1, 20)], C),
        ("pytest", "passed", [ran("pytest", 0, 10), ran("pytest | tail", 0, 20)], U),
        # What stands behind the end of its shell never ran.
        ("pytest", "passed", [ran("exit 0 && pytest")], U),
        ("pytest", "passed", [ran("set -e\nset +e\npytest\necho done")], U),
        # What is much like it is neither a proof nor a lie.
        ("pytest", "passed", [ran("pytest -q tests/x.py")], U),
        ("pytest -q", "passed", [ran("pytest")], U),
        ("make test", "passed", [ran("echo make test")], U),
        ("npm test", "passed", [ran("grep 'npm test' README.md", 0)], C),
        # An exit code that is somebody else's.
        ("pytest", "passed", [ran("pytest || true")], U),
        ("pytest", "passed", [ran("ruff check && pytest", 1)], C),
        ("ruff check", "passed", [ran("ruff check && pytest", 1)], U),
        ("ruff check && pytest", "passed", [ran("ruff check"), ran("pytest", 1, 11)], C),
        ("ruff check && pytest", "passed", [ran("ruff check"), ran("pytest", 0, 11)], S),
        ("pytest", "passed", [ran("pytest() { true; }; pytest")], U),
        ("echo 'oops", "passed", [ran("echo  'oops", 2)], C),
        # The other claims.
        ("pytest", "failed", [ran("pytest", 1)], S),
        ("pytest", "failed", [ran("pytest")], C),
        ("pytest", "not_run", [], S),
        ("pytest", "not_run", [ran("pytest")], C),
        ("", "passed", [ran("pytest")], U),
        ("I read the file again", "passed", [ran("pytest")], C),
    ],
)
def test_what_is_said_of_a_command(
    claimed: str, result: str, commands: list[ReportedCommand], expected: Judgement
) -> None:
    said = account(verification=[{"what": "it works", "command": claimed, "result": result}])
    (claim,) = judge(said, proofs(*commands))
    assert claim.judgement is expected, claim
    assert claim.why


def test_a_test_that_passed_before_files_were_changed_proves_nothing_of_them() -> None:
    said = account(verification=[{"what": "it works", "command": "pytest", "result": "passed"}])
    (claim,) = judge(said, proofs(ran("pytest", 0, 10), touched={"a.py": 12}))
    assert (claim.judgement, claim.seq) == (U, 10)
    assert "changed after that" in claim.why


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_command_supports_nothing_that_it_merely_holds(claimed: str, more: str) -> None:
    said = account(verification=[{"what": "w", "command": f"pytest {claimed}", "result": "passed"}])
    (claim,) = judge(said, proofs(ran(f"echo 'pytest' {more}; true")))
    assert claim.judgement is not S


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.sh", S),
        ("./a.sh", S),
        ("/home/w/a.sh", S),
        ("back.sh", C),
        ("still.sh", C),
        ("gone.sh", C),
        ("made.sh", U),
        ("unseen.sh", U),
        ("mode.sh", U),
        ("deep/", S),
    ],
)
def test_what_is_said_of_a_file(path: str, expected: Judgement) -> None:
    known = proofs(
        ran("touch made.sh"),
        changed={"a.sh": 4, "deep/b.sh": 5},
        touched={"a.sh": 4, "deep/b.sh": 5, "back.sh": 6, "mode.sh": 7},
        modes=frozenset({"a.sh", "mode.sh"}),
        untouched=frozenset({"still.sh"}),
        absent=frozenset({"gone.sh", "made.sh"}),
    )
    (claim,) = judge(account(files_changed=[path]), known)
    assert claim.judgement is expected, claim


def test_without_any_command_nothing_else_can_have_changed_a_file() -> None:
    (claim,) = judge(account(files_changed=["b.sh"]), proofs(changed={"a.sh": 4}, touched={"a.sh": 4}))
    assert claim.judgement is C


def test_a_changed_file_that_is_not_named_is_a_gap_and_no_lie() -> None:
    known = proofs(changed={"a.sh": 4, "b.sh": 5}, touched={"a.sh": 4, "b.sh": 5})
    said = account(files_changed=["./a.sh"])
    assert unmentioned(said, known) == ["b.sh"]
    assert [claim.judgement for claim in judge(said, known)] == [S]


@pytest.mark.parametrize(
    ("said", "checks", "expected"),
    [
        ("none", DiffChecks(findings=[finding(True)], ran=[Ran(tool="shellcheck", files=1)]), C),
        ("none", DiffChecks(findings=[finding(False)], ran=[Ran(tool="shellcheck", files=1)]), S),
        ("none", DiffChecks(findings=[finding(None)], ran=[Ran(tool="shellcheck", files=1)]), U),
        ("none", DiffChecks(not_run=[NotRun(tool="hadolint", reason="gone", files=1)]), U),
        ("none", DiffChecks(), U),
        ("none", None, U),
        ("some", DiffChecks(findings=[finding(True)]), S),
        ("some", DiffChecks(), U),
    ],
)
def test_what_is_said_of_findings(said: str, checks: DiffChecks | None, expected: Judgement) -> None:
    (claim,) = judge(account(findings=said), proofs(checks=checks))
    assert claim.judgement is expected, claim


def test_contradicted_claims_come_first() -> None:
    said = account(
        verification=[
            {"what": "one", "command": "pytest", "result": "passed"},
            {"what": "two", "command": "", "result": "passed"},
            {"what": "three", "command": "make lint", "result": "passed"},
        ]
    )
    found = judge(said, proofs(ran("pytest")))
    assert [claim.judgement for claim in found] == [C, U, S]
    assert "make lint" in found[0].said


def test_criteria_are_found_by_their_words_and_else_by_their_place() -> None:
    met = {"verdict": "met", "how": "seen", "command": "pytest"}
    said = account(
        criteria=[
            {"criterion": "the  second", **met, "command": ""},
            {"criterion": "in other words", "verdict": "not_met", "how": "", "command": ""},
            {"criterion": "the third", **met},
        ]
    )
    found = criteria_of(["the first", "the second", "the third"], said, proofs(ran("pytest", 1)))
    assert [item.said for item in found] == ["unsaid", "met", "met"]
    assert [item.judgement for item in found] == [U, U, C]
    two = criteria_of(
        ["one", "in fact another"], account(criteria=said.model_dump()["criteria"][:2]), proofs()
    )
    assert [item.said for item in two] == ["met", "not_met"]
    assert [item.said for item in criteria_of(["x"], None, proofs())] == ["unsaid"]
