"""`flynn workspaces` and `flynn volumes`, with a service running and without one."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Shell

pytestmark = pytest.mark.slow


def test_a_volume_is_made_and_listed(shell: Shell, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    refused = shell.flynn("volumes", "add", str(shared))
    assert refused.returncode == 1
    assert "is not a directory; create it" in refused.stderr
    shared.mkdir()
    made = shell.flynn("volumes", "add", str(shared))
    assert made.returncode == 0, made.stderr
    number = made.stdout.split()[0]
    assert f"FLYNN_VOLUMES={shared}" in made.stdout
    again = shell.flynn("volumes", "add", str(shared), FLYNN_VOLUMES=str(shared))
    assert again.stdout == f"{number}  {shared}\n"
    listed = shell.flynn("volumes", "list", FLYNN_VOLUMES=str(shared))
    assert listed.returncode == 0, listed.stderr
    assert f"{number}  {shared}\n" in listed.stdout
    assert "workspaces that the service makes" in listed.stdout
    missing = shell.flynn("volumes", "list", FLYNN_VOLUMES=f"{shared}:{tmp_path}/away")
    assert missing.returncode == 1
    assert f"missing: {tmp_path}/away is no volume" in missing.stdout
    relative = shell.flynn("volumes", "list", FLYNN_VOLUMES="shared")
    assert relative.returncode == 1
    assert 'FLYNN_VOLUMES is "shared": allowed is absolute paths' in relative.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_workspaces_are_made_and_shared_from_the_command_line(shell: Shell, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    shell.start("serve", until=r"Flynn is at http", cwd=shell.home)
    assert shell.flynn("keys", "create", "quorra").returncode == 0
    made = shell.flynn("workspaces", "create", "empty", "--quota", "2000000")
    assert made.returncode == 0, made.stderr
    assert re.search(
        r"^[0-9a-f-]{36}  empty  \S+/data/workspaces/[0-9a-f-]{36}  at most 2,000,000", made.stdout
    )
    served = shell.flynn("workspaces", "create", "project", "project", cwd=tmp_path)
    assert f"  project  {project}  no quota" in served.stdout, served.stderr
    refused = shell.flynn("workspaces", "create", "root", "/")
    assert refused.returncode == 1
    assert "/ belongs to the system" in refused.stderr
    members = shell.flynn("workspaces", "members", "project", "--add", "quorra", "--add", "owner")
    assert members.stdout == "owner  created it\nquorra\n", members.stderr
    left = shell.flynn("workspaces", "members", "nowhere", "--remove", "quorra")
    assert left.returncode == 1
    assert "there are: default, empty, project" in left.stderr
    listed = shell.flynn("workspaces", "list")
    assert [line.split()[1] for line in listed.stdout.splitlines()] == ["default", "empty", "project"]


@pytest.mark.slow
def test_a_default_workspace_that_cannot_be_one_stops_the_start(shell: Shell, tmp_path: Path) -> None:
    nested = tmp_path / "outer" / "inner"
    nested.mkdir(parents=True)
    made = shell.flynn("workspaces", "create", "inner", str(nested))
    assert made.returncode == 0, made.stderr
    for path, words in (
        ("/etc", "/etc belongs to the system"),
        (str(nested.parent), "holds the workspace 'inner'"),
    ):
        refused = shell.flynn("serve", FLYNN_WORKSPACE=path)
        assert refused.returncode == 1
        assert f"FLYNN_WORKSPACE: {words}" in refused.stderr or words in refused.stderr
        assert "Traceback" not in refused.stderr
