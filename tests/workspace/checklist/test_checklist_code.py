"""What code and scripts show: logs, monitoring, pools, backups."""

import pytest

from flynn.workspace.checklist.backups import backups
from flynn.workspace.checklist.logs import structured_logs
from flynn.workspace.checklist.monitoring import monitoring
from flynn.workspace.checklist.pooling import pooled_connections
from tests.workspace.checklist.conftest import Judge, compose
from tests.workspace.plant import Files

PASSED, FAILED, UNDECIDED = "passed", "failed", "not verifiable"
DATABASE = compose("db:\n  image: postgres:16")


@pytest.mark.parametrize(
    ("files", "verdict", "place"),
    [
        (
            {"a.py": "import structlog\nprocessors = [structlog.processors.JSONRenderer()]\n"},
            PASSED,
            "a.py:2",
        ),
        ({"a.py": "logger.add(sys.stdout, serialize=True)\n"}, PASSED, "a.py:1"),
        ({"a.js": "const log = require('pino')()\nlog2 = pino({level})\n"}, PASSED, "a.js:2"),
        ({"a.go": "h := slog.NewJSONHandler(os.Stdout, nil)\n"}, PASSED, "a.go:1"),
        (
            {"a.py": "import json, logging\n\nclass Lines(logging.Formatter):\n    x = json.dumps\n"},
            PASSED,
            "a.py:3",
        ),
        ({"a.py": "import logging\n\nlogging.basicConfig(level='INFO')\n"}, FAILED, "a.py:3"),
        ({"a.py": "# logging.basicConfig()\n"}, UNDECIDED, ":"),
        ({"scripts/a.py": "logging.basicConfig()\n"}, UNDECIDED, ":"),
        ({"a.py": "print('x')\n"}, UNDECIDED, ":"),
        ({"tests/a.py": "logging.basicConfig()\n"}, UNDECIDED, ":"),
        ({"README.md": "JSONRenderer"}, UNDECIDED, ":"),
    ],
)
def test_structured_logs(judge: Judge, files: Files, verdict: str, place: str) -> None:
    assert judge(structured_logs, files) == (verdict, [place])


@pytest.mark.parametrize(
    ("files", "verdict", "place"),
    [
        ({"compose.yml": compose("m:\n  image: prom/prometheus:v3")}, PASSED, "compose.yml:2"),
        ({"compose.yml": compose("m:\n  image: prom/node-exporter:v1")}, PASSED, "compose.yml:2"),
        ({"compose.yml": compose("m:\n  image: timberio/vector:1")}, PASSED, "compose.yml:2"),
        ({"compose.yml": compose("m:\n  image: pgvector/pgvector:pg16")}, FAILED, "compose.yml:2"),
        ({"monitoring/prometheus.yml": "global: {}\n"}, PASSED, "monitoring/prometheus.yml:1"),
        ({"a.py": "from prometheus_client import Counter\n"}, PASSED, "a.py:1"),
        ({"a.ts": "import client from 'prom-client'\n"}, PASSED, "a.ts:1"),
        ({"a.py": "from opentelemetry import trace\n"}, PASSED, "a.py:1"),
        ({"a.py": "print('x')\n"}, UNDECIDED, ":"),
    ],
)
def test_monitoring(judge: Judge, files: Files, verdict: str, place: str) -> None:
    assert judge(monitoring, files) == (verdict, [place])


@pytest.mark.parametrize(
    ("code", "verdict", "line"),
    [
        ("engine = create_async_engine(url, pool_size=20, max_overflow=10)\n", PASSED, 1),
        ("engine = create_engine(url)\n", PASSED, 1),
        ("engine = create_engine(\n    url,\n    pool_size=settings.size,\n)\n", PASSED, 1),
        ("engine = create_engine(url, pool_size=90, max_overflow=20)\n", FAILED, 1),
        ("engine = create_engine(\n    url,\n    poolclass=NullPool,\n)\n", FAILED, 1),
        ("pool = await asyncpg.create_pool(url)\n", PASSED, 1),
        ("def get():\n    return psycopg2.connect(url)\n", FAILED, 2),
        ("from sqlalchemy import create_engine\n", UNDECIDED, None),
        ("print('x')\n", UNDECIDED, None),
    ],
)
def test_pooled_connections(judge: Judge, code: str, verdict: str, line: int | None) -> None:
    place = f"a.py:{line}" if line else ":"
    assert judge(pooled_connections, {"a.py": code}) == (verdict, [place])


def test_pools_of_other_languages(judge: Judge) -> None:
    assert judge(pooled_connections, {"a.js": "const pool = new Pool({ max: 20 })\n"}) == (PASSED, ["a.js:1"])
    assert judge(pooled_connections, {"a.js": "const c = new Client({ connectionString })\n"}) == (
        FAILED,
        ["a.js:1"],
    )


DUMP = "#!/bin/sh\nset -eu\npg_dump db | gzip > backup.gz\n"
NIGHTLY = """
    on: {schedule: [{cron: "0 3 * * *"}]}
    jobs:
      backup:
        runs-on: ubuntu-latest
        steps:
          - run: scripts/backup.sh
    """


@pytest.mark.parametrize(
    ("files", "verdict", "places"),
    [
        ({"compose.yml": DATABASE}, FAILED, ["compose.yml:2"]),
        (
            {"compose.yml": DATABASE + compose("b:\n  image: us/postgres-backup:1", head="")},
            PASSED,
            ["compose.yml:4"],
        ),
        (
            {
                "compose.yml": DATABASE
                + compose("b:\n  image: postgres:16\n  entrypoint: [sh, /backup.sh]", head=""),
                "scripts/backup.sh": DUMP,
            },
            PASSED,
            ["compose.yml:4"],
        ),
        ({"compose.yml": DATABASE, "scripts/backup.sh": DUMP}, UNDECIDED, ["scripts/backup.sh:3"]),
        (
            {"compose.yml": DATABASE, "scripts/backup.sh": DUMP, ".github/workflows/n.yml": NIGHTLY},
            PASSED,
            [".github/workflows/n.yml:6"],
        ),
        (
            {
                "compose.yml": DATABASE,
                "scripts/backup.sh": DUMP,
                "deploy/crontab": "# nightly\n0 3 * * * root /srv/scripts/backup.sh\n",
            },
            PASSED,
            ["deploy/crontab:2", "scripts/backup.sh:3"],
        ),
        (
            {"compose.yml": DATABASE, "scripts/backup.sh": f"{DUMP}sleep 86400\n"},
            PASSED,
            ["scripts/backup.sh:4", "scripts/backup.sh:3"],
        ),
        ({"compose.yml": DATABASE, "scripts/backup.sh": "# pg_dump one day\n"}, FAILED, ["compose.yml:2"]),
        ({"compose.yml": compose("web:\n  image: nginx:1")}, UNDECIDED, [":"]),
    ],
)
def test_backups(judge: Judge, files: Files, verdict: str, places: list[str]) -> None:
    assert judge(backups, files) == (verdict, places)
