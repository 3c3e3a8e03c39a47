"""`flynn backup`, `backups` and `restore`, beside a service and without one."""

import json
import re
import signal
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from tests.cli.conftest import Shell

pytestmark = pytest.mark.slow


def test_a_database_of_the_operators_is_theirs_to_back_up(shell: Shell) -> None:
    for command in (("backup",), ("backups",), ("restore", "--to", "latest")):
        refused = shell.flynn(*command, DATABASE_URL="postgresql://flynn:secret@localhost/flynn")
        assert refused.returncode == 1
        assert "DATABASE_URL" in refused.stderr
        assert "secret" not in refused.stderr


@pytest.mark.timeout(300)
def test_backup_mistake_and_restore(shell: Shell, tmp_path: Path) -> None:
    service, _ = shell.start("serve", "--no-worker", until=r"Flynn is at http", FLYNN_SANDBOX="none")
    none = shell.flynn("backups")
    assert none.returncode == 0, none.stderr
    assert "There is no backup yet" in none.stdout
    made = shell.flynn("workspaces", "create", "kept")
    assert made.returncode == 0, made.stderr
    workspace = made.stdout.split()[0]
    (shell.data / "workspaces" / workspace / "file").write_text("kept\n")
    taken = shell.flynn("backup", "--json")
    assert taken.returncode == 0, taken.stderr
    item = json.loads(taken.stdout)
    assert item["verified"] is True
    assert item["workspace_entries"] > 2

    key = (shell.data / "owner.key").read_text().strip()
    with httpx2.Client(base_url=f"http://127.0.0.1:{shell.port}", trust_env=False) as client:
        parts = {part["name"]: part for part in client.get("/ready").json()["parts"]}
        assert parts["backups"]["state"] == "ok"
        metrics = client.get("/metrics").text
        assert 'flynn_backups_total{outcome="taken"} 1.0' in metrics
        assert re.search(r"^flynn_backup_age_seconds \d", metrics, re.MULTILINE)
        refused = client.post("/api/v1/backups")
        assert refused.status_code == 401
        assert client.get("/api/v1/backups", headers={"Authorization": f"Bearer {key}"}).status_code == 200

    running = shell.flynn("restore", "--to", "latest", "--yes")
    assert running.returncode == 1
    assert f"pid {service.pid}" in running.stderr

    good = datetime.now(UTC).isoformat()
    late = shell.flynn("keys", "create", "too-late")
    assert late.returncode == 0, late.stderr
    (shell.data / "workspaces" / workspace / "file").write_text("spoilt\n")
    service.send_signal(signal.SIGTERM)
    assert service.wait(30) == 0

    listed = shell.flynn("backups")
    assert item["id"] in listed.stdout
    assert "Any second from" in listed.stdout
    wrong = shell.flynn("restore", "--to", "2020-01-01T00:00:00Z", "--yes")
    assert wrong.returncode == 1
    assert "cannot be restored" in wrong.stderr
    dry = shell.flynn("restore", "--to", good, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "moved aside, not deleted: postgres/cluster, workspaces" in dry.stdout
    assert "Nothing was done" in dry.stdout
    unasked = shell.flynn("restore", "--to", good)
    assert unasked.returncode == 1
    assert "--yes" in unasked.stderr
    assert not list(shell.data.glob("before-restore-*"))

    done = shell.flynn("restore", "--to", good, "--yes")
    assert done.returncode == 0, done.stderr
    (aside,) = shell.data.glob("before-restore-*")
    assert str(aside) in done.stdout
    assert re.search(r"\d+ rows  api_keys|\d+ rows  keys", done.stdout), done.stdout
    assert "replaying the log" in done.stderr
    assert (shell.data / "workspaces" / workspace / "file").read_text() == "kept\n"
    assert (aside / "workspaces" / workspace / "file").read_text() == "spoilt\n"
    keys = shell.flynn("keys", "list")
    assert keys.returncode == 0, keys.stderr
    assert "owner" in keys.stdout
    assert "too-late" not in keys.stdout

    # Without a service a backup starts the server for as long as it takes.
    again = shell.flynn("backup")
    assert again.returncode == 0, again.stderr
    assert "was taken and verified" in again.stdout
    into = shell.flynn("restore", "--to", "latest", "--into", str(tmp_path / "copy"))
    assert into.returncode == 0, into.stderr
    assert (tmp_path / "copy" / "postgres" / "cluster" / "PG_VERSION").exists()
    twice = shell.flynn("restore", "--to", "latest", "--into", str(tmp_path / "copy"))
    assert twice.returncode == 1
    assert "not empty" in twice.stderr
