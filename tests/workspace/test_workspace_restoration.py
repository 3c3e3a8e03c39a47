"""Restoring a file: what comes back, what is refused, and that nothing outside is ever reached."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.domain.errors import LeaseLost, PathEscapes, WorkspaceError
from flynn.domain.evidence import FileChanged
from flynn.workspace.entry import digest
from flynn.workspace.fence import Fence
from flynn.workspace.path import ContentChanged
from flynn.workspace.quota import Meter, Quota, QuotaExceeded
from flynn.workspace.replacement import replace
from flynn.workspace.restoration import restore
from flynn.workspace.root import Workspace
from tests.workspace.conftest import SECRET


def write(workspace: Workspace, path: str, data: bytes, *, before: bytes | None) -> FileChanged:
    """Write as the tools do, and say of it what they say."""
    expected = None if before is None else digest(before)
    written = replace(workspace, path, data, expected=expected, fence=Fence())
    return FileChanged(
        path=written.path,
        before=expected,
        after=written.sha256,
        lines_added=0,
        lines_removed=0,
        kept=True,
        mode_before=written.mode_before,
        mode=written.mode,
        directories_made=written.made,
    )


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(b"a\r\nb\r\n", id="CRLF"),
        pytest.param("gr\xfcn\n".encode("latin-1"), id="Latin-1"),
        pytest.param("\ufeffgrün\n".encode("utf-16-le"), id="UTF-16"),
        pytest.param(b"\x7fELF\x00\xff", id="binary"),
        pytest.param(b"", id="empty"),
        pytest.param(b"no end of line", id="no end of line"),
    ],
)
def test_every_byte_comes_back_and_the_mode_stays(workspace: Workspace, root: Path, before: bytes) -> None:
    file = root / "file"
    file.write_bytes(before)
    file.chmod(0o750)
    if os.geteuid() == 0:
        os.chown(file, 12345, 54321)
    was = file.stat()
    change = write(workspace, "file", b"new\n", before=before)
    assert restore(workspace, change, before, fence=Fence()) is True
    now = file.stat()
    assert file.read_bytes() == before
    assert (now.st_mode, now.st_uid, now.st_gid) == (was.st_mode, was.st_uid, was.st_gid)
    assert restore(workspace, change, before, fence=Fence()) is False
    assert [path.name for path in root.iterdir()] == ["file"]


def test_permissions_that_the_call_changed_turn_back_and_later_ones_stay(
    workspace: Workspace, root: Path
) -> None:
    file = root / "script"
    file.write_bytes(b"old")
    file.chmod(0o755)
    change = write(workspace, "script", b"new", before=b"old").model_copy(update={"mode": 0o644})
    file.chmod(0o640)  # as the call left it, and then shut to others
    restore(workspace, change, b"old", fence=Fence())
    assert file.stat().st_mode & 0o7777 == 0o640 ^ (0o755 ^ 0o644)


def test_no_file_gets_the_right_to_act_as_somebody_else(workspace: Workspace, root: Path) -> None:
    file = root / "tool"
    file.write_bytes(b"old")
    file.chmod(0o755)
    change = write(workspace, "tool", b"new", before=b"old").model_copy(update={"mode_before": 0o6755})
    restore(workspace, change, b"old", fence=Fence())
    assert file.stat().st_mode & 0o7777 == 0o755


def test_a_new_file_goes_with_what_was_made_for_it(workspace: Workspace, root: Path) -> None:
    (root / "a").mkdir()
    change = write(workspace, "a/b/c/d.txt", b"new", before=None)
    assert change.directories_made == 2
    restore(workspace, change, None, fence=Fence())
    assert list((root / "a").iterdir()) == []


def test_a_directory_that_somebody_else_uses_stays(workspace: Workspace, root: Path) -> None:
    change = write(workspace, "a/b/new.txt", b"new", before=None)
    (root / "a" / "theirs").write_bytes(b"x")
    restore(workspace, change, None, fence=Fence())
    assert [path.name for path in (root / "a").iterdir()] == ["theirs"]


def test_a_write_through_a_link_is_undone_where_it_went(workspace: Workspace, root: Path) -> None:
    (root / "real").mkdir()
    (root / "real" / "file").write_bytes(b"old")
    (root / "link").symlink_to("real/file")
    change = write(workspace, "link", b"new", before=b"old")
    assert change.path == "real/file"
    restore(workspace, change, b"old", fence=Fence())
    assert (root / "real" / "file").read_bytes() == b"old"
    assert (root / "link").is_symlink()


def link_out(root: Path) -> None:
    """The directory leads outside now, to a file with the very content that the call left."""
    (root / "a").rename(root.parent / "taken")
    (root / "a").symlink_to(root.parent / "taken")


def link_within(root: Path) -> None:
    (root / "a").rename(root / "b")
    (root / "a").symlink_to("b")


def file_as_link_out(root: Path) -> None:
    (root / "a" / "file").unlink()
    (root.parent / "beyond" / "copy").write_bytes(b"new")
    (root / "a" / "file").symlink_to(root.parent / "beyond" / "copy")


def file_as_directory(root: Path) -> None:
    (root / "a" / "file").unlink()
    (root / "a" / "file").mkdir()


def file_as_pipe(root: Path) -> None:
    (root / "a" / "file").unlink()
    os.mkfifo(root / "a" / "file")


def moved(root: Path) -> None:
    (root / "a").rename(root / "b")


def written_over(root: Path) -> None:
    (root / "a" / "file").write_bytes(b"theirs")


def parent_as_file(root: Path) -> None:
    (root / "a" / "file").unlink()
    (root / "a").rmdir()
    (root / "a").write_bytes(b"new")


SWAPS = [
    link_out,
    link_within,
    file_as_link_out,
    file_as_directory,
    file_as_pipe,
    moved,
    written_over,
    parent_as_file,
]


@pytest.mark.parametrize("new", [False, True], ids=["replaced", "new"])
@pytest.mark.parametrize("swap", SWAPS)
def test_what_is_not_as_the_call_left_it_is_left_alone(
    workspace: Workspace, root: Path, swap: Callable[[Path], None], new: bool
) -> None:
    (root / "a").mkdir()
    if not new:
        (root / "a" / "file").write_bytes(b"old")
    change = write(workspace, "a/file", b"new", before=None if new else b"old")
    swap(root)
    before = everything(root.parent)
    try:
        acted = restore(workspace, change, None if new else b"old", fence=Fence())
    except (ContentChanged, WorkspaceError):
        acted = False
    else:
        # Of a new file that is not there (any more) nothing is left to undo.
        assert new
        assert swap is moved
    assert not acted
    assert everything(root.parent) == before
    assert (root.parent / "secret").read_bytes() == SECRET


def everything(root: Path) -> dict[str, tuple[str, bytes]]:
    """All that lies beneath `root`: what it is, and its content."""
    found: dict[str, tuple[str, bytes]] = {}
    for path in root.rglob("*"):
        if path.is_symlink():
            found[str(path)] = ("link", os.fsencode(path.readlink()))
        elif path.is_file():
            found[str(path)] = ("file", path.read_bytes())
        else:
            found[str(path)] = (f"{path.stat().st_mode:o}", b"")
    return found


def test_a_link_out_is_named_as_one(workspace: Workspace, root: Path) -> None:
    (root / "a").mkdir()
    change = write(workspace, "a/file", b"new", before=None)
    link_out(root)
    with pytest.raises(PathEscapes):
        restore(workspace, change, None, fence=Fence())


@pytest.mark.parametrize("new", [False, True])
def test_a_lost_lease_is_noticed_right_before_the_act(workspace: Workspace, root: Path, new: bool) -> None:
    def lost() -> None:
        raise LeaseLost("gone")

    if not new:
        (root / "file").write_bytes(b"old")
    change = write(workspace, "file", b"new", before=None if new else b"old")
    for fence in (Fence(confirm=lost), Fence(deadline=0.0)):
        with pytest.raises(LeaseLost):
            restore(workspace, change, None if new else b"old", fence=fence)
    assert [(p.name, p.read_bytes()) for p in root.iterdir()] == [("file", b"new")]


def test_a_full_workspace_takes_nothing_back_that_is_larger(root: Path) -> None:
    before = b"x" * 200_000
    (root / "file").write_bytes(before)
    with Workspace.open(root, quota=Quota(100_000, Meter())) as workspace:
        change = write(workspace, "file", b"small", before=before)
        with pytest.raises(QuotaExceeded):
            restore(workspace, change, before, fence=Fence())
        assert (root / "file").read_bytes() == b"small"


@pytest.mark.parametrize("path", [".git/hooks/post-checkout", ".git/config"])
def test_what_git_runs_is_not_touched_whatever_the_log_says(
    workspace: Workspace, root: Path, path: str
) -> None:
    file = root / path
    file.parent.mkdir(parents=True)
    file.write_bytes(b"new")
    change = FileChanged(
        path=path, before=digest(b"old"), after=digest(b"new"), lines_added=0, lines_removed=0, kept=True
    )
    with pytest.raises(WorkspaceError, match="protected"):
        restore(workspace, change, b"old", fence=Fence())
    assert file.read_bytes() == b"new"


NAMES = ("one.txt", "a/two.txt", "a/b/three.txt")
CONTENTS = (b"", b"x", b"one\r\ntwo\r\n", b"\xff\xfe\x00", b"one\ntwo\n")


@dataclass
class Model:
    """What the files should hold, and the calls that were made so far with what they should restore."""

    files: dict[str, bytes] = field(default_factory=dict)
    calls: list[tuple[str, bytes | None, bytes, FileChanged]] = field(default_factory=list)


WRITE = st.tuples(st.just("write"), st.sampled_from(NAMES), st.sampled_from(CONTENTS))
OUTSIDE = st.tuples(st.just("outside"), st.sampled_from(NAMES), st.sampled_from((None, *CONTENTS)))
UNDO = st.tuples(st.just("undo"), st.integers(0, 9), st.none())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(WRITE, OUTSIDE, UNDO, UNDO), min_size=1, max_size=14))
def test_files_are_what_a_list_of_their_contents_says(
    steps: list[tuple[str, str | int, bytes | None]],
) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as place, Workspace.open(place) as workspace:
        for kind, where, content in steps:
            if isinstance(where, int):
                undo_in(model, workspace, where)
            elif kind == "write" and content is not None:
                write_in(model, workspace, where, content)
            else:
                change_outside(model, Path(place), where, content)
            root = Path(place)
            held = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
            assert held == model.files


def write_in(model: Model, workspace: Workspace, name: str, content: bytes) -> None:
    before = model.files.get(name)
    if before == content:
        return  # the tools write nothing then
    change = write(workspace, name, content, before=before)
    model.files[name] = content
    model.calls.append((name, before, content, change))


def undo_in(model: Model, workspace: Workspace, number: int) -> None:
    if not model.calls:
        return
    name, before, after, change = model.calls[number % len(model.calls)]
    if model.files.get(name) not in (before, after):
        with pytest.raises(ContentChanged):
            restore(workspace, change, before, fence=Fence())
        return
    assert restore(workspace, change, before, fence=Fence()) is (model.files.get(name) == after)
    if before is None:
        model.files.pop(name, None)
    else:
        model.files[name] = before


def change_outside(model: Model, root: Path, name: str, content: bytes | None) -> None:
    file = root / name
    if content is None:
        file.unlink(missing_ok=True)
        model.files.pop(name, None)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    model.files[name] = content
