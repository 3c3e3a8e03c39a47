"""Nothing outside the workspace is read or written by a tool, whatever the path and whoever races it.

The workspace is flooded with links that lead out, and every way of opening is tried: by openat2, and by
the component walk that stands in for it. What bash and ripgrep reach is in tests/sandbox/.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, Popen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.domain.errors import LeaseLost, WorkspaceError
from flynn.workspace.beneath import Opener, openat2, walk
from flynn.workspace.entry import digest
from flynn.workspace.fence import Fence
from flynn.workspace.replacement import replace
from flynn.workspace.root import Workspace
from flynn.workspace.tree import walk as walk_tree

INSIDE, OUTSIDE, WRITTEN = b"inside\n", b"OUTSIDE\n", b"written\n"
RACE_SECONDS = 0.3


@pytest.fixture(scope="module", params=[openat2, walk], ids=["openat2", "walk"])
def opener(request: pytest.FixtureRequest) -> Opener:
    chosen: Opener = request.param
    return chosen


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with `workspace`, full of traps, and `beyond`, which nobody may touch."""
    beyond = tmp_path / "beyond"
    (beyond / "d").mkdir(parents=True)
    for name in ("f", "d/f", ".git"):
        (beyond / name).write_bytes(OUTSIDE)
    _plant(tmp_path)
    return tmp_path


def _plant(place: Path) -> None:
    root = place / "workspace"
    shutil.rmtree(root, ignore_errors=True)
    (root / "d" / "d").mkdir(parents=True)
    for name in ("f", "d/f", "d/d/f", "ü"):
        (root / name).write_bytes(INSIDE)
    links = {
        "out": "../beyond",
        "up": "..",
        "abs": str(place / "beyond"),
        "fabs": str(place / "beyond" / "f"),
        "fout": "../beyond/f",
        "proc": "/proc/self/cwd",
        "slash": "/",
        "in": "d",
        "self": ".",
        "loop": "loop",
        "d/out": "../../beyond",
        "d/up": "..",
        "d/d/fout": "../../../beyond/f",
        "two": "d/out/f",
        "new": "../beyond/new",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)


def _census(directory: Path) -> dict[str, tuple[bytes | None, int]]:
    """Every path beneath `directory` with its content and its mtime."""
    return {
        str(path.relative_to(directory)): (
            path.read_bytes() if path.is_file() else None,
            path.lstat().st_mtime_ns,
        )
        for path in (directory, *directory.rglob("*"))
    }


_NAMES = ("d", "f", "out", "up", "abs", "fabs", "fout", "proc", "slash", "in", "self", "loop", "two", "new")
_PARTS = st.one_of(
    st.sampled_from((*_NAMES, "..", ".", "", "beyond", "workspace", "ü", "u\u0308", "nothing", ".git", "~")),
    st.text(max_size=6),
    st.sampled_from(
        ("\0", "\ud800", "\udcff", "…", "..\u2215", "%2e%2e", "..\\", " ..", "a" * 300, "\n", "-")
    ),
)


_STARTS = ("", "/", "{root}/", "{root}", "//{root}/", "{place}/", "/proc/self/root/{root}/")


@st.composite
def _paths(draw: st.DrawFn) -> str:
    path = "/".join(draw(st.lists(_PARTS, min_size=1, max_size=7)))
    return (
        draw(
            st.sampled_from(
                ("", "/", "{root}/", "{root}", "//{root}/", "{place}/", "/proc/self/root/{root}/")
            )
        )
        + path
    )


