"""`flynn backup` and `flynn restore` as people run them: a mistake, and back to the second before it."""

import json
import re
import signal
from datetime import UTC, datetime

import httpx2
import pytest

from tests.cli.conftest import Shell

pytestmark = pytest.mark.slow


@pytest.mark.timeout(600)
def test_backup_mistake_and_restore(shell: Shell) -> None:
    service, _ = shell.start("serve", "--no-worker", until=r"Flynn is at http", FLYNN_SANDBOX="none")
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
