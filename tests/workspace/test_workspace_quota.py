"""Quota: what a tree takes, counted without being led astray, and what is refused past the limit."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.workspace.fence import Fence
from flynn.workspace.quota import BLOCK, Meter, Quota, QuotaExceeded, growth, measure
from flynn.workspace.replacement import replace
from flynn.workspace.root import Workspace
from flynn.workspace.scratch import remove_scratch


def used(root: Path, most_entries: int = 500_000) -> tuple[int, bool]:
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        found = measure(descriptor, most_entries)
    finally:
        os.close(descriptor)
    return found.bytes, found.complete


def disk_usage(root: Path) -> int:
    """What du(1) says without the root itself: it counts hard links once, too."""
    done = subprocess.run(["du", "-s", "-B1", str(root)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0]) - root.stat().st_blocks * 512


@settings(max_examples=25, deadline=None)
@given(
    tree=st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"), st.integers(0, 20_000), st.booleans()),
        max_size=12,
    )
)
def test_a_tree_takes_what_du_says(
    tmp_path_factory: pytest.TempPathFactory, tree: list[tuple[str, str, int, bool]]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for directory, name, size, linked in tree:
        place = root / directory / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"x" * size)
        other = root / directory / f"{name}-link"
        if linked and not other.exists():
            os.link(place, other)
    assert used(root) == (disk_usage(root), True)


def test_links_lead_nowhere_and_holes_take_nothing(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "large").write_bytes(b"x" * 1_000_000)
    (root / "link").symlink_to(outside)
    (root / "loop").symlink_to(".")
    os.mkfifo(root / "pipe")
    with (root / "sparse").open("wb") as file:
        file.truncate(1_000_000_000)
    assert used(root)[0] < 100_000


def test_depth_hides_nothing(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    here = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(3_000):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    file = os.open("large", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=here)
    os.write(file, b"x" * 1_000_000)
    os.close(file)
    os.close(here)
    total, complete = used(place)
    assert complete
    assert total >= 1_000_000
    remove_scratch(place)  # pytest's own clean-up recurses


def test_too_much_to_count_is_the_least_there_is(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).write_bytes(b"x" * 5_000)
    total, complete = used(tmp_path, most_entries=20)
    assert not complete
    assert total == 20 * 8192


def workspace(root: Path, limit: int) -> Workspace:
    root.mkdir(exist_ok=True)
    return Workspace.open(root, quota=Quota(limit, Meter()))


def write(opened: Workspace, path: str, size: int) -> None:
    replace(opened, path, b"x" * size, expected=None, fence=Fence())


def test_writing_stops_at_the_limit_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with workspace(tmp_path / "w", 100 * BLOCK) as opened:
        assert opened.quota_bytes == 100 * BLOCK
        write(opened, "half", 50 * BLOCK)
        with pytest.raises(QuotaExceeded, match=r"takes .* bytes of the 409,600 .* this needs 245,760 more"):
            write(opened, "more", 60 * BLOCK)
        assert [path.name for path in (tmp_path / "w").iterdir()] == ["half"]
        write(opened, "rest", 40 * BLOCK)
        with pytest.raises(QuotaExceeded):
            write(opened, "one-more", 20 * BLOCK)


def test_what_takes_the_place_of_something_counts_the_difference(tmp_path: Path) -> None:
    with workspace(tmp_path / "w", 10 * BLOCK) as opened:
        write(opened, "file", 8 * BLOCK)
        with opened.locate("file") as entry:
            digest = entry.read(10**6).sha256
        written = replace(opened, "file", b"y" * 9 * BLOCK, expected=digest, fence=Fence())
        smaller = replace(opened, "file", b"z", expected=written.sha256, fence=Fence())
        assert smaller.path == "file"
        write(opened, "other", 8 * BLOCK)


def test_a_workspace_that_is_over_its_quota_can_still_shrink(tmp_path: Path) -> None:
    root = tmp_path / "w"
    root.mkdir()
    (root / "huge").write_bytes(b"x" * 100 * BLOCK)
    with workspace(root, 10 * BLOCK) as opened:
        with pytest.raises(QuotaExceeded):
            write(opened, "new", 1)
        with opened.locate("huge") as entry:
            digest = entry.read(10**6).sha256
        replace(opened, "huge", b"x", expected=digest, fence=Fence())
        assert (root / "huge").read_bytes() == b"x"


def test_a_file_with_two_names_frees_nothing_when_one_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 8 * BLOCK)
    alone = (tmp_path / "one").stat()
    os.link(tmp_path / "one", tmp_path / "two")
    assert growth(BLOCK, alone) == BLOCK - 8 * BLOCK
    assert growth(BLOCK, (tmp_path / "one").stat()) == BLOCK
    assert growth(1, None) == BLOCK
    assert growth(0, None) == 0


def test_without_a_quota_nothing_is_measured(tmp_path: Path) -> None:
    with Workspace.open(tmp_path) as opened:
        assert opened.quota_bytes is None
        opened.admit("x", 2**60)
