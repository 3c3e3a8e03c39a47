"""The image, the compose files and the workflow, checked by their linters and against the settings."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from flynn.settings import VARIABLES, Settings

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


PORTS = {
    "postgres": ["127.0.0.1:5432:5432"],
    "redis": ["127.0.0.1:6379:6379"],
    "proxy": ["127.0.0.1:8000:8000"],
    "prometheus": ["127.0.0.1:9090:9090"],
    "grafana": ["127.0.0.1:3000:3000"],
}
"""What is published, and nothing else is."""


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_service_is_checked_bounded_and_hardened(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["healthcheck"]["test"]
    limits = service["deploy"]["resources"]["limits"]
    assert limits.keys() == {"cpus", "memory", "pids"}
    assert service.get("ports", []) == PORTS.get(name, [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["read_only"] is True
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize(
    "name", [name for name, service in COMPOSE["services"].items() if "build" not in service]
)
def test_an_image_of_others_is_pinned_and_runs_without_root(name: str) -> None:
    service = COMPOSE["services"][name]
    tag = service["image"].partition(":")[2]
    assert re.search(r"\d", tag), service["image"]
    if name != "grafana":  # its image has a user of its own
        assert service["user"] in {"postgres", "redis", "haproxy", "nobody"}


def test_the_compose_file_keeps_the_teams_choices() -> None:
    services = COMPOSE["services"]
    assert "version" not in COMPOSE
    assert services["postgres"]["image"] == "pgvector/pgvector:pg16"
    assert services["postgres"]["container_name"] == "reznet-postgres"
    assert services["postgres"]["environment"]["POSTGRES_DB"] == "reznetai_local"
    assert "pg_isready" in services["postgres"]["healthcheck"]["test"][1]
    assert services["redis"]["image"] == "redis:7.2-alpine"
    assert services["redis"]["container_name"] == "reznet-redis"
    assert services["redis"]["command"][:3] == ["redis-server", "--appendonly", "yes"]
    # No password is written down: the compose file refuses to start without one.
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")


@pytest.mark.parametrize("name", ["backend", "worker"])
def test_there_can_be_several_of_a_process_of_ours(name: str) -> None:
    service = COMPOSE["services"][name]
    assert "container_name" not in service
    assert "ports" not in service
    assert "/ready" in " ".join(service["healthcheck"]["test"])
    assert service["depends_on"] == {
        other: {"condition": "service_healthy"} for other in ("postgres", "redis")
    }
    assert service["environment"]["FLYNN_ENV"] == "${FLYNN_ENV:-production}"


def test_connections_of_many_processes_fit_into_the_database() -> None:
    settings = Settings.model_fields
    each = settings["pool_size"].default + settings["pool_overflow"].default + 6
    (most,) = re.findall(r"max_connections=(\d+)", " ".join(COMPOSE["services"]["postgres"]["command"]))
    # Five servers and a worker, and some for people and for backups.
    assert 6 * each + 20 <= int(most)


def test_the_databases_can_be_reached_by_our_processes_alone() -> None:
    networks = {
        name: set(service.get("networks", ["default"])) for name, service in COMPOSE["services"].items()
    }
    databases = networks["postgres"] | networks["redis"]
    assert databases == {"default"}
    for name in ("proxy", "prometheus", "grafana"):
        assert not networks[name] & databases
    assert networks["backend"] == {"default", "edge", "watch"}


def test_what_compose_and_the_image_set_are_settings() -> None:
    environments = [COMPOSE["services"][name]["environment"] for name in ("backend", "worker")]
    set_by_image = set(re.findall(r"\b(FLYNN_[A-Z_]+)=", DOCKERFILE))
    assert set_by_image
    for environment in environments:
        assert environment.keys() | set_by_image <= VARIABLES.keys()
        assert environment["FLYNN_HOST"] == "0.0.0.0"
    # Clients that poll stay at one process by the proxy's cookie.
    assert environments[0]["FLYNN_SOCKET_POLLING"] == "true"
    assert "cookie FLYNN_PROCESS insert" in (ROOT / "deploy/haproxy-compose.cfg").read_text()


@pytest.mark.needs("haproxy")
def test_haproxy_takes_the_proxys_configuration() -> None:
    done = subprocess.run(
        ["haproxy", "-c", "-f", "deploy/haproxy-compose.cfg"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_both_configurations_of_the_proxy_say_the_same() -> None:
    def sections(name: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in (ROOT / "deploy" / name).read_text().splitlines():
            words = line.partition("#")[0].split()
            if not words or words[0].startswith("server"):
                continue
            if line[0] != " ":
                found[line.strip()] = current = []
            else:
                current.append(" ".join(words).removesuffix(" dynamic"))
        return found

    plain, compose = sections("haproxy.cfg"), sections("haproxy-compose.cfg")
    assert plain.keys() < compose.keys()
    for name, lines in plain.items():
        assert [line for line in lines if not line.startswith("bind")] == [
            line for line in compose[name] if not line.startswith(("bind", "dynamic-cookie-key"))
        ]


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
    assert service["volumes"] == ["backups:/var/lib/barman", "data:/data:ro"]
    assert re.findall(r"^USER (.+)$", BACKUP_DOCKERFILE, re.MULTILINE) == ["1000:1000"]
    # The log is held back for it, and not for ever.
    settings = COMPOSE["services"]["postgres"]["command"]
    assert {"wal_level=replica", "max_slot_wal_keep_size=4GB"} <= set(settings)
    # The restored database is read by the programs that wrote it.
    images = re.findall(r"^FROM (\S+)", BACKUP_DOCKERFILE, re.MULTILINE)
    assert set(images) == {COMPOSE["services"]["postgres"]["image"]}


def test_the_stronger_sandbox_is_never_for_root() -> None:
    services = yaml.safe_load((ROOT / STRONGER).read_text())["services"]
    assert services.keys() == {"backend", "worker"}
    for service in services.values():
        assert service["user"] == "1000:1000"
        paths = [option for option in service["security_opt"] if option.startswith("seccomp=")]
        assert [(ROOT / path.removeprefix("seccomp=")).is_file() for path in paths] == [True]


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
