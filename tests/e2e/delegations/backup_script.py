"""A database without backups gets a script that makes them and keeps a week of them."""

import gzip
import os
import time
from pathlib import Path

from tests.e2e.delegation import Delegation, attempt, run, script_beside

SCRIPT_PATH = "scripts/backup-db.sh"
DAY = 24 * 3600

FILES = {
    ".gitignore": "/backups/\n.env\n",
    "README.md": "# Ledger\n\n`docker compose up -d` starts the database.\n",
    "compose.yaml": """\
services:
  db:
    image: postgres:16.4
    environment:
      POSTGRES_USER: ledger
      POSTGRES_DB: ledger
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set it in .env}
    volumes:
      - db:/var/lib/postgresql/data
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U ledger -d ledger"]
      interval: 10s
      timeout: 5s
      retries: 5
volumes:
  db:
""",
    "scripts/psql.sh": """\
#!/usr/bin/env bash
set -euo pipefail
exec docker compose exec db psql -U ledger -d ledger "$@"
""",
}


def verify(before: Path, after: Path, place: Path) -> None:
    assert not (before / SCRIPT_PATH).exists()
    assert os.access(after / SCRIPT_PATH, os.X_OK)
    run(after, "shellcheck", SCRIPT_PATH)
    dump = "-- PostgreSQL database dump\nSELECT 1;\n" * 500
    backups = place / "backups"
    backups.mkdir()
    ages = {"ledger_a.sql.gz": 30, "ledger_b.sql.gz": 7.5, "ledger_c.sql.gz": 6.5, "other.sql.gz": 30}
    for name, days in ages.items():
        (backups / name).write_bytes(b"old")
        os.utime(backups / name, (time.time() - days * DAY,) * 2)

    asked = _docker(place, f"cat {place / 'dump'}", dump)
    environment = {"PATH": f"{place}:{os.defpath}", "BACKUP_DIR": str(backups)}
    # It begins where cron begins: anywhere.
    ran = run(place, str(after / SCRIPT_PATH), environment=environment)
    made = Path(ran.stdout.strip())
    assert gzip.decompress(made.read_bytes()).decode() == dump
    assert {path.name for path in backups.iterdir()} == {made.name, "ledger_c.sql.gz", "other.sql.gz"}
    assert asked.read_text() == "compose exec -T db pg_dump -U ledger -d ledger\n"

    os.utime(made, (time.time() - 30 * DAY,) * 2)
    there = {path.name: path.read_bytes() for path in backups.iterdir()}
    _docker(place, f"head -c 100 {place / 'dump'}; exit 1", dump)
    broken = attempt(place, str(after / SCRIPT_PATH), environment=environment)
    assert broken.returncode == 1
    assert "the dump failed" in broken.stderr
    assert {path.name: path.read_bytes() for path in backups.iterdir()} == there

    refused = attempt(place, str(after / SCRIPT_PATH), environment={**environment, "RETENTION_DAYS": "0"})
    assert refused.returncode == 2
    _docker(place, f"cat {place / 'dump'}", dump)
    run(place, str(after / SCRIPT_PATH), environment={**environment, "RETENTION_DAYS": "3"})
    left = {path.name for path in backups.iterdir()}
    assert "ledger_c.sql.gz" not in left
    assert "other.sql.gz" in left
    assert len(left) == 2


def _docker(place: Path, does: str, dump: str) -> Path:
    """A `docker` that does something else; gives the file with what it was called with."""
    (place / "dump").write_text(dump)
    asked = place / "asked"
    program = place / "docker"
    program.write_text(f'#!/bin/sh\necho "$@" > {asked}\n{does}\n')
    program.chmod(0o755)
    return asked


DELEGATION = Delegation(
    name="backup-script",
    files=FILES,
    order={
        "title": "Backups",
        "instructions": "Write a backup script for the database that keeps seven days of backups. "
        "Say how to run it.",
        "acceptance_criteria": [
            "a dump that fails is told and leaves nothing that looks like a backup",
            "backups older than seven days are removed, and nothing else",
        ],
        "context": {"files": ["compose.yaml"]},
    },
    script=script_beside(__file__),
    changed=frozenset({SCRIPT_PATH, "README.md"}),
    verify=verify,
    exit_codes=(0, 0),
    teammates=("Sam-DB", "Rinzler-PM"),
)
