"""The operator's opt-out: commands run supervised but unconfined, and every report says so."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command, Sandbox
from flynn.sandbox.opening import open_sandbox
from tests.sandbox.census import Census


@pytest.fixture
async def sandbox(tmp_path: Path) -> Sandbox:
    return await open_sandbox(private_root=tmp_path / "private", prefer="unconfined")


def bash(workspace: Path, script: str, **options: float) -> Command:
    return Command(argv=("/bin/bash", "-c", script), workspace=workspace, **options)  # type: ignore[arg-type] # floats by name


async def test_the_report_names_every_layer_that_is_missing(sandbox: Sandbox) -> None:
    report = sandbox.report
    assert report.backend == "unconfined"
    assert {"landlock", "seccomp", "no capabilities", "network isolation"} <= set(report.missing)
    assert set(report.layers) == {"resource limits", "supervisor"}


async def test_it_is_never_chosen_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flynn.sandbox.machine.landlock_version", lambda: 0)
    refusing = await open_sandbox(private_root=tmp_path / "p", bwrap=tmp_path / "no-bwrap")
    assert refusing.report.backend is None


async def test_nothing_is_confined(sandbox: Sandbox, workspace: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"echo x > {outside}; exec 3<>/dev/tcp/127.0.0.1/{port} && echo reached; pwd -P"
        done = await sandbox.run(bash(workspace, script))
    assert done.output.decode().split() == ["reached", str(workspace)]
    assert outside.read_text() == "x\n"


async def test_the_environment_is_built_from_nothing(
    sandbox: Sandbox, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-of-the-service")
    done = await sandbox.run(bash(workspace, "env; ulimit -c; ulimit -n"))
    assert b"sk-secret" not in done.output
    assert done.output.endswith(b"0\n1024\n")


async def test_timeouts_and_cancelling_still_end_the_tree(sandbox: Sandbox, workspace: Path) -> None:
    census = Census()
    tree = f"sleep {census.mark} & setsid --fork sleep {census.mark} >/dev/null 2>&1 </dev/null; wait"
    done = await sandbox.run(bash(workspace, tree, timeout_seconds=0.5))
    assert done.timed_out
    assert census.pids() == []
    running = asyncio.create_task(sandbox.run(bash(workspace, tree)))
    await census.until(2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert census.pids() == []


async def test_nothing_runs_past_the_deadline_or_over_the_system(sandbox: Sandbox, workspace: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="the deadline has passed"):
        await sandbox.run(bash(workspace, "echo ran > ran", deadline=1.0))
    with pytest.raises(SandboxUnavailable, match="cannot be a workspace"):
        await sandbox.run(bash(Path("/etc"), "true"))
    assert not (workspace / "ran").exists()


@pytest.mark.needs("root")
async def test_a_root_service_still_becomes_the_workspaces_owner(sandbox: Sandbox, public: Path) -> None:
    workspace = public / "workspace"
    workspace.mkdir()
    os.chown(workspace, 20014, 20014)
    done = await sandbox.run(bash(workspace, "id -u; echo x > made"))
    assert done.output == b"20014\n"
    assert (workspace / "made").stat().st_uid == 20014