@settings(max_examples=400, deadline=None)
@given(path=_paths())
def test_no_path_reads_outside(place: Path, opener: Opener, path: str) -> None:
    path = path.replace("{root}", str(place / "workspace")).replace("{place}", str(place))
    with Workspace.open(place / "workspace", opener=opener) as workspace:
        try:
            entry = workspace.locate(path)
        except WorkspaceError:
            return
        with entry:
            real = os.path.realpath(place / "workspace" / entry.path)
            assert Path(real).is_relative_to(place / "workspace")
            assert os.path.samestat(Path(real).stat(), os.fstat(entry.fileno()))
            if entry.is_file:
                assert entry.read(100).data == INSIDE
            else:
                assert entry.kind == "directory"


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(path=_paths(), expected=st.sampled_from((None, digest(INSIDE), digest(OUTSIDE))))
def test_no_path_writes_outside(place: Path, opener: Opener, path: str, expected: str | None) -> None:
    _plant(place)
    before = _census(place / "beyond"), sorted(place.iterdir())
    path = path.replace("{root}", str(place / "workspace")).replace("{place}", str(place))
    with (
        Workspace.open(place / "workspace", opener=opener) as workspace,
        suppress(WorkspaceError),
    ):
        written = replace(workspace, path, WRITTEN, expected=expected, fence=Fence())
        assert (place / "workspace" / written.path).read_bytes() == WRITTEN
        assert ".git" not in written.path.split("/")[-1:]
    assert (_census(place / "beyond"), sorted(place.iterdir())) == before
    assert not list((place / "workspace").rglob(".flynn-*"))


@given(path=_paths())
@settings(max_examples=300, deadline=None)
def test_both_ways_of_opening_agree(place: Path, path: str) -> None:
    path = path.replace("{root}", str(place / "workspace")).replace("{place}", str(place))
    answers: list[str] = []
    for way in (openat2, walk):
        with Workspace.open(place / "workspace", opener=way) as workspace:
            try:
                with workspace.locate(path) as entry:
                    answers.append(f"{entry.path} {entry.kind}")
            except WorkspaceError as error:
                answers.append(type(error).__name__)
    assert answers[0] == answers[1]


_SWAP = """
import ctypes, os, sys
root = os.fsencode(sys.argv[1])
libc = ctypes.CDLL(None)
a, b = root + b"/" + sys.argv[2].encode(), root + b"/" + sys.argv[3].encode()
AT_FDCWD, RENAME_EXCHANGE = -100, 2
assert libc.renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0
print("swapping", flush=True)
while os.getppid() == int(sys.argv[4]):
    libc.renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE)
"""


@contextmanager
def _swapping(root: Path, one: str, other: str) -> Iterator[None]:
    """Another process exchanges two names of the workspace as fast as the kernel can."""
    arguments = [sys.executable, "-I", "-S", "-c", _SWAP, str(root), one, other, str(os.getpid())]
    with Popen(arguments, stdin=DEVNULL, stdout=-1) as swapper:
        try:
            assert swapper.stdout is not None
            assert swapper.stdout.readline() == b"swapping\n"
            yield
        finally:
            swapper.kill()


def _seconds(most: float = RACE_SECONDS) -> Iterator[None]:
    end = time.monotonic() + most
    while time.monotonic() < end:
        yield


@pytest.mark.parametrize(("one", "other"), [("d", "out"), ("f", "fout"), ("d/d", "d/out")])
def test_a_swapped_link_never_leads_a_reader_out(place: Path, opener: Opener, one: str, other: str) -> None:
    path = one if one == "f" else f"{one}/f"
    read = refused = 0
    with (
        Workspace.open(place / "workspace", opener=opener) as workspace,
        _swapping(place / "workspace", one, other),
    ):
        least = time.monotonic() + RACE_SECONDS
        for _ in _seconds(20):
            # On a busy machine it takes longer until both have been seen often enough.
            if read > 50 and refused > 50 and time.monotonic() > least:
                break
            try:
                with workspace.locate(path) as entry:
                    content = entry.read(100).data
            except WorkspaceError:
                refused += 1
                continue
            assert content == INSIDE
            read += 1
    assert read > 50, "the race was never open"
    assert refused > 50, "the race was never open"


