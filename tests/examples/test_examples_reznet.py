"""The example repository: it works by itself, and has exactly the gaps that demonstrations close."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow

REZNET = Path(__file__).parents[2] / "examples" / "reznet"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    left = shutil.ignore_patterns("__pycache__", ".*_cache", "data")
    return Path(shutil.copytree(REZNET, tmp_path / "reznet", ignore=left))


def run(directory: Path, *command: str, **environment: str) -> str:
    """Run `command` without anything of this process's environment; return what it printed."""
    done = subprocess.run(
        command,
        cwd=directory,
        env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def document(path: str) -> Any:
    return yaml.safe_load((REZNET / path).read_text())


def test_its_tests_pass_under_pytest(copy: Path) -> None:
    assert re.search(r"\b15 passed", run(copy, sys.executable, "-m", "pytest", "-q"))


def test_its_tests_pass_with_nothing_but_what_the_service_installs(copy: Path) -> None:
    command = (sys.executable, "-m", "unittest", "discover", "-s", "tests/agents")
    assert "Ran 8 tests" in run(copy, *command, PYTHONPATH="backend")


def test_its_code_is_clean_by_its_own_rules(copy: Path) -> None:
    run(copy, sys.executable, "-m", "ruff", "check", "--no-cache", ".")
    run(copy, sys.executable, "-m", "ruff", "format", "--check", "--no-cache", ".")


def test_its_scripts_parse_and_are_executable() -> None:
    scripts = sorted((REZNET / "scripts").glob("*.sh"))
    assert [script.name for script in scripts] == ["health-check.sh", "setup.sh", "start.sh"]
    for script in scripts:
        assert os.access(script, os.X_OK)
        run(REZNET, "bash", "-n", str(script))


def test_the_services_are_those_of_the_team_and_wait_for_each_other() -> None:
    services = document("docker-compose.yml")["services"]
    assert {name: service.get("image") for name, service in services.items()} == {
        "postgres": "pgvector/pgvector:pg16",
        "redis": "redis:7.2-alpine",
        "backend": None,
    }
    for name, service in services.items():
        assert service["container_name"] == f"reznet-{name}"
        assert service["healthcheck"]["interval"] == "10s"
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert services["backend"]["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "redis": {"condition": "service_healthy"},
    }


def test_every_variable_of_compose_is_documented() -> None:
    used = set(re.findall(r"\$\{(\w+)", (REZNET / "docker-compose.yml").read_text()))
    documented = set(re.findall(r"^(\w+)=", (REZNET / ".env.example").read_text(), re.MULTILINE))
    assert used
    assert used <= documented


def test_the_workflow_parses_and_what_it_runs_exists() -> None:
    jobs = document(".github/workflows/ci.yml")["jobs"]
    assert list(jobs) == ["lint-and-test", "build-check"]
    commands = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    for path in re.findall(r"-r (\S+)", commands) + re.findall(r"pytest (\S+)", commands):
        assert (REZNET / path).exists(), path


def test_the_gaps_are_there() -> None:
    workflow = (REZNET / ".github" / "workflows" / "ci.yml").read_text()
    assert "pytest tests/unit" in workflow
    assert "tests/agents" not in workflow
    assert (REZNET / "tests" / "agents" / "test_agent_creation.py").exists()
    services = document("docker-compose.yml")["services"].values()
    assert not any("deploy" in service or "mem_limit" in service for service in services)
    assert not (REZNET / "scripts" / "backup-db.sh").exists()
