"""Writing whole files: what is kept, what is refused, and when."""

import os
import stat
import time
from pathlib import Path

import pytest

from flynn.domain.errors import LeaseLost, PathEscapes, WorkspaceError
from flynn.workspace.entry import digest
from flynn.workspace.fence import Fence
from flynn.workspace.path import ContentChanged, PathMissing
from flynn.workspace.replacement import replace
from flynn.workspace.root import Workspace
from flynn.workspace.scratch import remove_scratch


def test_a_new_file_and_its_directories_appear(workspace: Workspace, root: Path) -> None:
    written = replace(workspace, "a/b/c.txt", b"hello", expected=None, fence=Fence())
    assert (written.path, written.sha256) == ("a/b/c.txt", digest(b"hello"))
    assert (root / "a/b/c.txt").read_bytes() == b"hello"
    assert [path.name for path in (root / "a/b").iterdir()] == ["c.txt"]


def test_a_path_deeper_than_the_stack_is_made(root: Path) -> None:
    path = "d/" * 1_100 + "file"
    with Workspace.open(root) as workspace:
        assert replace(workspace, path, b"x", expected=None, fence=Fence()).path == path
    remove_scratch(root)


def test_mode_and_owner_are_kept_and_hard_links_broken(workspace: Workspace, root: Path) -> None:
    (root / "script").write_bytes(b"old")
    (root / "script").chmod(0o755)
    os.link(root / "script", root / "other")
    if os.geteuid() == 0:
        os.chown(root / "script", 12345, 54321)
    before = (root / "script").stat()
    replace(workspace, "script", b"new", expected=digest(b"old"), fence=Fence())
    after = (root / "script").stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert (root / "other").read_bytes() == b"old"


@pytest.mark.needs("root")
def test_what_root_creates_belongs_to_the_owner_of_the_directory(workspace: Workspace, root: Path) -> None:
    os.chown(root, 20001, 20001)
    replace(workspace, "new/file", b"x", expected=None, fence=Fence())
    for path in (root / "new", root / "new/file"):
        assert (path.stat().st_uid, path.stat().st_gid) == (20001, 20001)


def test_a_new_file_follows_the_umask(workspace: Workspace, root: Path) -> None:
    old = os.umask(0o027)
    try:
        replace(workspace, "file", b"x", expected=None, fence=Fence())
    finally:
        os.umask(old)
    assert stat.S_IMODE((root / "file").stat().st_mode) == 0o640


def test_writing_through_a_link_changes_its_target(workspace: Workspace, root: Path) -> None:
    (root / "real").mkdir()
    (root / "real/file").write_bytes(b"old")
    (root / "link").symlink_to("real/file")
    assert replace(workspace, "link", b"new", expected=digest(b"old"), fence=Fence()).path == "real/file"
    assert (root / "link").is_symlink()
    assert (root / "real/file").read_bytes() == b"new"


@pytest.mark.parametrize("expected", [None, digest(b"something else")])
def test_content_that_was_not_seen_is_not_replaced(
    workspace: Workspace, root: Path, expected: str | None
) -> None:
    (root / "file").write_bytes(b"precious")
    with pytest.raises(ContentChanged):
        replace(workspace, "file", b"new", expected=expected, fence=Fence())
    assert (root / "file").read_bytes() == b"precious"
    assert [path.name for path in root.iterdir()] == ["file"]


def test_a_file_that_is_gone_is_not_made_again(workspace: Workspace, root: Path) -> None:
    with pytest.raises(PathMissing):
        replace(workspace, "file", b"new", expected=digest(b"old"), fence=Fence())
    assert list(root.iterdir()) == []


def test_a_file_that_appears_in_the_last_moment_is_kept(workspace: Workspace, root: Path) -> None:
    def interfere() -> None:
        (root / "file").write_bytes(b"theirs")

    fence = Fence(confirm=interfere)
    with pytest.raises(ContentChanged, match="created meanwhile"):
        replace(workspace, "file", b"ours", expected=None, fence=fence)
    assert (root / "file").read_bytes() == b"theirs"
    assert [path.name for path in root.iterdir()] == ["file"]


def _lost() -> None:
    raise LeaseLost("gone")


def _stopped() -> Fence:
    fence = Fence()
    fence.stop()
    return fence