def test_a_directory_moved_away_does_not_take_a_reader_along(place: Path, opener: Opener) -> None:
    """`..` from a directory that is moved deeper and back must never climb past the root."""
    root = place / "workspace"
    (root / "x").mkdir()
    (place / "f").write_bytes(OUTSIDE)
    (root / "x" / "deep").mkdir()
    (root / "flat").mkdir()
    with Workspace.open(root, opener=opener) as workspace, _swapping(root, "x/deep", "flat"):
        for _ in _seconds():
            with suppress(WorkspaceError), workspace.locate("x/deep/../../f") as entry:
                assert entry.read(100).data == INSIDE


@pytest.mark.parametrize(("one", "other"), [("d", "out"), ("f", "fout")])
def test_a_swapped_link_never_leads_a_writer_out(place: Path, opener: Opener, one: str, other: str) -> None:
    before = _census(place / "beyond")
    path = one if one == "f" else f"{one}/f"
    tried = written = 0
    content = INSIDE
    with (
        Workspace.open(place / "workspace", opener=opener) as workspace,
        _swapping(place / "workspace", one, other),
    ):
        # Longer than the others: on a busy machine the link may be there at every look.
        for tried, _ in enumerate(_seconds(20)):
            if written and tried > 2_000:
                break
            new = b"written %d\n" % tried
            try:
                replace(workspace, path, new, expected=digest(content), fence=Fence())
            except WorkspaceError:
                continue
            content = new
            written += 1
            if one == "f":
                break  # the rename may take the place of the link, and the race is over
    assert written > 0
    assert _census(place / "beyond") == before


def test_a_swapped_link_never_leads_directories_out(place: Path, opener: Opener) -> None:
    before = _census(place / "beyond")
    with (
        Workspace.open(place / "workspace", opener=opener) as workspace,
        _swapping(place / "workspace", "d", "out"),
    ):
        for number, _ in enumerate(_seconds()):
            with suppress(WorkspaceError):
                replace(workspace, f"d/made {number}/a/b", b"x", expected=None, fence=Fence())
    assert _census(place / "beyond") == before


def test_a_swapped_link_never_leads_a_walk_out(place: Path, opener: Opener) -> None:
    (place / "beyond" / "unmistakable").write_bytes(OUTSIDE)
    with (
        Workspace.open(place / "workspace", opener=opener) as workspace,
        _swapping(place / "workspace", "d", "out"),
    ):
        for _ in _seconds():
            for leaf in walk_tree(workspace, ".", skip=frozenset()):
                assert "unmistakable" not in leaf.path


def test_git_hooks_stay_out_of_reach_of_a_racing_writer(place: Path, opener: Opener) -> None:
    root = place / "workspace"
    (root / ".git" / "hooks").mkdir(parents=True)
    (root / "hooks-link").symlink_to(".git/hooks")
    with Workspace.open(root, opener=opener) as workspace, _swapping(root, "d", "hooks-link"):
        for number, _ in enumerate(_seconds()):
            with suppress(WorkspaceError):
                replace(workspace, f"d/hook-{number}", b"x", expected=None, fence=Fence())
    hooks = root / ("hooks-link" if not (root / "hooks-link").is_symlink() else "d")
    assert list((root / ".git" / "hooks").iterdir()) == []
    assert hooks.exists()


def test_a_lost_lease_between_the_check_and_the_rename_writes_nothing(place: Path, opener: Opener) -> None:
    def lost() -> None:
        raise LeaseLost("taken over")

    before = _census(place)
    with (
        Workspace.open(place / "workspace", opener=opener) as workspace,
        pytest.raises(LeaseLost),
    ):
        replace(workspace, "f", WRITTEN, expected=digest(INSIDE), fence=Fence(confirm=lost))
    after = _census(place)
    assert {path: content for path, (content, _) in after.items()} == {
        path: content for path, (content, _) in before.items()
    }
