"""Opening a workspace and finding things in it."""

import os
import socket
from pathlib import Path

import pytest

from flynn.domain.errors import PathEscapes, WorkspaceError
from flynn.workspace.beneath import best_opener, openat2
from flynn.workspace.path import PathMissing, protected
from flynn.workspace.root import Workspace


def test_a_file_is_found_by_relative_and_absolute_path(workspace: Workspace, root: Path) -> None:
    (root / "src").mkdir()
    (root / "src" / "main.py").write_bytes(b"print()\n")
    for path in (
        "src/main.py",
        "./src//main.py",
        "src/../src/main.py",
        f"{root}/src/main.py",
        f"/{root}/src/main.py",
    ):
        with workspace.locate(path) as entry:
            assert entry.path == "src/main.py"
            assert entry.read(100).data == b"print()\n"


def test_the_root_is_itself(workspace: Workspace, root: Path) -> None:
    for path in (".", "", str(root), f"{root}/", "./."):
        with workspace.locate(path) as entry:
            assert (entry.path, entry.kind) == (".", "directory")


def test_a_link_within_the_workspace_resolves_to_its_target(workspace: Workspace, root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "file").write_bytes(b"x")
    (root / "link").symlink_to("a/b")
    (root / "a" / "b" / "up").symlink_to("../../a/b/file")
    with workspace.locate("link/up") as entry:
        assert entry.path == "a/b/file"
    with workspace.locate("link/up", follow=False) as entry:
        assert (entry.path, entry.kind) == ("a/b/up", "symbolic link")


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "..",
        "a/../../secret",
        "/etc/passwd",
        "out",
        "out/secret",
        "absolute",
        "a/up/secret",
        "self",
    ],
)
def test_what_leads_out_is_refused(workspace: Workspace, root: Path, path: str) -> None:
    (root / "a").mkdir()
    (root / "out").symlink_to("../beyond")
    (root / "absolute").symlink_to(root.parent / "secret")
    (root / "a" / "up").symlink_to("../..")
    (root / "self").symlink_to(f"/proc/{os.getpid()}/cwd")
    with pytest.raises(PathEscapes):
        workspace.locate(path)


def test_what_is_missing_or_no_path_says_so(workspace: Workspace, root: Path) -> None:
    (root / "file").write_bytes(b"")
    (root / "circle").symlink_to("circle")
    (root / "dangling").symlink_to("nowhere")
    for path, error, words in [
        ("nothing", PathMissing, "does not exist"),
        ("no/such/thing", PathMissing, "does not exist"),
        ("dangling", PathMissing, "does not exist"),
        ("file/below", WorkspaceError, "is a file where"),
        ("circle", WorkspaceError, "circle"),
        ("nul\0nul", WorkspaceError, "NUL"),
        ("half \ud800", WorkspaceError, "surrogate"),
        ("x" * 256, WorkspaceError, "too long"),
        ("x/" * 3000, WorkspaceError, "4095"),
    ]:
        with pytest.raises(error, match=words):
            workspace.locate(path)


def test_only_regular_files_are_read_and_nothing_blocks(workspace: Workspace, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        for name, kind in [("pipe", "named pipe"), ("socket", "socket"), (".", "directory")]:
            with workspace.locate(name) as entry, pytest.raises(WorkspaceError, match=kind):
                entry.read(10)


def test_reading_is_bounded(workspace: Workspace, root: Path) -> None:
    (root / "file").write_bytes(b"x" * 11)
    with workspace.locate("file") as entry:
        assert len(entry.read(11).data) == 11
        with pytest.raises(WorkspaceError, match="longer than 10 bytes"):
            entry.read(10)


def test_names_of_a_directory_are_bounded_and_sorted(workspace: Workspace, root: Path) -> None:
    for name in "cab":
        (root / name).write_bytes(b"")
    (root / "d").mkdir()
    with workspace.locate(".") as entry:
        assert entry.names(10) == ["a", "b", "c", "d/"]
        assert len(entry.names(2)) == 2


def test_a_moved_root_is_still_the_root(workspace: Workspace, root: Path) -> None:
    (root / "file").write_bytes(b"x")
    root.rename(root.with_name("elsewhere"))
    with workspace.locate("file") as entry:
        assert entry.path == "file"


def test_no_descriptor_is_left_open(workspace: Workspace, root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "out").symlink_to("/etc")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ("a/b", "a/b/..", "out", "a/nothing", "a/b/../../..", "."):
        workspace.exists(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_closed_workspace_serves_nothing(root: Path) -> None:
    workspace = Workspace.open(root)
    workspace.close()
    workspace.close()
    with pytest.raises(WorkspaceError, match="closed"):
        workspace.locate(".")


@pytest.mark.parametrize("path", ["/", "/root", "/home", "/etc", "/usr", "/proc/self", "/tmp", "/var"])
def test_system_and_home_directories_are_no_workspaces(path: str) -> None:
    with pytest.raises(WorkspaceError, match=r"cannot be|does not exist|not accessible"):
        Workspace.open(path)


def test_a_link_to_a_forbidden_place_is_forbidden(tmp_path: Path) -> None:
    (tmp_path / "innocent").symlink_to("/")
    with pytest.raises(WorkspaceError, match="belongs to the system"):
        Workspace.open(tmp_path / "innocent")


def test_the_callers_forbidden_paths_may_not_overlap(tmp_path: Path) -> None:
    data = tmp_path / "work" / "data"
    (data / "keys").mkdir(parents=True)
    (tmp_path / "work" / "data-of-users").mkdir()
    for path in (data, data / "keys", tmp_path / "work"):
        with pytest.raises(WorkspaceError, match="overlaps"):
            Workspace.open(path, forbidden=[data])
    Workspace.open(tmp_path / "work" / "data-of-users", forbidden=[data]).close()


def test_a_root_that_is_no_directory_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path, words in [
        (str(tmp_path / "missing"), "does not exist"),
        (str(tmp_path / "file"), "not a directory"),
        ("relative/path", "absolute"),
    ]:
        with pytest.raises(WorkspaceError, match=words):
            Workspace.open(path)


def test_a_workspace_opened_through_a_link_takes_both_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(b"x")
    (tmp_path / "alias").symlink_to("real")
    with Workspace.open(tmp_path / "alias") as workspace:
        assert workspace.path == tmp_path / "real"
        for name in ("alias", "real"):
            with workspace.locate(str(tmp_path / name / "file")) as entry:
                assert entry.path == "file"


def test_the_kernel_offers_openat2(root: Path) -> None:
    descriptor = os.open(root, os.O_PATH)
    try:
        assert best_opener(descriptor) is openat2
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (".git/config", True),
        (".GIT/Config", True),
        ("sub/.git/hooks/pre-commit", True),
        (".git/modules/x/hooks/post-checkout", True),
        (".git/worktrees/x/config.worktree", True),
        ("sub/.git", True),
        (".git/HEAD", False),
        ("hooks/config", False),
        (".github/workflows/config", False),
        ("git/config", False),
    ],
)
def test_what_git_trusts_is_protected(path: str, answer: bool) -> None:
    assert protected(path) is answer
