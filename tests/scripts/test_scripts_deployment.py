"""The image, the compose files and the workflow, checked by their linters and against the settings."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from flynn.settings import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
STRONGER = "deploy/docker-compose.bubblewrap.yml"
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
BACKUP_DOCKERFILE = (ROOT / "deploy/backup/Dockerfile").read_text()


@pytest.mark.parametrize(
    "command",
    [
        ["hadolint", "Dockerfile", "deploy/backup/Dockerfile"],
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"],
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", STRONGER],
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", ".github/workflows/ci.yml"],
        ["check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml"],
        ["zizmor", "--offline", "--no-progress", "--persona", "auditor", ".github"],
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
def test_the_linter_finds_nothing(command: list[str]) -> None:
    done = subprocess.run(
        [TOOLS / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["postgres", "redis", "backend"])
def test_a_service_is_checked_bounded_and_on_loopback(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["healthcheck"]["test"]
    limits = service["deploy"]["resources"]["limits"]
    assert limits.keys() == {"cpus", "memory", "pids"}
    assert service["ports"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["container_name"] == f"reznet-{name}"


def test_the_compose_file_keeps_the_teams_choices() -> None:
    services = COMPOSE["services"]
    assert "version" not in COMPOSE
    assert services["postgres"]["image"] == "pgvector/pgvector:pg16"
    assert services["postgres"]["environment"]["POSTGRES_DB"] == "reznetai_local"
    assert services["redis"]["image"] == "redis:7.2-alpine"
    assert services["redis"]["command"][:3] == ["redis-server", "--appendonly", "yes"]
    assert services["backend"]["depends_on"] == {
        name: {"condition": "service_healthy"} for name in ("postgres", "redis")
    }
    # No password is written down: the compose file refuses to start without one.
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")


def test_what_compose_and_the_image_set_are_settings() -> None:
    set_by_compose = COMPOSE["services"]["backend"]["environment"].keys()
    set_by_image = set(re.findall(r"\b(FLYNN_[A-Z_]+)=", DOCKERFILE))
    assert set_by_image
    assert set_by_compose | set_by_image <= VARIABLES.keys()
    assert COMPOSE["services"]["backend"]["environment"]["FLYNN_HOST"] == "0.0.0.0"


def test_the_image_is_built_from_what_is_there_and_not_ignored() -> None:
    let_through = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = [
        source.removeprefix("./")
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE + BACKUP_DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert copied
    beneath = {source for source in copied if "/" in source and source not in let_through}
    assert {source.partition("/")[0] for source in beneath} | (set(copied) - beneath) == let_through
    assert all((ROOT / source).exists() for source in copied)
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"].keys() <= set(copied)


def test_the_backup_service_is_checked_bounded_and_cannot_write_what_it_keeps() -> None:
    service = COMPOSE["services"]["backup"]
    assert service["healthcheck"]["test"] == ["CMD", "flynn-backup", "check"]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert "no-new-privileges:true" in service["security_opt"]
    assert "ports" not in service
    assert service["volumes"] == ["backups:/var/lib/barman", "data:/data:ro"]
    assert re.findall(r"^USER (.+)$", BACKUP_DOCKERFILE, re.MULTILINE) == ["1000:1000"]
    # The log is held back for it, and not for ever.
    settings = COMPOSE["services"]["postgres"]["command"]
    assert {"wal_level=replica", "max_slot_wal_keep_size=4GB"} <= set(settings)
    # The restored database is read by the programs that wrote it.
    images = re.findall(r"^FROM (\S+)", BACKUP_DOCKERFILE, re.MULTILINE)
    assert set(images) == {COMPOSE["services"]["postgres"]["image"]}


def test_the_stronger_sandbox_is_never_for_root() -> None:
    (service,) = yaml.safe_load((ROOT / STRONGER).read_text())["services"].items()
    assert service[0] == "backend"
    assert service[1]["user"] == "1000:1000"
    paths = [option for option in service[1]["security_opt"] if option.startswith("seccomp=")]
    assert [(ROOT / path.removeprefix("seccomp=")).is_file() for path in paths] == [True]
    assert COMPOSE["services"]["backend"]["cap_drop"] == ["ALL"]


def test_the_image_runs_without_root() -> None:
    last_stage = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert re.findall(r"^USER (.+)$", last_stage, re.MULTILINE) == ["1000:1000"]
    assert "HEALTHCHECK" in last_stage


def test_the_workflow_grants_little_and_pins_what_it_uses() -> None:
    assert WORKFLOW["permissions"] == {}
    for job in WORKFLOW["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        assert job["timeout-minutes"]
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"])


def test_the_workflow_runs_the_one_command_that_checks_everything() -> None:
    runs = [step.get("run", "") for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    assert "scripts/test.sh --all" in runs
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("exec scripts/test.sh --all")
