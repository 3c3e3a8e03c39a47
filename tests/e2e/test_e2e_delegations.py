"""Six DevOps tasks, delegated to one house: each ends in evidence, and the evidence is true.

The repositories, the service, its sandbox and what its commands do are real; the model is scripted. An agent
that lies is among them: what the report proves is none of what it says.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.whole.doors import Doors, open_doors
from tests.e2e.delegation import (
    Delegated,
    Delegation,
    check_account,
    check_branch,
    check_commands,
    check_files,
    delegate,
    result_of,
)
from tests.e2e.delegations import (
    agent_tests_in_ci,
    backup_script,
    broken_workflow,
    hardened_dockerfile,
    health_checks,
    lying_agent,
    mended_finding,
    structured_logging,
)

TASKS: tuple[Delegation, ...] = (
    agent_tests_in_ci.DELEGATION,
    health_checks.DELEGATION,
    structured_logging.DELEGATION,
    backup_script.DELEGATION,
    hardened_dockerfile.DELEGATION,
    broken_workflow.DELEGATION,
)
LIE = lying_agent.DELEGATION
MENDED = mended_finding.DELEGATION

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("bubblewrap", "git"),
    pytest.mark.xdist_group("delegations"),
]


@dataclass
class Desk:
    """A house, and Quorra's key to it."""

    doors: Doors
    key: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    script = "\n---\n".join(each.script for each in (*TASKS, LIE, MENDED))
    async with open_doors(tmp_path_factory.mktemp("desk"), script=script) as doors:
        yield Desk(doors, await doors.key("quorra", "delegate"))


def place(tmp_path: Path, name: str) -> Path:
    made = tmp_path / name
    made.mkdir()
    return made


def check_proof(done: Delegated, delegation: Delegation, tmp_path: Path) -> None:
    """All that holds of every task that is over. What reports prove beyond this belongs here too."""
    assert done.task["state"] == "completed", done.told()
    evidence = done.task["report"]["evidence"]
    assert {file["path"] for file in evidence["files"]} == delegation.changed
    assert tuple(command["exit_code"] for command in evidence["commands"]) == delegation.exit_codes
    check_files(done)
    check_branch(done)
    check_commands(done, place(tmp_path, "commands"))
    check_account(done, delegation)
    assert evidence["stop_reason"] == "end_turn"
    assert evidence["cost_dollars"] > 0
    refused = [
        event["data"]
        for event in done.log
        if event["type"] == "tool.finished"
        and event["data"]["outcome"] != "ok"
        and event["data"]["tool"] != "Bash"
    ]
    assert refused == []
    delegation.verify(done.before, result_of(done), place(tmp_path, "verify"))


@pytest.mark.timeout(300)
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("delegation", TASKS, ids=lambda each: each.name)
async def test_a_delegated_task_ends_in_evidence_that_is_true(
    desk: Desk, delegation: Delegation, tmp_path: Path
) -> None:
    done = await delegate(desk.doors, desk.key, delegation, tmp_path)
    check_proof(done, delegation, tmp_path)
    report = done.task["report"]
    assert [claim for claim in report["claims"] if claim["judgement"] == "contradicted"] == []
    assert report["unmentioned"] == []


@pytest.mark.timeout(300)
@pytest.mark.asyncio(loop_scope="module")
async def test_what_an_agent_makes_up_is_not_among_the_evidence(desk: Desk, tmp_path: Path) -> None:
    done = await delegate(desk.doors, desk.key, LIE, tmp_path)
    check_proof(done, LIE, tmp_path)
    report = done.task["report"]
    assert "All tests pass" in report["prose"]
    assert "ruff" in report["prose"]
    assert not any("ruff" in command["command"] for command in report["evidence"]["commands"])
    contradicted = [c for c in report["claims"] if c["judgement"] == "contradicted"]
    assert report["claims"][: len(contradicted)] == contradicted, "what is not true comes first"
    told = {(claim["kind"], claim["said"]) for claim in contradicted}
    for kind, word in (("file", "pyproject.toml"), ("verification", "unittest"), ("verification", "ruff")):
        assert any(kind == k and word in said for k, said in told), (kind, word, told)


@pytest.mark.timeout(300)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_finding_is_told_with_the_change_and_mended_within_the_run(
    desk: Desk, tmp_path: Path
) -> None:
    done = await delegate(desk.doors, desk.key, MENDED, tmp_path)
    check_proof(done, MENDED, tmp_path)
    edits = [
        str(e["data"]["content"])
        for e in done.log
        if e["type"] == "tool.finished" and e["data"]["tool"] == "Edit"
    ]
    assert len(edits) == 2
    assert "SC2086" in edits[0]
    assert "1 new finding" in edits[0]
    assert "no new finding" in edits[1]
    checks = done.task["report"]["evidence"]["checks"]
    assert [finding for finding in checks["findings"] if finding["new"]] == []


def test_each_task_has_a_script_and_a_place_of_its_own() -> None:
    names = [each.name for each in (*TASKS, LIE, MENDED)]
    assert len(set(names)) == len(names) == 8
    for each in (*TASKS, LIE, MENDED):
        [match] = [line for line in each.script.splitlines() if line.startswith("match: ")]
        assert match.removeprefix("match: ") in each.order["instructions"]
