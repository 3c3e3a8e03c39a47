"""Every `run:` of the workflow: what can run without GitHub and Docker runs here, the rest is named with why.

A step that is in neither list fails, and so does a name of the lists that no step has. All of them are clean
for ShellCheck. They run as GitHub runs them (bash -eo pipefail), in a copy of what git knows of this
checkout, with its .venv.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Step:
    """A step that runs commands."""

    job: str
    name: str
    run: str
    directory: str

    def __str__(self) -> str:
        return f"{self.job}: {self.name}"


def steps() -> list[Step]:
    found = []
    for file in WORKFLOWS:
        workflow: dict[str, Any] = yaml.safe_load(file.read_text())
        assert workflow["defaults"]["run"] == {"shell": "bash"}
        for job, content in workflow["jobs"].items():
            for step in content["steps"]:
                if "run" in step:
                    assert "shell" not in step
                    name = step.get("name", step["run"])
                    found.append(Step(job, name, step["run"], step.get("working-directory", ".")))
    return found


STEPS = steps()

RUN_HERE = {
    "configuration: zizmor": (),
    "configuration: check-jsonschema": (),
    "configuration: hadolint": (),
    "configuration: ShellCheck": (),
    "configuration: promtool": ("promtool",),
    "security: Bandit": (),
    "compose: Make .env": (),
}
"""What runs in this test, and what it needs of the machine."""

MACHINE = "changes the machine, as root"
DOCKER = "needs a Docker engine and a registry of images; scripts/drill-compose.sh does the like"
THIS = "is what runs this test"
NETWORK = "asks a service on the network, whose answer changes by the day"

NOT_HERE = {
    "test: Install what tests start": MACHINE,
    "test: Allow bubblewrap its namespaces": MACHINE,
    "test: Set up": "tests/scripts/test_scripts_setup.py runs it",
    "test: Check and test everything": THIS,
    "page: Install the sandbox": MACHINE,
    "page: Allow bubblewrap its namespaces": MACHINE,
    "page: Set up": "tests/scripts/test_scripts_setup.py runs it",
    "page: Check, test and build the page": "tests/scripts/test_scripts_build_page.py runs it",
    "page: Drive it with the runner's browser": THIS,
    "configuration: Set up": "tests/scripts/test_scripts_setup.py runs it",
    "configuration: Install promtool": MACHINE,
    "security: Install pip-audit and Bandit": NETWORK,
    "security: pip-audit": NETWORK,
    "security: npm audit": NETWORK,
    "image: Build it": DOCKER,
    "image: Look at it": DOCKER,
    "image: Start it and ask whether it is well": DOCKER,
    "image: Show its log": DOCKER,
    "compose: Build the image and start everything": DOCKER,
    "compose: Ask whether it is well": DOCKER,
    "compose: Show the logs": DOCKER,
    "compose: Take it down": DOCKER,
}
"""What does not, and why."""


def test_every_step_is_run_or_named() -> None:
    names = [str(step) for step in STEPS]
    assert len(set(names)) == len(names)
    assert set(names) == RUN_HERE.keys() | NOT_HERE.keys()
    assert not RUN_HERE.keys() & NOT_HERE.keys()


def test_what_others_are_said_to_run_is_there() -> None:
    for name, why in NOT_HERE.items():
        for path in re.findall(r"tests/[\w/]+\.py", why):
            script = next(step.run.split()[0] for step in STEPS if str(step) == name)
            assert Path(script).name in (ROOT / path).read_text(), name


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What git knows of this checkout, as it stands, with the .venv that the tests run in."""
    place = tmp_path / "clone"
    known = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.split(b"\0")
    for name in filter(None, known):
        source, target = ROOT / os.fsdecode(name), place / os.fsdecode(name)
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=place, check=True)
    (place / ".venv").symlink_to(BIN.parent)
    return place


def shell(step: Step, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does."""
    script = place.parent / "step.sh"
    script.write_text(step.run)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FLYNN_", "ANTHROPIC_", "GIT_"))}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        cwd=place / step.directory,
        env={**kept, "PATH": f"{BIN}{os.pathsep}{kept['PATH']}", "CI": "true"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "step",
    [
        pytest.param(step, marks=pytest.mark.needs(*RUN_HERE[str(step)]) if RUN_HERE[str(step)] else ())
        for step in STEPS
        if str(step) in RUN_HERE
    ],
    ids=str,
)
def test_a_step_ends_well(step: Step, clone: Path) -> None:
    done = shell(step, clone)
    assert done.returncode == 0, done.stdout + done.stderr
    if step.name == "Make .env":
        assert re.search(r"^POSTGRES_PASSWORD=[0-9a-f]{32}$", (clone / ".env").read_text(), re.MULTILINE)
        assert (clone / ".env").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("name", "file", "line"),
    [
        (
            "configuration: zizmor",
            ".github/workflows/bad.yml",
            "on: push\njobs: {a: {runs-on: x, steps: [{run: 'echo ${{ github.head_ref }}'}]}}\n",
        ),
        ("configuration: check-jsonschema", ".github/dependabot.yml", "version: 3\n"),
        ("configuration: hadolint", "Dockerfile", "FROM debian\n"),
        ("configuration: ShellCheck", "scripts/bad.sh", "#!/usr/bin/env bash\ncd $1\n"),
        ("security: Bandit", "backend/flynn/bad.py", "import hashlib\nhashlib.md5(b'x')\n"),
    ],
    ids=lambda value: value if ": " in str(value) and "\n" not in str(value) else "",
)
def test_a_step_finds_what_is_wrong(name: str, file: str, line: str, clone: Path) -> None:
    (clone / file).write_text(line)
    subprocess.run(["git", "add", "--all", "--", file], cwd=clone, check=True)
    (step,) = [step for step in STEPS if str(step) == name]
    done = shell(step, clone)
    assert done.returncode != 0, done.stdout


def test_every_pin_is_audited_and_every_script_of_a_shell_is_checked() -> None:
    runs = {str(step): step.run for step in STEPS}
    audit = runs["security: pip-audit"].replace(
        "pip-audit --strict --require-hashes --disable-pip -r", "echo"
    )
    said = subprocess.run(["bash", "-c", audit], capture_output=True, text=True, check=True).stdout.split()
    assert set(said) == {path.name for path in ROOT.glob("requirements*.txt")}

    listed = runs["configuration: ShellCheck"].replace("xargs .venv/bin/shellcheck", "cat")
    said = subprocess.run(
        ["bash", "-c", listed], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    known = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    shells = re.compile(rb"#!\S*/(?:env )?(?:ba)?sh\b")
    files = [
        name for name in known.splitlines() if not name.startswith("examples/") and (ROOT / name).is_file()
    ]
    assert {name for name in files if shells.match((ROOT / name).read_bytes()[:40])} == set(said)


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_shellcheck_finds_nothing_in_a_step(step: Step, tmp_path: Path) -> None:
    script = tmp_path / "step.sh"
    script.write_text(f"#!/bin/bash\nset -eo pipefail\n{step.run}\n")
    done = subprocess.run([BIN / "shellcheck", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_a_step_names_is_there() -> None:
    """Scripts, requirements and folders; so that a step that does not run here cannot name what went."""
    named = {
        path
        for step in STEPS
        for path in re.findall(r"(?<![\w./-])(?:scripts|tests|requirements)[\w./-]*", step.run)
    }
    assert {"scripts/test.sh", "tests/page", "requirements-audit.txt"} <= named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    assert (ROOT / "console" / "package-lock.json").is_file()
