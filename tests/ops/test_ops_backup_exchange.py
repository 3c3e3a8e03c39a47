"""The exchange is killed at every step: what is there is the old state or the new, and never a mixture."""

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flynn.domain.errors import ConfigurationError
from flynn.ops.backup.exchange import check, complete, exchange, prepare, replaced
from tests.ops.backup_stage import TREES

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ASIDE = "before-restore-20260301T120000Z"

OLD = {
    "postgres/cluster/PG_VERSION": "old",
    "postgres/password": "old",
    "postgres/line": "old",
    "postgres/lock": "stays",
    "workspaces/one/file": "old",
    ".flynn/snapshot": "old",
    "owner.key": "stays",
}
NEW = {
    "postgres/cluster/PG_VERSION": "new",
    "postgres/password": "new",
    "postgres/lock": "stays",
    "workspaces/two/file": "new",
    ".flynn-volume": "new",
    "owner.key": "stays",
}


def write(place: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)


def read(place: Path) -> dict[str, str]:
    """What the data directory holds, but for what is recovered and what was moved aside."""
    return {
        str(path.relative_to(place)): path.read_text()
        for path in place.rglob("*")
        if path.is_file() and path.relative_to(place).parts[0] not in (".restoring", ASIDE)
    }


def recovered(data: Path) -> None:
    place = prepare(data)
    write(place / "postgres", {"cluster/PG_VERSION": "new", "password": "new"})
    write(place / "files", {"workspaces/two/file": "new", ".flynn-volume": "new"})


def killed_at(data: Path, step: str) -> bool:
    """Exchange in a process that is killed at `step`; whether it was."""

    def reached(found: str) -> None:
        if found == step:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            exchange(data, TREES, now=NOW, reached=reached)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


STEPS = (
    "recovered",
    "ordered",
    *("aside postgres/cluster", "placed postgres/cluster", "aside postgres/password"),
    *("placed postgres/password", "aside postgres/line", "aside workspaces", "placed workspaces"),
    *("aside .flynn", "placed .flynn-volume", "moved"),
)


def test_the_steps_are_all_there_are(tmp_path: Path) -> None:
    write(tmp_path, OLD)
    recovered(tmp_path)
    assert replaced(tmp_path, TREES) == ["postgres/cluster", "workspaces", ".flynn"]
    found: list[str] = []
    aside = exchange(tmp_path, TREES, now=NOW, reached=found.append)
    assert tuple(found) == STEPS
    assert aside == tmp_path / ASIDE
    assert read(tmp_path) == NEW
    kept = {name: content for name, content in OLD.items() if content == "old"}
    assert {name: (aside / name).read_text() for name in kept} == kept
    assert complete(tmp_path) is False


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_leaves_the_old_or_the_new(tmp_path: Path, step: str) -> None:
    write(tmp_path, OLD)
    recovered(tmp_path)
    assert killed_at(tmp_path, step)
    finished = complete(tmp_path)  # what every start does first
    if step == "recovered":
        assert not finished
        assert read(tmp_path) == OLD
        recovered(tmp_path)  # a second try
        exchange(tmp_path, TREES, now=NOW)
    assert read(tmp_path) == NEW
    assert (tmp_path / ASIDE / "workspaces" / "one" / "file").read_text() == "old"
    assert complete(tmp_path) is False


def test_a_link_in_the_place_of_a_tree_is_not_moved(tmp_path: Path) -> None:
    write(tmp_path, OLD)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".flynn").rename(tmp_path / "elsewhere" / ".flynn")
    (tmp_path / ".flynn").symlink_to(tmp_path / "elsewhere" / ".flynn")
    with pytest.raises(ConfigurationError, match="--into"):
        check(tmp_path, TREES)
    check(tmp_path, ())


def test_an_order_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    write(tmp_path, {".restoring/order.json": "{"})
    with pytest.raises(ConfigurationError, match=r"order\.json"):
        complete(tmp_path)
