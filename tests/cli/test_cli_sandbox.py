"""What the command line says of the sandbox, and how loud it is where there is none."""

import json
import re
import urllib.request

import pytest

from tests.cli.conftest import Shell

pytestmark = [pytest.mark.slow, pytest.mark.needs("landlock", "bubblewrap")]


def test_the_doctor_shows_every_canary_in_every_backend(shell: Shell) -> None:
    done = shell.flynn("doctor", "--sandbox")
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout
    assert lines[0].split() == ["canary", "bubblewrap", "landlock"]
    assert len([line for line in lines if "stopped" in line]) >= 20
    assert "GOT OUT" not in done.stdout
    assert lines[-1] == "Commands run in bubblewrap."


def test_the_doctor_says_the_same_as_json(shell: Shell) -> None:
    done = shell.flynn("doctor", "--sandbox", "--json")
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout)
    assert (told["active"], told["holds"], told["control"]) == ("bubblewrap", True, None)
    assert [backend["name"] for backend in told["backends"]] == ["bubblewrap", "landlock"]
    alone = shell.flynn("doctor", "--json")
    assert alone.returncode == 2
    assert "it goes with --sandbox" in alone.stderr


@pytest.mark.parametrize(
    ("choice", "words"), [("none", "Bash, Glob and Grep are off"), ("unconfined", "WITHOUT a sandbox")]
)
def test_the_doctor_fails_where_nothing_keeps_commands_in(shell: Shell, choice: str, words: str) -> None:
    done = shell.flynn("doctor", "--sandbox", FLYNN_SANDBOX=choice)
    assert done.returncode == 1
    assert words in done.stdout.splitlines()[-1]


def test_the_opt_out_is_said_at_the_start_by_ready_and_by_the_doctor(shell: Shell) -> None:
    _, reader = shell.start(
        "serve", until=r"WITHOUT A SANDBOX and can do whatever", FLYNN_SANDBOX="unconfined"
    )
    assert "(Bash: unconfined)" in reader.text
    assert re.search(r"commands run WITHOUT A SANDBOX, because the operator says so", reader.text)
    with urllib.request.urlopen(f"http://127.0.0.1:{shell.port}/ready", timeout=20) as answer:
        parts = {part["name"]: part for part in json.load(answer)["parts"]}
    assert parts["sandbox"]["state"] == "degraded"
    assert "WITHOUT A SANDBOX" in parts["sandbox"]["detail"]
    told = shell.flynn("doctor", FLYNN_SANDBOX="unconfined").stdout
    assert re.search(r"degraded +sandbox +Commands run WITHOUT A SANDBOX", told)
