"""Walking without following links, and the scratch directory."""

import os
from pathlib import Path
from uuid import uuid4

import pytest

from flynn.domain.errors import WorkspaceError
from flynn.workspace.root import Workspace
from flynn.workspace.scratch import create_scratch, drop_note, read_note, remove_scratch, sweep_scratches
from flynn.workspace.tree import newest_first, walk


def test_a_walk_meets_files_only_and_never_descends_a_link(workspace: Workspace, root: Path) -> None:
    (root / "b/.git").mkdir(parents=True)
    for name in ("z", "b/y", "b/.hidden", "b/.git/x"):
        (root / name).write_bytes(b"")
    (root / "out").symlink_to("../beyond")
    (root / "loop").symlink_to(".")
    os.mkfifo(root / "pipe")
    assert [leaf.path for leaf in walk(workspace, ".", skip=frozenset({".git"}))] == ["z", "b/.hidden", "b/y"]
    assert [leaf.path for leaf in walk(workspace, "b", skip=frozenset())] == ["b/.hidden", "b/y", "b/.git/x"]


def test_a_walk_of_what_is_no_directory_says_so(workspace: Workspace, root: Path) -> None:
    (root / "file").write_bytes(b"")
    with pytest.raises(WorkspaceError):
        list(walk(workspace, "file", skip=frozenset()))


def test_scratch_is_private_found_again_and_removed_however_deep(tmp_path: Path) -> None:
    conversation = uuid4()
    scratch = create_scratch(tmp_path / "scratch", conversation)
    assert create_scratch(tmp_path / "scratch", conversation) == scratch
    assert scratch.parent.stat().st_mode & 0o777 == 0o700, "nobody gets as far as the scratch"
    assert scratch.stat().st_mode & 0o777 == 0o711, "what sets a sandbox up passes through it"
    keep = tmp_path / "keep"
    keep.write_bytes(b"")
    (scratch / "link").symlink_to(keep)
    descent = os.open(scratch, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("d", dir_fd=descent)
        below = os.open("d", os.O_RDONLY, dir_fd=descent)
        os.close(descent)
        descent = below
    os.close(descent)
    (scratch / "d/locked").mkdir()
    (scratch / "d/locked/file").write_bytes(b"")
    (scratch / "d/locked").chmod(0)
    remove_scratch(scratch)
    assert not scratch.exists()
    assert keep.exists()


def test_scratch_does_not_follow_a_link_in_its_place(tmp_path: Path) -> None:
    conversation = uuid4()
    (tmp_path / str(conversation)).symlink_to("/etc")
    with pytest.raises(WorkspaceError, match="not a directory"):
        create_scratch(tmp_path, conversation)


def test_a_note_is_taken_once_and_only_from_a_small_regular_file(tmp_path: Path) -> None:
    scratch = create_scratch(tmp_path, uuid4())
    (tmp_path / "secret").write_bytes(b"secret")
    (scratch / "note").write_bytes(b"here")
    (scratch / "link").symlink_to(tmp_path / "secret")
    (scratch / "long").write_bytes(b"x" * 11)
    os.mkfifo(scratch / "pipe")
    (scratch / "directory").mkdir()
    assert read_note(scratch, "note", 10) == b"here"
    for name in ("note", "link", "long", "pipe", "directory"):
        assert read_note(scratch, name, 10) is None


def test_notes_that_were_left_behind_go_when_a_scratch_is_taken_up_again(tmp_path: Path) -> None:
    conversation = uuid4()
    scratch = create_scratch(tmp_path / "base", conversation)
    (tmp_path / "keep").write_bytes(b"")
    (scratch / ".flynn-cwd-1").write_bytes(b"/")
    (scratch / ".flynn-cwd-2").symlink_to(tmp_path / "keep")
    (scratch / ".flynn-cwd-3").mkdir()
    os.mkfifo(scratch / ".flynn-cwd-4")
    (scratch / ".flynn-cwd-full/x").mkdir(parents=True)
    (scratch / "file").write_bytes(b"")
    create_scratch(tmp_path / "base", conversation)
    assert sorted(path.name for path in scratch.iterdir()) == [".flynn-cwd-full", "file"]
    assert (tmp_path / "keep").exists()
    (scratch / ".flynn-cwd-5").symlink_to("/etc")
    for name in (".flynn-cwd-5", "nothing"):
        drop_note(scratch, name)
    assert sorted(path.name for path in scratch.iterdir()) == [".flynn-cwd-full", "file"]


def test_scratches_that_rest_are_swept_a_bounded_number_at_a_time(tmp_path: Path) -> None:
    base = tmp_path / "base"
    assert sweep_scratches(base, unused_seconds=10, most=5) == 0
    scratches = [create_scratch(base, uuid4()) for _ in range(4)]
    (tmp_path / "keep").mkdir()
    (base / "link").symlink_to(tmp_path / "keep")
    now = scratches[-1].stat().st_ctime
    # A command can set its directory's times, but not that one.
    os.utime(scratches[0], (now + 1e6, now + 1e6))
    assert sweep_scratches(base, unused_seconds=10, most=9, now=now + 9) == 0
    assert sweep_scratches(base, unused_seconds=10, most=3, now=now + 11) == 3
    assert sweep_scratches(base, unused_seconds=10, most=3, now=now + 11) == 1
    assert [path.name for path in base.iterdir()] == ["link"]
    assert (tmp_path / "keep").is_dir()


def test_paths_are_ordered_by_age_and_what_is_no_file_here_is_left_out(tmp_path: Path) -> None:
    root = tmp_path / "ordered"
    (root / "a").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "f").write_text("")
    for age, name in enumerate(("old", "a/mid", "b", "a/new")):
        (root / name).write_text("")
        os.utime(root / name, (1_000 + age, 1_000 + age))
    os.utime(root / "b", (1_001, 1_001))
    (root / "link").symlink_to(tmp_path / "outside")
    with Workspace.open(root) as workspace:
        paths = ["old", "a/mid", "b", "a/new", "gone", "a/gone", "old/x", "link/f", "../outside/f"]
        assert newest_first(workspace, paths) == ["a/new", "a/mid", "b", "old"]
