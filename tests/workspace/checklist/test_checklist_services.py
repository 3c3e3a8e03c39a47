"""What compose files say about running services: health, limits, restarts, volumes, order, scaling."""

import pytest

from flynn.workspace.checklist.health import health_checks
from flynn.workspace.checklist.limits import resource_limits
from flynn.workspace.checklist.restart import restart_policies
from flynn.workspace.checklist.scaling import scalable_services
from flynn.workspace.checklist.startup import startup_order
from flynn.workspace.checklist.volumes import data_volumes
from tests.workspace.checklist.conftest import Judge, compose
from tests.workspace.plant import Files

CHECK = 'healthcheck: {test: ["CMD", "true"]}'
PASSED, FAILED, UNDECIDED = "passed", "failed", "not verifiable"


@pytest.mark.parametrize(
    ("files", "verdict", "places"),
    [
        ({"compose.yml": compose(f"web:\n  image: nginx:1\n  {CHECK}")}, PASSED, ["compose.yml:4"]),
        ({"compose.yml": compose("web:\n  image: nginx:1")}, FAILED, ["compose.yml:2"]),
        (
            {"compose.yml": compose(f"a:\n  image: nginx:1\n  {CHECK}", "b:\n  image: redis:7")},
            FAILED,
            ["compose.yml:5"],
        ),
        ({"compose.yml": compose("web:\n  image: ghcr.io/us/web:1")}, UNDECIDED, ["compose.yml:2"]),
        (
            {"compose.yml": compose("web:\n  image: nginx:1\n  healthcheck: {disable: true}")},
            FAILED,
            ["compose.yml:4"],
        ),
        (
            {
                "compose.yml": compose("web:\n  build: ./web"),
                "web/Dockerfile": "FROM python:3.12 AS base\nHEALTHCHECK CMD true\nFROM base\nUSER 1\n",
            },
            PASSED,
            ["web/Dockerfile:2"],
        ),
        (
            {"compose.yml": compose("web:\n  build: ./web"), "web/Dockerfile": "FROM python:3.12\n"},
            FAILED,
            ["compose.yml:2"],
        ),
        (
            {"compose.yml": compose("web:\n  build: ./web"), "web/Dockerfile": "FROM ghcr.io/us/base:1\n"},
            UNDECIDED,
            ["compose.yml:2"],
        ),
        (
            {
                "compose.yml": compose(
                    f"web:\n  image: nginx:1\n  {CHECK}\n"
                    "  depends_on: {migrate: {condition: service_completed_successfully}}",
                    "migrate:\n  image: python:3.12",
                )
            },
            PASSED,
            ["compose.yml:4"],
        ),
        (
            {
                "docker-compose.yml": compose("web:\n  image: nginx:1"),
                "docker-compose.prod.yml": compose(f"web:\n  {CHECK}"),
            },
            PASSED,
            ["docker-compose.prod.yml:3"],
        ),
        (
            {
                "docker-compose.yml": compose(f"web:\n  image: nginx:1\n  {CHECK}"),
                "deploy/docker-compose.tls.yml": compose("web:\n  user: '1'"),
            },
            PASSED,
            ["docker-compose.yml:4"],
        ),
        (
            {
                "compose.yml": compose("web:\n  extends: {file: base.yml, service: web}"),
                "base.yml": compose(f"web:\n  image: nginx:1\n  {CHECK}"),
            },
            PASSED,
            ["base.yml:4"],
        ),
        (
            {
                "compose.yml": compose(
                    "a:\n  <<: *base",
                    "b:\n  <<: *base",
                    head=f"x-base: &base\n  image: x:1\n  {CHECK}\nservices:\n",
                )
            },
            PASSED,
            ["compose.yml:3", "compose.yml:3"],
        ),
        ({"examples/compose.yml": compose("web:\n  image: nginx:1")}, UNDECIDED, [":"]),
        ({"Dockerfile": "FROM python:3.12\n"}, UNDECIDED, ["Dockerfile:1"]),
        ({"Dockerfile": "FROM python:3.12\nHEALTHCHECK CMD true\n"}, PASSED, ["Dockerfile:2"]),
    ],
)
def test_health_checks(judge: Judge, files: Files, verdict: str, places: list[str]) -> None:
    assert judge(health_checks, files) == (verdict, places)


@pytest.mark.parametrize(
    ("service", "verdict"),
    [
        ("deploy: {resources: {limits: {memory: 1G, cpus: '1'}}}", PASSED),
        ("mem_limit: 1g\n  cpus: 1", PASSED),
        ("deploy: {resources: {limits: {memory: 1G}}}", FAILED),
        ("deploy: {resources: {reservations: {memory: 1G, cpus: '1'}}}", FAILED),
        ("ports: ['80:80']", FAILED),
    ],
)
def test_resource_limits(judge: Judge, service: str, verdict: str) -> None:
    files = {"compose.yaml": compose(f"web:\n  image: nginx:1\n  {service}")}
    assert judge(resource_limits, files) == (verdict, ["compose.yaml:2"])


