"""The copy of the example repository that a play is worked out on."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from flynn.app.agents import asset
from flynn.domain.errors import WorkspaceError
from flynn.workspace.volume import Volume, make_volume, read_volume

EXAMPLES = "examples"
"""Directory in the data directory: a volume of its own, which only the example's workers mount."""

GENERATED = ("__pycache__", "*.pyc", ".pytest_cache", ".ruff_cache")


def source() -> Path:
    """The example repository that comes along."""
    return asset("examples") / "reznet"


def example_volume(data_dir: Path) -> Volume:
    """The volume of the copies, made when it is not there. Raises OSError, WorkspaceError."""
    root = data_dir.resolve() / EXAMPLES
    root.mkdir(mode=0o711, parents=True, exist_ok=True)
    return make_volume(root)


def known_volume(data_dir: Path) -> Volume | None:
    """The volume of the copies, None where nothing was ever played."""
    try:
        return read_volume(data_dir.resolve() / EXAMPLES)
    except WorkspaceError:
        return None


def new_name(root: Path) -> str:
    """A name that no copy in `root` has: `example-` and the time, in UTC."""
    stem = f"example-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    number, name = 1, stem
    while (root / name).exists():
        number += 1
        name = f"{stem}-{number}"
    return name


def copy_example(place: Path, owner: int | None) -> None:
    """Copy the example to `place`, for the uid (and gid) `owner` or for this process. Raises OSError."""
    shutil.copytree(source(), place, ignore=shutil.ignore_patterns(*GENERATED))
    place.chmod(0o700)
    if owner is None:
        return
    for directory, _, files in os.walk(place):
        os.chown(directory, owner, owner, follow_symlinks=False)
        for file in files:
            os.chown(Path(directory, file), owner, owner, follow_symlinks=False)
