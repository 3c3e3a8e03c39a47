"""Sandboxes over real workspaces, one for each backend that this machine has."""

import shutil
import subprocess
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from flynn.sandbox.command import Command, Completed, Sandbox
from flynn.sandbox.opening import Preference, open_sandbox

BACKENDS = [
    pytest.param("bubblewrap", marks=pytest.mark.needs("bubblewrap")),
    pytest.param("landlock", marks=pytest.mark.needs("landlock")),
]

Shell = Callable[..., Coroutine[Any, Any, Completed]]
Open = Callable[[Preference], Awaitable[Sandbox]]


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Opens a backend once for all tests: a sandbox belongs to no event loop."""
    known: dict[Preference, Sandbox] = {}

    async def get(backend: Preference) -> Sandbox:
        if backend not in known:
            private_root = tmp_path_factory.mktemp("private")
            known[backend] = await open_sandbox(private_root=private_root, prefer=backend)
        return known[backend]

    return get


@pytest.fixture(params=BACKENDS)
async def sandbox(request: pytest.FixtureRequest, opened: Open) -> Sandbox:
    return await opened(request.param)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    path.mkdir()
    return path


@pytest.fixture
def shell(sandbox: Sandbox, workspace: Path) -> Shell:
    """Run a bash script over the workspace; further arguments are those of Command."""

    async def run(script: str, **options: object) -> Completed:
        command = Command(argv=("/bin/bash", "-c", script), workspace=workspace, **options)  # type: ignore[arg-type]  # the fields' types are checked at run time
        return await sandbox.run(command)

    return run


@pytest.fixture
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that every user can walk to."""
    path = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)
