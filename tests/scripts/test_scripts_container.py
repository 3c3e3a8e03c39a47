"""The image in a real container: which sandbox commands get there, and that nothing gets out of it.

With FLYNN_IMAGE the image of that name is tried; else it is built first, by the Dockerfile.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESTRICTION = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
TRIED_EVERYWHERE = {
    *("read a file outside", "create a file in the service's directory", "reach a loopback listener"),
    *("reach a unix socket", "reach an abstract socket", "send a datagram to a unix socket"),
    *("change the mode of a file outside", "signal the service", "trace a process"),
}
"""What a process without a sandbox can do in a container too, so that stopping it says something."""

pytestmark = [pytest.mark.needs("docker"), pytest.mark.slow]


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The image's name."""
    given = os.environ.get("FLYNN_IMAGE")
    if given:
        yield given
        return
    name = f"flynn-test:{os.getpid()}"
    built = _docker("build", "--quiet", "--tag", name, ".")
    assert built.returncode == 0, built.stderr
    yield name
    _docker("image", "rm", name)


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], cwd=ROOT, capture_output=True, text=True, check=False)


def _sandbox(image: str, *options: str) -> tuple[str, dict[str, Any]]:
    """Let the sandbox be tried in a container; the active backend and what is said of it."""
    done = _docker("run", "--rm", *options, image, "doctor", "--sandbox", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["holds"]
    assert told["control"] is None
    (active,) = [backend for backend in told["backends"] if backend["name"] == told["active"]]
    outcomes = active["canaries"]
    assert "got out" not in outcomes.values()
    assert {name for name, outcome in outcomes.items() if outcome == "stopped"} >= TRIED_EVERYWHERE
    return told["active"], active


@pytest.mark.needs("landlock")
@pytest.mark.parametrize("user", [[], ["--user", "0"]], ids=["the image's user", "root"])
def test_a_sandbox_holds_with_default_options(image: str, user: list[str]) -> None:
    backend, told = _sandbox(image, *user)
    if backend == "landlock":
        assert any("private view" in layer for layer in told["missing"])


def test_the_image_is_small_and_has_what_commands_use(image: str) -> None:
    size = int(_docker("image", "inspect", "--format", "{{.Size}}", image).stdout)
    assert size < 450_000_000
    tried = (
        "git init -q /tmp/x && cd /tmp/x && git -c user.name=a -c user.email=a@b commit -qm m --allow-empty"
    )
    linters = (
        "hadolint --version && shellcheck --version && zizmor --version && ruff --version && rg --version"
    )
    done = _docker(
        *("run", "--rm", "--read-only", "--tmpfs", "/tmp", "--entrypoint", "sh", image),
        *("-c", f"{tried} && git log --oneline && {linters}"),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.needs("landlock")
def test_the_sandbox_holds_as_compose_starts_it(image: str) -> None:
    """Without a writable root and without a capability."""
    backend, _ = _sandbox(
        image, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"
    )
    assert backend == "landlock"


def test_bubblewrap_is_taken_in_the_stronger_profile(image: str) -> None:
    if RESTRICTION.exists() and RESTRICTION.read_text().strip() == "1":
        pytest.skip("AppArmor of this host keeps programs without a profile from user namespaces")
    engine = _docker("info", "--format", "{{json .SecurityOptions}}").stdout
    backend, told = _sandbox(
        image,
        *("--user", "1000", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--read-only", "--tmpfs", "/tmp"),
        *("--security-opt", f"seccomp={ROOT / 'deploy/seccomp-bubblewrap.json'}"),
        *("--security-opt", "systempaths=unconfined"),
        *(("--security-opt", "apparmor=unconfined") if "name=apparmor" in engine else ()),
    )
    assert backend == "bubblewrap"
    assert told["canaries"]["make a user namespace"] == "stopped"