@pytest.mark.parametrize(
    "fence",
    [Fence(confirm=_lost), Fence(deadline=time.clock_gettime(time.CLOCK_BOOTTIME)), _stopped()],
    ids=["confirm", "deadline", "cancelled"],
)
def test_a_lost_lease_writes_nothing(workspace: Workspace, root: Path, fence: Fence) -> None:
    (root / "file").write_bytes(b"old")
    with pytest.raises(LeaseLost):
        replace(workspace, "file", b"new", expected=digest(b"old"), fence=fence)
    with pytest.raises(LeaseLost):
        replace(workspace, "new", b"new", expected=None, fence=fence)
    assert [path.name for path in root.iterdir()] == ["file"]
    assert (root / "file").read_bytes() == b"old"


def test_the_old_file_stands_until_the_fence_has_been_asked(workspace: Workspace, root: Path) -> None:
    (root / "file").write_bytes(b"old")
    met: list[bytes] = []
    fence = Fence(confirm=lambda: met.append((root / "file").read_bytes()))
    replace(workspace, "file", b"new", expected=digest(b"old"), fence=fence)
    assert met == [b"old"]


@pytest.mark.parametrize(
    "path", ["../new", "out/new", "out/a/b", "/etc/new", "a/../../new", "dangling-out", "out"]
)
def test_nothing_is_written_outside(workspace: Workspace, root: Path, path: str) -> None:
    (root / "a").mkdir()
    (root / "out").symlink_to("../beyond")
    (root / "dangling-out").symlink_to("../beyond/new")
    with pytest.raises(PathEscapes):
        replace(workspace, path, b"x", expected=None, fence=Fence())
    assert [path.name for path in (root.parent / "beyond").iterdir()] == ["secret"]


@pytest.mark.parametrize(
    "path",
    [
        ".git/hooks/pre-commit",
        ".git/config",
        ".GIT/HOOKS/x",
        "alias/pre-commit",
        "sub/.git",
        "sub/.git/hooks/x",
        "a/.git/config",
    ],
)
def test_git_hooks_and_configuration_are_refused(workspace: Workspace, root: Path, path: str) -> None:
    (root / ".git/hooks").mkdir(parents=True)
    (root / "sub").mkdir()
    (root / "alias").symlink_to(".git/hooks")
    (root / ".git/config").write_bytes(b"[core]\n")
    before = sorted(str(path) for path in root.rglob("*"))
    expected = digest(b"[core]\n") if path == ".git/config" else None
    with pytest.raises(WorkspaceError, match="protected"):
        replace(workspace, path, b"x", expected=expected, fence=Fence())
    assert sorted(str(path) for path in root.rglob("*")) == before


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (".", "directory"),
        ("directory", "directory"),
        ("new/", "add the name"),
        ("missing/../file", "without `..`"),
        ("dangling", "symbolic link"),
        ("dangling/file", "does not exist"),
        ("file/below", "is a file where"),
        ("pipe", "named pipe"),
    ],
)
def test_what_cannot_be_written_says_so(workspace: Workspace, root: Path, path: str, words: str) -> None:
    (root / "directory").mkdir()
    (root / "file").write_bytes(b"")
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    before = sorted(entry.name for entry in root.iterdir())
    with pytest.raises(WorkspaceError, match=words):
        replace(workspace, path, b"x", expected=None, fence=Fence())
    assert sorted(entry.name for entry in root.iterdir()) == before


def test_what_a_killed_worker_left_goes_with_a_later_write(workspace: Workspace, root: Path) -> None:
    ours = [root / f".flynn-{number:016x}.tmp" for number in range(3)]
    others = [root / ".flynn-notes.tmp", root / ".flynn-0.tmp", root / "a.tmp"]
    for path in (*ours, *others):
        path.write_bytes(b"half")
        os.utime(path, (1, 1))
    ours[1].write_bytes(b"being written")
    ours[2].unlink()
    ours[2].symlink_to("a.tmp")
    (root / "sub").mkdir()
    (root / "sub" / ours[0].name).write_bytes(b"half")
    os.utime(root / "sub" / ours[0].name, (1, 1))
    replace(workspace, "file", b"x", expected=None, fence=Fence())
    left = {path.name for path in root.iterdir()}
    assert left == {"file", "sub", *(path.name for path in (*ours[1:], *others))}
    assert (root / "sub" / ours[0].name).exists()
