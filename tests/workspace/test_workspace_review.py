"""Whole reviews: the example, three repositories with and without faults, and trees that want to do harm."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from flynn.domain.checklist import Verdict
from flynn.domain.review import Review
from flynn.sandbox.command import Sandbox
from flynn.sandbox.opening import open_sandbox
from flynn.workspace.checks.linters import LINTERS
from flynn.workspace.review import review
from flynn.workspace.root import Workspace
from tests.workspace.plant import plant
from tests.workspace.repositories import REPOSITORIES, Alarm

REZNET = Path(__file__).parents[2] / "examples" / "reznet"

pytestmark = pytest.mark.needs("bubblewrap")
Reviewed = Callable[[Path], Awaitable[Review]]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return asyncio.run(open_sandbox(private_root=tmp_path_factory.mktemp("private")))


@pytest.fixture
def reviewed(sandbox: Sandbox) -> Reviewed:
    async def run(root: Path) -> Review:
        with Workspace.open(root) as workspace:
            return await review(workspace, sandbox)

    return run


def alarms(done: Review) -> list[Alarm]:
    """Everything that is wrong."""
    found = [(f"{f.tool}/{f.rule}", f.path, f.line) for f in done.findings]
    found += [
        (f"checklist/{item.id}", proof.path or "", proof.line)
        for item in done.checklist
        for proof in item.failures
    ]
    return sorted(found, key=str)


async def test_the_example_has_these_findings_and_no_others(reviewed: Reviewed) -> None:
    done = await reviewed(REZNET)
    workflow, compose = ".github/workflows/ci.yml", "docker-compose.yml"
    services = (2, 20, 34)
    assert alarms(done) == sorted(
        [
            *(("zizmor/unpinned-uses", workflow, line) for line in (17, 22, 41)),
            ("checklist/pipeline", workflow, 35),
            ("checklist/backups", compose, 2),
            ("checklist/monitoring", compose, 2),
            *(("checklist/resource-limits", compose, line) for line in services),
            *(("checklist/restart-policy", compose, line) for line in services),
        ],
        key=str,
    )
    assert {item.id for item in done.checklist if item.verdict is Verdict.NOT_VERIFIABLE} == {
        "images-build",
        "pooling",
    }
    assert [(ran.tool, ran.files) for ran in done.ran] == [
        *(("yaml", 2), ("toml", 1), ("check-jsonschema", 2), ("zizmor", 1), ("hadolint", 1)),
        *(("shellcheck", 3), ("ruff", 13)),
    ]
    assert (done.not_run, done.notes) == ((), ())


@pytest.mark.slow
@pytest.mark.parametrize("name", REPOSITORIES)
async def test_a_repository_without_faults_gives_no_alarm(
    reviewed: Reviewed, tmp_path: Path, name: str
) -> None:
    done = await reviewed(plant(tmp_path / name, REPOSITORIES[name].files))
    assert alarms(done) == []
    assert (done.not_run, done.notes, done.worst) == ((), (), None)


async def test_every_item_and_every_linter_has_a_fault_planted_for_it(
    reviewed: Reviewed, tmp_path: Path
) -> None:
    planted = {
        rule for r in REPOSITORIES.values() for fault in r.faults for rule, _path, _line in fault.alarms
    }
    done = await reviewed(plant(tmp_path / "empty", {"a.txt": "x"}))
    assert {f"checklist/{item.id}" for item in done.checklist} == {
        rule for rule in planted if rule.startswith("checklist/")
    }
    # promtool is in no package: its own tests are for machines that have it.
    tools = {rule.partition("/")[0] for rule in planted} - {"checklist"}
    assert tools == {linter.tool for linter in LINTERS} - {"promtool"}


@pytest.mark.slow
@pytest.mark.parametrize("name", REPOSITORIES)
async def test_every_fault_that_was_planted_is_found_and_nothing_else(
    reviewed: Reviewed, tmp_path: Path, name: str
) -> None:
    repository = REPOSITORIES[name]
    done = await reviewed(plant(tmp_path / name, repository.faulty()))
    planted = {alarm for fault in repository.faults for alarm in fault.alarms}
    assert set(alarms(done)) == planted
    # zizmor takes no workflow that is against the schema; it says so, and so do we.
    broken = {(path, "zizmor") for rule, path, _ in planted if rule == "check-jsonschema/github-workflows"}
    assert {(gap.path, gap.tool) for gap in done.not_run} == broken
