"""Commands beside a running service: its data directory is its own, its keys work, it ends when asked."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Shell
from tests.conftest import ROOT
from tests.loopback import free_port

SCENARIO = """\
name: listing
match: List the files
loop: true
turns:
  - blocks:
      - tool: Bash
        call: ls
        input: { command: "echo found-it", description: "Look" }
  - blocks:
      - text: 'The shell says {{ result("ls").regex("found-it") }}.'
"""

pytestmark = [pytest.mark.slow, pytest.mark.needs("landlock")]


def between(text: str, start: str, end: str | None = None) -> str:
    rest = text.split(start, 1)[1]
    return rest.split(end, 1)[0] if end else rest


@pytest.mark.timeout(300)
def test_keys_paste_and_a_second_service_is_refused(
    shell: Shell, simulator: Callable[..., str], tmp_path: Path
) -> None:
    model = {"ANTHROPIC_BASE_URL": simulator(SCENARIO), "ANTHROPIC_API_KEY": "scripted"}
    service, reader = shell.start("serve", until=r"Flynn is at http", cwd=shell.home, **model)
    record = json.loads((shell.data / "serve.json").read_text())
    assert record["pid"] == service.pid

    second = shell.flynn("serve", FLYNN_PORT=str(free_port()))
    assert second.returncode == 1
    assert f"belongs to a running service (pid {service.pid})" in second.stderr

    made = shell.flynn("keys", "create", "quorra", "--scope", "delegate")
    assert made.returncode == 0, made.stderr
    key = between(made.stdout, "shown only now:\n\n", "\n")

    curl = between(made.stdout, "In a shell:\n\n", "In Python:")
    posted = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(posted.stdout)["state"] in ("queued", "running")

    python = between(made.stdout, "In Python:\n\n")
    done = subprocess.run(
        [sys.executable, "-I", "-c", python], capture_output=True, text=True, timeout=60, check=True
    )
    state, report = done.stdout.split("\n", 1)
    assert state.strip() == "completed"
    proven = json.loads(report)
    assert proven["prose"] == "The shell says found-it."
    assert [(c["command"], c["exit_code"]) for c in proven["evidence"]["commands"]] == [("echo found-it", 0)]

    said = shlex.split(between(made.stdout, "For Claude Code:\n\n", "\n"))
    assert said[:6] == ["claude", "mcp", "add", "--transport", "http", "flynn"]
    assert said[7:] == ["--header", f"Authorization: Bearer {key}"]
    example = between((ROOT / "docs" / "mcp.md").read_text(), "```python\n", "```")
    delegated = subprocess.run(
        [sys.executable, "-I", "-c", example],
        capture_output=True,
        text=True,
        timeout=60,
        env={"FLYNN_URL": said[6].removesuffix("/mcp"), "FLYNN_KEY": key},
        check=True,
    )
    assert delegated.stdout == "The shell says found-it.\n"

    listed = shell.flynn("keys", "list")
    line = next(line for line in listed.stdout.splitlines() if "quorra" in line)
    assert key not in listed.stdout
    assert line.split()[2] == f"…{key[-4:]}"
    assert shell.flynn("keys", "revoke", line.split()[0]).returncode == 0
    assert "revoked" in shell.flynn("keys", "list").stdout

    doctor = shell.flynn("doctor", "--live", cwd=shell.home, **model)
    assert doctor.returncode == 0, doctor.stdout
    assert f"process {service.pid}" in doctor.stdout
    assert "the worker takes jobs" in doctor.stdout
    assert "live: call" in doctor.stdout

    service.send_signal(signal.SIGTERM)
    assert service.wait(30) == 0, reader.rest()
    assert not (shell.data / "serve.json").exists()


def test_a_key_can_be_made_while_nothing_runs(shell: Shell) -> None:
    made = shell.flynn("keys", "create", "reader", "--scope", "read")

    assert made.returncode == 0, made.stderr
    assert f"http://127.0.0.1:{shell.port}/api/v1/agents" in made.stdout
    assert f"No service runs on {shell.data} now" in made.stdout
    assert shell.flynn("keys", "revoke", "42").returncode == 1
    assert "reader" in shell.flynn("keys", "list").stdout


def test_the_demo_changes_a_real_file_and_says_so(shell: Shell) -> None:
    done = shell.flynn("demo", "--no-stay")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("The model of this demo is scripted")
    assert "\nCompleted\n  .github/workflows/ci.yml  +3 -0\n" in done.stdout
    assert "+      - name: Run agent creation tests\n" in done.stdout
    assert "\x1b" not in done.stdout
    (copy,) = (shell.data / "examples").glob("example-*")
    assert "Run agent creation tests" in (copy / ".github/workflows/ci.yml").read_text()
    assert not (shell.data / "serve.json").exists()
    # The service and its workers, which are processes of their own, log beside the terminal, once.
    said = [json.loads(line) for line in (shell.data / "run.log").read_text().splitlines()]
    (started,) = [line for line in said if line["message"] == "run started"]
    assert started["logger"] == "flynn.worker"
    assert any(line["logger"] == "uvicorn.error" for line in said)
    assert not (shell.data / "logs").exists()
    assert f"  {copy.name}  of the scripted example  " in shell.flynn("workspaces", "list").stdout


@pytest.mark.timeout(600)
def test_a_start_that_plays_it_once_does_not_add_another(shell: Shell) -> None:
    def start() -> str:
        demo, reader = shell.start("demo", "--no-again", until="Ctrl-C ends it")
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(30) == 0, reader.rest()
        return reader.rest()

    first = start()
    assert "\nCompleted\n" in first
    second = start()
    assert "was played here before" in second
    assert "Quorra delegates" not in second
    assert len(list((shell.data / "examples").glob("example-*"))) == 1


@pytest.mark.parametrize("stored", [False, True])
def test_the_demo_asks_for_a_key_unless_one_was_given_on_the_page(shell: Shell, stored: bool) -> None:
    if stored:
        shell.data.mkdir()
        (shell.data / "anthropic.key").write_text("sk-plain-of-before\n")
    demo, reader = shell.start("demo", until="Ctrl-C ends it")
    assert f"Flynn goes on serving at http://127.0.0.1:{shell.port}/?key=" in reader.text
    asked = "  For Claude's own answers give a key on the page"
    assert (asked in reader.text) is not stored
    demo.send_signal(signal.SIGTERM)
    assert demo.wait(30) == 0, reader.rest()


@pytest.mark.needs("bubblewrap")
def test_the_demo_kills_its_worker_and_another_goes_on(shell: Shell) -> None:
    done = shell.flynn("demo", "--no-stay", "--crash")

    assert done.returncode == 0, done.stdout + done.stderr
    killed = re.search(r"^  kill -9 \d+: the worker is gone", done.stdout, re.MULTILINE)
    assert killed is not None, done.stdout
    rest = done.stdout[killed.end() :]
    assert rest.index("the run was taken up again") < rest.index("  unknown (") < rest.index("\nCompleted\n")
    assert "  unknown  " in rest.split("\nCompleted\n")[1]
    (copy,) = (shell.data / "examples").glob("example-*")
    assert (copy / ".github/workflows/ci.yml").read_text().count("- name: Run agent creation tests") == 1


def test_a_directory_is_worked_on_by_name(
    shell: Shell, simulator: Callable[..., str], tmp_path: Path
) -> None:
    place = tmp_path / "my project"
    place.mkdir()
    place.chmod(0o755)
    scenario = """\
