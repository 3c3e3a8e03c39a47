"""The pipeline of the example repository gets the tests of custom agents, a threshold and a scan."""

import shutil
from pathlib import Path

import yaml

from tests.conftest import ROOT
from tests.e2e.delegation import Delegation, attempt, run, script_beside

WORKFLOW = ".github/workflows/ci.yml"
REQUIREMENTS = "backend/requirements-dev.txt"
_EXAMPLE = ROOT / "examples" / "reznet"
_LEFT_OUT = {"__pycache__", "data"}

FILES = {
    str(file.relative_to(_EXAMPLE)): file.read_text()
    for file in sorted(_EXAMPLE.rglob("*"))
    if file.is_file()
    and not any(part in _LEFT_OUT or part.endswith("_cache") for part in file.relative_to(_EXAMPLE).parts)
}


def verify(before: Path, after: Path, place: Path) -> None:
    was, now = (yaml.safe_load((each / WORKFLOW).read_text()) for each in (before, after))
    assert now[True] == was[True], "when it runs is as it was"  # YAML 1.1 reads `on` as a boolean
    assert set(now[True]) == {"push", "pull_request"}
    assert set(now["jobs"]) == {"lint-and-test", "security-scan", "build-check"}
    assert now["jobs"]["build-check"] == was["jobs"]["build-check"]
    job = now["jobs"]["lint-and-test"]
    assert {name: s["image"].split(":")[0] for name, s in job["services"].items()} == {
        "postgres": "pgvector/pgvector",
        "redis": "redis",
    }
    assert all("--health-cmd" in service["options"] for service in job["services"].values())
    run(after, "python", "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", WORKFLOW)
    scans = " ".join(step.get("run", "") for step in now["jobs"]["security-scan"]["steps"])
    assert "pip-audit -r backend/requirements.txt" in scans
    assert "bandit -r backend" in scans
    assert "pytest-cov==" in (after / REQUIREMENTS).read_text()
    assert any(str(step.get("uses", "")).startswith("codecov/") for step in job["steps"])

    [step] = [step for step in job["steps"] if "pytest" in step.get("run", "")]
    program, *arguments = step["run"].split()
    whole = Path(shutil.copytree(after, place / "whole"))
    ran = run(whole, "python", "-m", program, *arguments, environment=step["env"])
    assert "tests/agents/test_agent_creation.py" in ran.stdout
    assert (whole / "coverage.xml").is_file()
    # The threshold is one: with tests left out, the same step fails for want of coverage alone.
    less = Path(shutil.copytree(after, place / "less"))
    (less / "tests" / "agents" / "test_agent_creation.py").write_text("def test_nothing() -> None: ...\n")
    short = attempt(less, "python", "-m", program, *arguments, environment=step["env"])
    assert short.returncode != 0
    assert "Required test coverage of 80% not reached" in short.stdout + short.stderr
    assert " failed" not in short.stdout


DELEGATION = Delegation(
    name="agent-tests-in-ci",
    files=FILES,
    order={
        "title": "Agent creation tests in CI",
        "instructions": "Update CI pipeline to run agent creation tests",
        "acceptance_criteria": [
            "Postgres and Redis stand beside the tests",
            "coverage under 80 % fails the build, and the coverage is uploaded",
            "pip-audit and Bandit run on every pull request",
            "the image is still built",
        ],
        "context": {"files": [WORKFLOW]},
    },
    script=script_beside(__file__),
    changed=frozenset({WORKFLOW, REQUIREMENTS}),
    verify=verify,
    exit_codes=(0, 0, 0),
)
