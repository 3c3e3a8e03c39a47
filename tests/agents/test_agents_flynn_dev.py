"""The agents that ship: they load without a complaint, and Flynn-Dev knows its trade."""

import re
from pathlib import Path

import pytest

from flynn.agent.agent_catalog import load_agents
from flynn.agent.agent_file import TOOL_NAMES, AgentFile

DIRECTORY = Path(__file__).parents[2] / "agents"


@pytest.fixture(scope="module")
def flynn_dev() -> AgentFile:
    return load_agents([DIRECTORY]).get("flynn-dev")


def test_every_shipped_agent_loads_without_a_complaint() -> None:
    catalog = load_agents([DIRECTORY])
    assert catalog.refused == ()
    assert {agent.name: agent.warnings for agent in catalog} == {"flynn-dev": ()}


def test_the_head_is_the_one_the_team_wrote(flynn_dev: AgentFile) -> None:
    assert flynn_dev.description == (
        "DevOps Engineer for RezNet AI meta-development. Manages Docker, CI/CD, deployment, infrastructure,"
        " and observability per NFR standards."
    )
    assert flynn_dev.model == "haiku"
    assert flynn_dev.offered(TOOL_NAMES) == TOOL_NAMES


@pytest.mark.parametrize(
    "facts",
    [
        # who it is, and with whom it works
        ("Flynn-Dev", "Kevin Flynn", "Tron", "meta-development", "Quorra", "Sam-DB", "Tron-QA", "Rinzler-PM"),
        # where it looks first
        ("docker-compose.yml", ".github/workflows/", "scripts/", "backend/core/config.py", ".env.example"),
        ("backend/alembic/", "meta-dev/NFR.md", "backend/core/logging_config.py", "backend/core/database.py"),
        # the stack
        ("PostgreSQL 16", "Redis 7.2", "GitHub Actions", "CloudWatch", "Datadog"),
        ("pgvector/pgvector:pg16", "redis:7.2-alpine", "reznet-postgres", "reznet-redis", "reznet-backend"),
        # requirements and where they stand
        ("105-109", "54-67", "156-196", "69-75"),
        ("99.9 %", "3 attempts", "exponential backoff", "100 per instance", "sticky sessions"),
        ("5 %", "5 s", "85 %", "every 24 hours", "7 days", "80 %"),
        # logging and pooling
        ("`timestamp`, `level`, `service`, `message`, `context`", "DEBUG", "INFO", "ERROR"),
        ("20 connections and 10 more", "pool_pre_ping", "3600 s", "expire_on_commit"),
        # security and images
        ("pip-audit", "bandit", "Codecov", "ruff check", "mypy"),
        # commands left for a person
        (
            "docker compose up -d",
            "docker stats",
            "psql -U postgres -d reznetai_local",
            "git push",
            "gunzip -c",
        ),
        # phases
        ("phase 3", "Phases 1 and 2", "issue 13"),
        # the form of an answer
        ("Changes", "Verification", "Next steps", "not verifiable"),
    ],
)
def test_flynn_dev_knows_its_facts(flynn_dev: AgentFile, facts: tuple[str, ...]) -> None:
    assert [fact for fact in facts if fact not in flynn_dev.prompt] == []


def test_the_checklist_is_whole(flynn_dev: AgentFile) -> None:
    points = re.findall(r"^- \[ \] (.+)$", flynn_dev.prompt, re.MULTILINE)
    assert len(points) == 8
    words = ("health", "images", "pipeline", "JSON", "environment", "backups", "monitoring", "limits")
    assert [word for word, point in zip(words, points, strict=True) if word not in point] == []


def test_it_says_what_the_sandbox_forbids(flynn_dev: AgentFile) -> None:
    limits = flynn_dev.prompt.split("## What you cannot do from here")[1].split("## ")[0]
    for word in ("without a network", "without a Docker engine", "push", "for a person"):
        assert word in limits


def test_it_holds_nothing_of_a_conversation(flynn_dev: AgentFile) -> None:
    assert re.findall(r"\b20\d\d-\d\d-\d\d\b", flynn_dev.prompt) == []
    assert re.findall(r"(?<![\w.])/(?:home|Users|root|tmp|work|srv)/", flynn_dev.prompt) == []
    assert "feature/" not in flynn_dev.prompt
