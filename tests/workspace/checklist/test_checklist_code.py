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
        (
            {
                "compose.yml": DATABASE,
                "backup.py": "import subprocess\n\nTOOL = 'pg_dump'\nwhile True: ...\n",
            },
            UNDECIDED,
            ["backup.py:3"],
        ),
        (
            {"compose.yml": DATABASE, "job.ts": 'const job = { command: ["pg_dump", "-Fc", "shop"] };\n'},
            UNDECIDED,
            ["job.ts:1"],
        ),
        (
            {"compose.yml": DATABASE, "job.py": 'COMMAND = """\n  pg_dump -Fc shop\n"""\n'},
            UNDECIDED,
            ["job.py:2"],
        ),
    ],
)
def test_backups(judge: Judge, files: Files, verdict: str, places: list[str]) -> None:
    assert judge(backups, files) == (verdict, places)


LOOKS_FOR_BACKUPS = {
    "look.py": r'''
        """Looks whether something runs `pg_dump` or restic; `pg_dump -Fc` would do."""

        import re

        TOOLS = ("pg_dump", "mongodump", "restic")
        MAKES = re.compile(r"\b(?:pg_dump|mongodump|subprocess)\b")
        CLOCKS = re.compile(r"^OnCalendar=|\bcrontab\b|\bschedule\b")
        hint = "say pg_dump"  # pg_dump -Fc shop > today
        ''',
    "look.ts": """
        // pg_dump -Fc shop
        const makes = /\\bpg_dump\\b|restic backup/;
        const names = ["pg_dump", "restic"];
        """,
    "look.go": "var makes = regexp.MustCompile(`pg_dump\\s|restic\\s`)\n",
    "check.sh": """
        #!/bin/sh
        command -v pg_dump >/dev/null || echo install pg_dump
        grep -q pg_dump scripts/backup.sh && pg_dump --version
        apt-get install -y restic
        """,
    "which.py": "import shutil, subprocess\n\nif shutil.which('pg_dump'):\n    subprocess.run(['true'])\n",
    "test_backup.py": "import subprocess\n\nsubprocess.run(['pg_dump', '-Fc', 'shop'])\n",
    "test-backup.sh": "#!/bin/sh\npg_dump shop\n",
    "tests/nightly.sh": "#!/bin/sh\npg_dump shop; sleep 86400\n",
}


@pytest.mark.parametrize("name", LOOKS_FOR_BACKUPS)
def test_what_only_looks_for_backups_makes_none(judge: Judge, name: str) -> None:
    files = {"compose.yml": DATABASE, name: LOOKS_FOR_BACKUPS[name]}
    assert judge(backups, files) == (FAILED, ["compose.yml:2"])


def test_what_only_looks_is_no_clock_either(judge: Judge) -> None:
    looks = LOOKS_FOR_BACKUPS["look.py"] + "        script = 'backup.sh'\n"
    files = {"compose.yml": DATABASE, "scripts/backup.sh": DUMP, "look.py": looks}
    assert judge(backups, files) == (UNDECIDED, ["scripts/backup.sh:3"])


@pytest.mark.parametrize(
    "code",
    [
        r'KNOWN = re.compile(r"\bJSONRenderer\b|\bJsonFormatter\b|\bpino\s*\(|zap\.NewProduction")',
        'HINTS = ("JSONRenderer", "LogstashEncoder", "ECSFormatter")',
        '"""Logs are JSON when a JsonFormatter or JSONRenderer is set up."""',
        'raise ValueError("set serialize=True")',
        "x = 1  # JSONRenderer one day",
    ],
)
def test_what_only_looks_for_json_logs_writes_none(judge: Judge, code: str) -> None:
    files = {"look.py": f"import logging\n{code}\n", "main.py": "import logging\n\nlogging.basicConfig()\n"}
    assert judge(structured_logs, files) == (FAILED, ["main.py:3"])


def test_what_only_looks_for_plain_logs_writes_none(judge: Judge) -> None:
    looks = 'PLAIN = re.compile(r"\\blogging\\.basicConfig\\s*\\(|x")\nWORDS = ("basicConfig(",)\n'
    assert judge(structured_logs, {"look.py": looks}) == (UNDECIDED, [":"])


@pytest.mark.parametrize(
    "code",
    [
        '"json": {"()": "pythonjsonlogger.jsonlogger.JsonFormatter"},',
        "handler.setFormatter(jsonlogger.JsonFormatter())",
        'words = "#"; handler.setFormatter(JsonFormatter())',
        "words = 'it\\'s'; handler.setFormatter(JsonFormatter())",
        'words = """a\n"b" \\""" """; handler.setFormatter(JsonFormatter())',
    ],
)
def test_json_logs_beside_words(judge: Judge, code: str) -> None:
    line = code.count("\n") + 1
    assert judge(structured_logs, {"a.py": code + "\n"}) == (PASSED, [f"a.py:{line}"])


def test_what_only_looks_for_monitoring_or_pools_has_none(judge: Judge) -> None:
    web = compose("web:\n  image: nginx:1")
    looks = r'''
        """Whether sentry_sdk or prometheus_client is used."""
        KNOWN = re.compile(r"\bprometheus_client\b|\bopentelemetry\b")
        PRODUCTS = (
            "sentry_sdk",
            "ddtrace",
            "newrelic",
            "opentelemetry",
        )
        POOLS = re.compile(r"\bcreate_engine\s*\(|createPool\s*\(|psycopg2\.connect\s*\(|x")
        '''
    assert judge(monitoring, {"compose.yml": web, "look.py": looks}) == (FAILED, ["compose.yml:2"])
    assert judge(pooled_connections, {"look.py": looks}) == (UNDECIDED, [":"])
    used = 'INSTALLED_APPS = [\n    "django_prometheus",\n]\n'
    assert judge(monitoring, {"compose.yml": web, "settings.py": used}) == (PASSED, ["settings.py:2"])
