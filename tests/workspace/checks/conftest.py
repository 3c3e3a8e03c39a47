"""One linter over a few files, in a real sandbox."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from flynn.sandbox.command import Sandbox
from flynn.sandbox.opening import open_sandbox
from flynn.workspace.checks.linter import Linter
from flynn.workspace.checks.linters import Checked, check_files
from flynn.workspace.checks.listing import list_files
from flynn.workspace.root import Workspace
from tests.workspace.plant import Files, plant

Lint = Callable[..., Awaitable[Checked]]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return asyncio.run(open_sandbox(private_root=tmp_path_factory.mktemp("private")))


@pytest.fixture(scope="session")
def no_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return asyncio.run(open_sandbox(private_root=tmp_path_factory.mktemp("private"), prefer="none"))


@pytest.fixture
def lint(sandbox: Sandbox, tmp_path: Path) -> Lint:
    """Run `linters` over a tree of `files`."""

    async def run(*linters: Linter, files: Files, within: Sandbox = sandbox) -> Checked:
        root = plant(tmp_path / "tree", files)
        with Workspace.open(root) as workspace:
            listing = await list_files(workspace, within)
            return await check_files(listing.sources.paths, listing.sources, within, linters)

    return run


def places(checked: Checked) -> list[tuple[str, str, str, int | None]]:
    """Severity, rule, path and line of each finding; nothing may have been left out."""
    assert checked.not_run == ()
    return [(f.severity.value, f.rule, f.path, f.line) for f in checked.findings]
