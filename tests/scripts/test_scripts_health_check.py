"""health-check.sh without Docker: a real service, its database away, and none at all."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Shell
from tests.conftest import ROOT
from tests.loopback import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(home=tmp_path, data=tmp_path / "data")
    yield shell
    shell.close()


def check(shell: Shell, **settings: str) -> tuple[int, dict[str, tuple[str, str]], str]:
    """The status, what the table says of each thing, and what was said beside it."""
    done = subprocess.run(
        [ROOT / "scripts" / "health-check.sh", "--local"],
        env=shell.environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    head, *lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert head == ["WHAT", "STATE", "DETAIL"], done.stderr
    return done.returncode, {what: (state, words) for what, state, words in lines}, done.stderr


@pytest.mark.timeout(600)
def test_a_service_is_asked_for_each_of_its_parts(shell: Shell) -> None:
    status, table, said = check(shell)
    assert status == 1
    assert table["API"] == ("down", "no service of this checkout runs; scripts/start.sh starts it")
    assert said == "health-check: something is down\n"

    shell.start("serve", until=r"Flynn is at http", FLYNN_SANDBOX="none")
    status, table, said = check(shell)
    assert (status, said) == (0, "")
    assert table["Postgres"] == ("ok", "embedded: it runs with the service")
    assert table["Redis"][0] == "ok"
    assert table["API"][0] == "ok"
    assert table["MCP"] == ("ok", f"http://127.0.0.1:{shell.port}/mcp takes sessions")
    assert table["database"][0] == "ok"
    # Without a sandbox, and without a key for the model, it works with less than it should.
    assert table["sandbox"][0] == "degraded"
    assert table["model"][0] == "degraded"


@pytest.mark.timeout(300)
def test_stores_that_are_away_are_named(shell: Shell) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    status, table, _ = check(
        shell, DATABASE_URL=f"postgresql://flynn:secret@{nowhere}/x", REDIS_URL=f"redis://{nowhere}/0"
    )
    assert status == 1
    for store in ("Postgres", "Redis"):
        state, words = table[store]
        assert state == "down"
        assert "refused" in words
        assert "secret" not in words
