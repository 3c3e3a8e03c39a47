"""backup-db, restore-db, health-check, start and stop: what they ask of Docker, and in which order."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from deploy.backup.keeping.barman import Base
from deploy.backup.keeping.plan import Plan, described
from deploy.backup.keeping.state import Line, Window
from flynn.ops.backup.catalogue import Bundled

pytestmark = pytest.mark.slow
"""A script asks Docker many times, each a process."""

ROOT = Path(__file__).resolve().parents[2]
TIME = "2026-01-31T14:05:00Z"
MOMENT = datetime(2026, 1, 31, 13, 0, tzinfo=UTC)
BASE = Base(
    id="20260131T130000",
    began_at=MOMENT,
    ended_at=MOMENT,
    timeline=1,
    system_identifier="1",
    bytes=30_000_000,
)


def plan_text(*, files: bool = True) -> str:
    """What `flynn-backup plan` says."""
    bundled = Bundled(file="files.tar.gz", bytes=1, sha256="0", entries=3, content_bytes=9)
    plan = Plan(
        base=BASE,
        target=datetime.fromisoformat(TIME),
        window=Window(start=MOMENT, end=MOMENT, bases=(BASE,), line=Line(timeline=1, began_at=MOMENT)),
        log_bytes=16_777_216,
        files=bundled if files else None,
        files_at=MOMENT,
    )
    return "\n".join(described(plan)) + "\n"


@dataclass
class Checkout:
    """The scripts in a checkout of their own, with something that stands in for docker and for flynn."""

    root: Path
    double: Path

    def call(
        self,
        *words: str,
        answers: Mapping[str, tuple[int, str]] | None = None,
        given: str = "",
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        (self.double / "calls").write_text("")
        given_first = dict(answers or {})
        known = {**given_first, PLAN: (0, plan_text()), **ALWAYS, **given_first}
        (self.double / "answers").write_text(json.dumps([[key, *known[key]] for key in known]))
        return subprocess.run(
            [self.root / "scripts" / words[0], *words[1:]],
            env={
                "PATH": f"{self.double}:/usr/bin:/bin",
                "HOME": str(self.root),
                "DOCKER_DOUBLE": str(self.double),
                **environment,
            },
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        """What docker was asked that does something."""
        asked = (self.double / "calls").read_text().splitlines()
        looks = ("compose version", "compose ps", "compose config", "inspect")
        return [line for line in asked if not line.startswith(looks)]

    @property
    def volume(self) -> str:
        """The volume that .env names."""
        named = [
            line.partition("=")[2]
            for line in (self.root / ".env").read_text().splitlines()
            if line.startswith("POSTGRES_VOLUME=")
        ]
        assert len(named) <= 1
        return named[0] if named else ""


SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
ALWAYS = {
    "compose config --services": (
        0,
        "".join(f"{name}\n" for name, service in SERVICES.items() if "profiles" not in service),
    ),
    "compose config --quiet": (0, ""),
    "compose config": (
        0,
        "name: reznet\nservices:\n  postgres:\n    name: no\nvolumes:\n  data:\n    name: reznet_data\n"
        "  postgres:\n    name: {POSTGRES_VOLUME}\n",
    ),
    "compose ps": (0, "id-of-one\n"),
    "inspect": (0, "running healthy\n"),
}
"""What Compose says of the checkout."""

PLAN = f"compose run --rm --no-deps -T backup plan --to {TIME}"
RECOVER = "compose run --rm --no-deps -T --volume reznet_postgres_"


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root, double = tmp_path / "checkout", tmp_path / "double"
    shutil.copytree(ROOT / "scripts", root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "deploy").mkdir()
    for name in ("docker-compose.yml", ".env.example"):
        shutil.copy(ROOT / name, root)
    (root / ".env").write_text(
        "ANTHROPIC_API_KEY=sk-plain\nPOSTGRES_PASSWORD=secret\nPOSTGRES_VOLUME=reznet_postgres\n"
    )
    (root / ".env").chmod(0o600)
    double.mkdir()
    docker = double / "docker"
    docker.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {ROOT}/tests/scripts/docker_double.py "$@"\n')
    docker.chmod(0o755)
    programs = root / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "flynn").write_text('#!/bin/sh\necho flynn "$@"\n')
    (programs / "flynn").chmod(0o755)
    return Checkout(root, double)


def test_a_restoring_keeps_the_service_until_the_second_is_there_and_sound(checkout: Checkout) -> None:
    done = checkout.call("restore-db.sh", "--to", TIME, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    new = checkout.volume
    assert new.startswith("reznet_postgres_2")
    kinds = [
        PLAN,
        "volume create --label com.docker.compose.project=reznet --label "
        f"com.docker.compose.volume=postgres {new}",
        f"{RECOVER}{new.removeprefix('reznet_postgres_')}:/restored backup recover --to {TIME} "
        "--into /restored",
        "run --rm --user 0:0 --network none --read-only --cap-drop ALL --cap-add CHOWN --cap-add "
        f"DAC_READ_SEARCH --security-opt no-new-privileges --volume {new}:/restored --entrypoint chown "
        "reznet-backup --recursive postgres:postgres /restored",
        "compose stop proxy backend worker backup postgres",
        f"compose run --rm --no-deps -T --volume reznet_data:/writable backup files --base {BASE.id} "
        "--into /writable",
        "compose up --detach --wait --wait-timeout 300",
    ]
    assert checkout.calls == kinds
    assert "the database of before is in the volume reznet_postgres:" in done.stdout
    assert "POSTGRES_PASSWORD=secret" in (checkout.root / ".env").read_text()
    assert (checkout.root / ".env").stat().st_mode & 0o777 == 0o600

    # A second one replaces the name, and keeps the volume of the first.
    done = checkout.call("restore-db.sh", "--to", TIME, "--yes", "--keep-workspaces")
    assert done.returncode == 0, done.stdout + done.stderr
    assert checkout.volume
    assert f"the database of before is in the volume {new}:" in done.stdout
    assert not any("backup files" in call for call in checkout.calls)


def test_what_cannot_be_restored_replaces_nothing(checkout: Checkout) -> None:
    done = checkout.call("restore-db.sh", "--to", TIME, "--yes", answers={RECOVER: (1, "damaged\n")})
    assert done.returncode == 1
    assert "the second could not be restored; the line above says why; nothing was replaced" in done.stderr
    assert checkout.volume == "reznet_postgres"
    assert checkout.calls[-1].startswith("volume rm reznet_postgres_")
    assert not any(call.startswith(("compose stop", "compose up")) for call in checkout.calls)

    done = checkout.call("restore-db.sh", "--to", TIME, "--yes", answers={PLAN: (1, "")})
    assert (done.returncode, checkout.calls) == (1, [PLAN])
    done = checkout.call("restore-db.sh", "--to", TIME, "--yes", answers={PLAN: (0, plan_text(files=False))})
    assert (done.returncode, checkout.calls) == (1, [PLAN])
    assert "with --keep-workspaces the database alone is restored" in done.stderr


def test_workspaces_that_cannot_be_put_back_leave_the_database_as_it_was(checkout: Checkout) -> None:
    files = "compose run --rm --no-deps -T --volume reznet_data:/writable backup files"
    done = checkout.call("restore-db.sh", "--to", TIME, "--yes", answers={files: (1, "")})
    assert done.returncode == 1
    assert checkout.volume == "reznet_postgres"
    assert checkout.calls[-1] == "compose up --detach --wait --wait-timeout 300"

    # As when it was killed there: it is said until it was finished.
    again = f"To finish it: scripts/restore-db.sh --compose --to {TIME}."
    for script in ("start.sh", "stop.sh", "health-check.sh", "backup-db.sh"):
        assert again in checkout.call(script, "--compose").stderr, script
    done = checkout.call("restore-db.sh", "--to", TIME, "--yes")
    assert (done.returncode, again in done.stderr) == (0, True)
    assert checkout.volume.startswith("reznet_postgres_2")
    assert again not in checkout.call("backup-db.sh").stderr


@pytest.mark.parametrize(("words", "answer"), [(["--dry-run"], ""), ([], "n\n"), ([], "")])
def test_without_a_yes_nothing_is_done(checkout: Checkout, words: list[str], answer: str) -> None:
    done = checkout.call("restore-db.sh", "--to", TIME, *words, given=answer)
    assert done.returncode == (0 if words else 1)
    assert checkout.calls == [PLAN]
    assert f"from the base {BASE.id}" in done.stdout
    assert "nothing was done" in done.stdout


def test_the_latest_is_what_a_database_that_ended_in_order_handed_over(checkout: Checkout) -> None:
    plan = PLAN.replace(TIME, "latest")
    done = checkout.call("restore-db.sh", "--to", "latest", "--yes", answers={plan: (0, plan_text())})
    assert done.returncode == 0, done.stderr
    assert checkout.calls[1:3] == ["compose stop proxy backend worker", "compose stop postgres"]
    assert checkout.calls[3].startswith("volume create")
    failing = {plan: (0, plan_text()), RECOVER: (1, "")}
    assert checkout.call("restore-db.sh", "--to", "latest", "--yes", answers=failing).returncode == 1
    assert checkout.calls[-1].startswith("compose up"), "the service runs again"


def test_as_many_processes_run_afterwards_as_before(checkout: Checkout) -> None:
    ids = {"compose ps --all --quiet backend": (0, "one\ntwo\nthree\n")}
    assert checkout.call("restore-db.sh", "--to", TIME, "--yes", answers=ids).returncode == 0
    assert checkout.calls[-1] == "compose up --detach --wait --wait-timeout 300 --scale backend=3"


def test_a_volume_named_in_the_environment_would_win_so_it_is_refused(checkout: Checkout) -> None:
    done = checkout.call("restore-db.sh", "--to", TIME, "--yes", POSTGRES_VOLUME="other")
    assert (done.returncode, checkout.calls) == (1, [])
    assert "POSTGRES_VOLUME is set in the environment" in done.stderr


def test_a_backup_is_taken_in_the_service_that_takes_them(checkout: Checkout) -> None:
    assert checkout.call("backup-db.sh").returncode == 0
    assert checkout.calls == ["compose exec -T backup flynn-backup now"]
    assert checkout.call("backup-db.sh", "--list").returncode == 0
    assert checkout.calls == ["compose exec -T backup flynn-backup list"]
    done = checkout.call("backup-db.sh", answers={"compose ps --quiet backup": (0, "")})
    assert (done.returncode, checkout.calls) == (1, [])
    assert "start it with: scripts/start.sh --compose" in done.stderr


def test_without_containers_it_is_the_services_own_database(checkout: Checkout) -> None:
    none = {"compose ps": (0, "")}
    assert checkout.call("backup-db.sh", answers=none).stdout == "flynn backup\n"
    assert checkout.call("backup-db.sh", "--list", answers=none).stdout == "flynn backups\n"
    done = checkout.call(
        *("restore-db.sh", "--to", TIME, "--yes", "--dry-run", "--keep-workspaces"), answers=none
    )
    assert done.stdout == f"flynn restore --to {TIME} --dry-run --yes --keep-workspaces\n"
    assert checkout.call("restore-db.sh", "--list", "--local").stdout == "flynn backups\n"
    # And without Docker.
    (checkout.double / "docker").unlink()
    if shutil.which("docker", path="/usr/bin:/bin") is None:
        assert checkout.call("backup-db.sh").stdout == "flynn backup\n"
        done = checkout.call("backup-db.sh", "--compose")
        assert (done.returncode, "there is no Docker with Compose here" in done.stderr) == (1, True)


def test_the_health_check_shows_a_table_and_counts_what_is_down(checkout: Checkout) -> None:
    probe = "compose exec -T backend python - http://127.0.0.1:8000 /data/owner.key"
    good = {
        "compose exec -T postgres": (0, "accepting connections\n"),
        "compose exec -T redis": (0, "PONG\n"),
        probe: (0, "API\tok\tanswers\nsandbox\tdegraded\tno Bash\n"),
    }
    done = checkout.call("health-check.sh", answers=good)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert lines[0] == ["WHAT", "STATE", "DETAIL"]
    assert ["container", "backup", "ok        running, healthy"] in lines
    assert ["Postgres", "ok", "accepting connections"] in lines
    assert ["sandbox", "degraded", "no Bash"] in lines

    done = checkout.call("health-check.sh", answers={**good, "inspect": (0, "running unhealthy\n")})
    assert done.returncode == 1
    assert "docker compose logs postgres" in done.stdout
    assert done.stderr == "health-check: something is down\n"
    for beginning in ("compose exec -T redis", probe):
        done = checkout.call("health-check.sh", answers={**good, beginning: (1, "no route to it\n")})
        assert (done.returncode, "no route to it" in done.stdout) == (1, True)
    gone = {**good, "compose ps --all --quiet worker": (0, "")}
    done = checkout.call("health-check.sh", answers=gone)
    assert (done.returncode, "there is none; scripts/start.sh --compose makes it" in done.stdout) == (1, True)


def test_compose_is_started_and_stopped_as_often_as_one_likes(checkout: Checkout) -> None:
    (checkout.root / ".env").unlink()
    for _ in range(2):
        done = checkout.call("start.sh", "--compose", "--scale", "backend=3")
        assert done.returncode == 0, done.stderr
        assert checkout.calls == ["compose up --build --detach --wait --wait-timeout 600 --scale backend=3"]
    text = (checkout.root / ".env").read_text()
    (password,) = [line for line in text.splitlines() if line.startswith("POSTGRES_PASSWORD=")]
    assert len(password.partition("=")[2]) == 32
    assert os.stat(checkout.root / ".env").st_mode & 0o777 == 0o600  # noqa: PTH116 # not through a link
    assert checkout.call("stop.sh", "--compose").returncode == 0
    assert checkout.calls == ["compose stop"]
    done = checkout.call("start.sh", "--compose", answers={"compose up": (1, "")})
    assert (done.returncode, "scripts/health-check.sh --compose tells what" in done.stderr) == (1, True)