name: writing
match: greet
turns:
  - blocks:
      - text: I write a file.
      - tool: Write
        call: write
        input: { file_path: greeting.txt, content: "hello\\n" }
  - blocks:
      - tool: Bash
        call: check
        input: { command: "cat greeting.txt; exit 3" }
  - blocks:
      - text: Done.
"""
    model = {"ANTHROPIC_BASE_URL": simulator(scenario), "ANTHROPIC_API_KEY": "scripted"}

    done = shell.flynn("run", "Please greet", cwd=place, **model)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (place / "greeting.txt").read_text() == "hello\n"
    lines = done.stdout.splitlines()
    assert lines.count("I write a file.") == 1
    assert "● Bash  cat greeting.txt; exit 3" in lines
    assert lines[lines.index("● Bash  cat greeting.txt; exit 3") + 1].startswith("  exit 3 (")
    assert "  greeting.txt (new)  +1 -0" in lines
    again = shell.flynn("run", "Nobody knows this", cwd=place, **model)
    assert again.returncode == 0, again.stdout + again.stderr


def test_ctrl_c_interrupts_the_run(shell: Shell, simulator: Callable[..., str], tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    scenario = """\
name: sleeping
match: sleep
turns:
  - blocks:
      - tool: Bash
        call: sleep
        input: { command: "sleep 60" }
"""
    model = {"ANTHROPIC_BASE_URL": simulator(scenario), "ANTHROPIC_API_KEY": "scripted"}
    process, reader = shell.start("run", "sleep", cwd=place, until="● Bash  sleep 60", **model)

    os.kill(process.pid, signal.SIGINT)

    assert process.wait(30) == 130, reader.rest()
    assert "Cancelled" in reader.rest()


def test_without_a_key_a_run_is_refused_and_with_one_of_the_data_directory_it_is_not(
    shell: Shell, simulator: Callable[..., str], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()

    done = shell.flynn("run", "anything", cwd=place)

    assert done.returncode == 1
    assert "There is no key of the model's API, so nobody would answer." in done.stderr
    assert "ANTHROPIC_API_KEY" in done.stderr
    told = shell.flynn("doctor").stdout
    assert re.search(r"^ok +backups +none yet", told, re.MULTILINE)
    assert "there is no key of the model's API" in told
    assert str(place) not in shell.flynn("workspaces", "list").stdout, "a refused run registers nothing"

    url = simulator("name: well\nturns: [{blocks: [{text: Here I am.}]}]\n", "--key", "sk-plain-stored")
    stored = shell.data / "anthropic.key"
    stored.write_text(f"sk-plain-stored\n{url}\n")
    done = shell.flynn("run", "anything", cwd=place, ANTHROPIC_BASE_URL=url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Here I am." in done.stdout
    told = shell.flynn("doctor", "--live", ANTHROPIC_BASE_URL=url).stdout
    assert f"key stored in the data directory, for {url}; other users of this machine may read" in told
    assert "live: call" in told
    assert "sk-plain-stored" not in told
    stored.chmod(0o600)
    told = shell.flynn("doctor", ANTHROPIC_BASE_URL=url, ANTHROPIC_API_KEY="sk-plain-given").stdout
    assert f"key of ANTHROPIC_API_KEY, for {url}; the one stored in the data directory is not used" in told
