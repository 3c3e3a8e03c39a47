"""A workspace with something outside it that no path may reach, once for each way of opening."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flynn.workspace.beneath import Opener, openat2, walk
from flynn.workspace.root import Workspace

SECRET = b"outside\n"


@pytest.fixture(params=[openat2, walk], ids=["openat2", "walk"])
def opener(request: pytest.FixtureRequest) -> Opener:
    chosen: Opener = request.param
    return chosen


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "beyond").mkdir()
    (tmp_path / "beyond" / "secret").write_bytes(SECRET)
    root = tmp_path / "workspace"
    root.mkdir()
    return root


@pytest.fixture
def workspace(root: Path, opener: Opener) -> Iterator[Workspace]:
    with Workspace.open(root, opener=opener) as opened:
        yield opened