@pytest.mark.parametrize(
    ("service", "verdict", "place"),
    [
        ("restart: unless-stopped", PASSED, "compose.yaml:4"),
        ("deploy: {restart_policy: {condition: on-failure}}", PASSED, "compose.yaml:4"),
        ("deploy: {restart_policy: {condition: none}}", FAILED, "compose.yaml:4"),
        ("ports: ['80:80']", FAILED, "compose.yaml:2"),
        ("ports: ['80:80']\n  restart: 'no'", FAILED, "compose.yaml:2"),
        ("restart: 'no'", UNDECIDED, ":"),
    ],
)
def test_restart_policies(judge: Judge, service: str, verdict: str, place: str) -> None:
    files = {"compose.yaml": compose(f"web:\n  image: nginx:1\n  {service}")}
    assert judge(restart_policies, files) == (verdict, [place])


@pytest.mark.parametrize(
    ("service", "verdict", "place"),
    [
        ("image: postgres:16\n  volumes: ['data:/var/lib/postgresql/data']", PASSED, "compose.yaml:4"),
        ("image: pgvector/pgvector:pg16\n  volumes: ['./d:/var/lib/postgresql']", PASSED, "compose.yaml:4"),
        (
            "image: mysql:8\n  volumes: [{type: volume, source: d, target: /var/lib/mysql}]",
            PASSED,
            "compose.yaml:4",
        ),
        ("image: postgres:16", FAILED, "compose.yaml:2"),
        ("image: postgres:16\n  volumes: ['./init:/docker-entrypoint-initdb.d']", FAILED, "compose.yaml:2"),
        ("image: mongo:7\n  volumes: [{type: tmpfs, target: /data/db}]", FAILED, "compose.yaml:2"),
        (
            "image: postgres:16\n  environment: {PGDATA: /db/data}\n  volumes: ['d:/db']",
            PASSED,
            "compose.yaml:5",
        ),
        ("image: redis:7", UNDECIDED, ":"),
        ("image: redis:7\n  command: redis-server --appendonly yes", FAILED, "compose.yaml:2"),
        (
            "image: redis:7\n  command: ['redis-server', '--appendonly', 'yes']\n  volumes: ['r:/data']",
            PASSED,
            "compose.yaml:5",
        ),
        ("image: nginx:1", UNDECIDED, ":"),
    ],
)
def test_data_volumes(judge: Judge, service: str, verdict: str, place: str) -> None:
    assert judge(data_volumes, {"compose.yaml": compose(f"db:\n  {service}")}) == (verdict, [place])


@pytest.mark.parametrize(
    ("depends", "verdict", "place"),
    [
        ("depends_on: {db: {condition: service_healthy}}", PASSED, "compose.yaml:6"),
        ("depends_on: {db: {condition: service_started}}", FAILED, "compose.yaml:6"),
        ("depends_on: [db]", FAILED, "compose.yaml:6"),
        ("depends_on: [other]", UNDECIDED, ":"),
        ("ports: ['80:80']", UNDECIDED, ":"),
    ],
)
def test_startup_order(judge: Judge, depends: str, verdict: str, place: str) -> None:
    files = {"compose.yaml": compose("db:\n  image: postgres:16", f"web:\n  image: x/y:1\n  {depends}")}
    assert judge(startup_order, files) == (verdict, [place])


@pytest.mark.parametrize(
    ("service", "verdict", "places"),
    [
        ("deploy: {replicas: 3}", PASSED, ["compose.yaml:4"]),
        ("deploy: {replicas: 3}\n  container_name: web", FAILED, ["compose.yaml:5"]),
        ("scale: 2\n  ports: ['127.0.0.1:8000:8000', '9000']", FAILED, ["compose.yaml:5"]),
        ("deploy: {replicas: 3}\n  ports: [{target: 80, published: '80'}]", FAILED, ["compose.yaml:5"]),
        ("deploy: {replicas: 3}\n  ports: ['8000-8010:8000']", PASSED, ["compose.yaml:4"]),
        ("deploy: {replicas: 1}\n  container_name: web", PASSED, [":"]),
        ("container_name: web", PASSED, [":"]),
    ],
)
def test_scaling(judge: Judge, service: str, verdict: str, places: list[str]) -> None:
    files = {"compose.yaml": compose(f"web:\n  image: nginx:1\n  {service}")}
    assert judge(scalable_services, files) == (verdict, places)


@pytest.mark.parametrize(
    "check",
    [health_checks, resource_limits, restart_policies, scalable_services, startup_order, data_volumes],
)
def test_without_compose_nothing_is_claimed(judge: Judge, check: object) -> None:
    verdict, places = judge(check, {"main.py": "print()\n"})  # type: ignore[arg-type]  # one of the checks
    assert (verdict, places) == (UNDECIDED, [":"])
