"""Snapshots: what they see, what they leave out and say so, and the way back."""
# Names are bytes here, which pathlib does not take.
# ruff: noqa: PTH101, PTH103, PTH104, PTH108, PTH112, PTH113, PTH114, PTH115, PTH118, PTH120, PTH123, PTH211

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flynn.agent.changes import tell
from flynn.domain.errors import LeaseLost
from flynn.workspace.fence import Fence
from flynn.workspace.path import ContentChanged
from flynn.workspace.root import Workspace
from flynn.workspace.snapshots import scan
from flynn.workspace.snapshots.comparison import Change
from flynn.workspace.snapshots.git_state import look_at_git
from flynn.workspace.snapshots.patch import joined, patch_of
from flynn.workspace.snapshots.rollback import roll_back
from flynn.workspace.snapshots.snapshots import SnapshotFailed, Snapshots
from flynn.workspace.snapshots.store import Store
from flynn.workspace.snapshots.sweep import sweep

RUN = UUID(int=7)


class Place:
    """A workspace and the snapshots of a run in it."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "workspace"
        self.root.mkdir()
        self.store = tmp_path / "store"
        self.workspace = Workspace.open(self.root)
        self.snapshots = self.open()

    def open(self, run_id: UUID = RUN, most_bytes: int = 2**30) -> Snapshots:
        return Snapshots(self.workspace, self.store, key="main", run_id=run_id, most_bytes=most_bytes)

    def write(self, path: str | bytes, data: str | bytes, mode: int | None = None) -> None:
        """Write by the names' bytes, making directories."""
        full = os.path.join(os.fsencode(self.root), os.fsencode(path))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        if mode is not None:
            os.chmod(full, mode)

    def changes(self, before: str, after: str) -> dict[str, Change]:
        return {change.path: change for change in self.snapshots.changes(before, after)}

    def back(self, before: str, after: str, fence: Fence | None = None) -> list[str]:
        """Take back what differs between two trees."""
        net = self.snapshots.net([(before, after)])
        return roll_back(self.workspace, net.left(), self.snapshots.content, fence=fence or Fence())

    def diff(self, before: str, after: str) -> bytes:
        patches = [
            patch_of(change, self.snapshots.content) for change in self.snapshots.changes(before, after)
        ]
        return joined([patch for patch in patches if patch is not None], 10**6).text


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path)
    yield found
    found.snapshots.close()
    found.workspace.close()


def listing(root: Path) -> dict[bytes, tuple[str, int, bytes]]:
    """Everything beneath `root` but git's own, read plainly: kind, permission bits, content or target."""
    found: dict[bytes, tuple[str, int, bytes]] = {}
    base = os.fsencode(root)
    for directory, names, files in os.walk(base):
        names[:] = [name for name in names if name != b".git"]
        for name in names + files:
            full = os.path.join(directory, name)
            mode = os.lstat(full).st_mode & 0o777
            key = full[len(base) + 1 :]
            if os.path.islink(full):
                found[key] = ("link", 0, os.readlink(full))
            elif os.path.isdir(full):
                found[key] = ("directory", mode, b"")
            elif os.path.isfile(full):
                with open(full, "rb") as file:
                    found[key] = ("file", mode, file.read())
    return found


def awkward(place: Place) -> None:
    """The things that make git's own add go wrong, and a few more."""
    place.write("crlf.txt", b"one\r\ntwo\r\n")
    place.write(
        ".gitattributes", "* text=auto eol=lf\n*.bin filter=evil diff=evil working-tree-encoding=UTF-16\n"
    )
    place.write("data.bin", bytes(range(256)))
    place.write("run.sh", "#!/bin/sh\n", 0o755)
    place.write("private.txt", "mine\n", 0o600)
    place.write(b"caf\xe9.txt", "latin\n")
    place.write("with space\nand line.txt", "odd name\n")
    place.write("Case.txt", "upper\n")
    place.write("case.txt", "lower\n")
    (place.root / "empty").mkdir()
    (place.root / "dangling").symlink_to("nowhere/at/all")
    (place.root / "link").symlink_to("crlf.txt")
    (place.root / "out").symlink_to("/etc/passwd")
    place.write("nested/.git/HEAD", "ref: refs/heads/main\n")
    place.write("nested/.git/config", "[core]\n\tfsmonitor = touch /tmp/never\n")
    place.write("nested/file.txt", "in a repository of its own\n")
    place.write(".gitignore", "ignored/\n*.log\n")
    place.write("ignored/small.txt", "small\n")
    place.write("a.log", "log\n")


def test_awkward_trees_come_back_byte_by_byte(place: Place) -> None:
    awkward(place)
    was = listing(place.root)
    before = place.snapshots.begin(0)
    assert before.uncovered == ()
    for path in list(place.root.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if path.name != "nested":
                shutil.rmtree(path)
        else:
            path.unlink()
    (place.root / "nested/file.txt").write_text("changed\n")
    place.write("crlf.txt/now/a/directory.txt", "file to directory\n")
    place.write("empty", "directory to file\n")
    place.write("new/deep/er.txt", "new\n")
    (place.root / "run.sh").symlink_to("link")
    after = place.snapshots.look()
    assert place.back(before.tree, after.tree) == []
    assert listing(place.root) == was
    assert (place.root / "nested/.git/config").exists()
    assert place.snapshots.look().tree == before.tree
    # And forth again: the way back is one both ways.
    assert place.back(after.tree, before.tree) == []
    assert place.snapshots.look().tree == after.tree


def test_one_path_is_looked_at_and_nothing_else(place: Place) -> None:
    place.write("a/b/c.txt", "one\n")
    place.write("a/d.txt", "one\n")
    first = place.snapshots.begin(0)
    place.write("a/b/c.txt", "two\n")
    place.write("a/d.txt", "two\n")
    place.write("new/made/for/it.txt", "new\n")
    second = place.snapshots.look("a/b/c.txt")
    assert list(place.changes(first.tree, second.tree)) == ["a/b/c.txt"]
    third = place.snapshots.look("new/made/for/it.txt")
    assert list(place.changes(second.tree, third.tree)) == [
        "new",
        "new/made",
        "new/made/for",
        "new/made/for/it.txt",
    ]
    assert list(place.changes(third.tree, place.snapshots.look().tree)) == ["a/d.txt"]
    (place.root / "new/made/for/it.txt").unlink()
    assert list(place.changes(third.tree, place.snapshots.look("new/made/for/it.txt").tree)) == [
        "a/d.txt",
        "new/made/for/it.txt",
    ]


def test_a_change_that_keeps_size_and_times_is_seen(place: Place) -> None:
    place.write("a.txt", "aaaa")
    first = place.snapshots.begin(0)
    times = (place.root / "a.txt").stat()
    for text in ("bbbb", "cccc", "dddd"):
        # Within one tick of the clock, as far as this machine is fast enough for that.
        (place.root / "a.txt").write_text(text)
        os.utime(place.root / "a.txt", ns=(times.st_atime_ns, times.st_mtime_ns))
        found = place.snapshots.look()
        node = place.changes(first.tree, found.tree)["a.txt"].after
        assert node is not None
        assert place.snapshots.content(node.digest) == text.encode()


def test_what_is_not_covered_is_named_and_never_taken_for_removed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "LARGEST", 1_000)
    monkeypatch.setattr(scan, "LARGEST_IGNORED", 100)
    monkeypatch.setattr(scan, "IGNORED_ENTRIES", 5)
    place.write(".gitignore", "*.log\n/built/\n")
    place.write("kept.txt", "x")
    before = place.snapshots.begin(0)
    os.mkfifo(place.root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(place.root)
        listener.bind("socket")
    place.write("large.bin", b"x" * 1_001)
    place.write("some.log", b"x" * 101)
    place.write("small.log", b"x")
    for name in range(9):
        place.write(f"built/{name}", "made")
    for name in range(3):
        place.write(f"node_modules/{name}", "made")
    after = place.snapshots.look()
    assert dict(after.uncovered) == {
        "pipe": "special",
        "socket": "special",
        "large.bin": "large",
        "some.log": "ignored",
        "built": "ignored",
    }
    covered = {path for path, change in place.changes(before.tree, after.tree).items() if change.covered}
    assert covered == {"small.log", "node_modules", *(f"node_modules/{name}" for name in range(3))}
    # A file that grows beyond the limit is not told as removed, and the way back leaves it alone.
    place.write("kept.txt", b"y" * 2_000)
    grown = place.snapshots.look()
    assert not place.changes(after.tree, grown.tree)["kept.txt"].covered
    assert place.back(before.tree, grown.tree) == []
    assert sorted(path.name for path in place.root.iterdir()) == [
        ".gitignore",
        "built",
        "kept.txt",
        "large.bin",
        "pipe",
        "socket",
        "some.log",
    ]


def test_a_directory_with_something_uncovered_stays(place: Place) -> None:
    before = place.snapshots.begin(0)
    place.write("made/by/call.txt", "x")
    after = place.snapshots.look()
    os.mkfifo(place.root / "made/pipe")
    assert place.back(before.tree, after.tree) == ["made"]
    assert [path.name for path in (place.root / "made").iterdir()] == ["pipe"]


def test_somebody_elses_work_is_never_overwritten(place: Place) -> None:
    place.write("a.txt", "one")
    place.write("b.txt", "one")
    place.write("c", "file")
    before = place.snapshots.begin(0)
    place.write("a.txt", "two")
    place.write("b.txt", "two")
    (place.root / "c").unlink()
    place.write("c/in.txt", "directory now")
    after = place.snapshots.look()
    was = listing(place.root)
    place.write("b.txt", "somebody else")
    with pytest.raises(ContentChanged, match=r"Somebody else has changed .*: b\.txt"):
        place.back(before.tree, after.tree)
    place.write("b.txt", "two")
    place.write("c/theirs.txt", "would be lost")
    with pytest.raises(ContentChanged, match=r"c/theirs\.txt"):
        place.back(before.tree, after.tree)
    (place.root / "c/theirs.txt").unlink()
    assert listing(place.root) == was
    # A link in place of a directory leads nowhere.
    outside = place.root.parent / "outside"
    shutil.move(place.root / "c", outside)
    (place.root / "c").symlink_to(outside)
    with pytest.raises(ContentChanged):
        place.back(before.tree, after.tree)
    assert (outside / "in.txt").read_text() == "directory now"


def test_a_later_chmod_stays_and_a_changed_mode_comes_back(place: Place) -> None:
    place.write("a.sh", "one", 0o644)
    place.write("b.sh", "one", 0o644)
    before = place.snapshots.begin(0)
    (place.root / "a.sh").chmod(0o755)
    place.write("b.sh", "two", 0o644)
    after = place.snapshots.look()
    (place.root / "a.sh").chmod(0o775)
    (place.root / "b.sh").chmod(0o600)
    assert place.back(before.tree, after.tree) == []
    assert (place.root / "a.sh").stat().st_mode & 0o777 == 0o664
    assert (place.root / "b.sh").stat().st_mode & 0o777 == 0o600
    assert (place.root / "b.sh").read_text() == "one"


def test_an_undo_that_was_cut_short_anywhere_is_simply_done_again(place: Place) -> None:
    awkward(place)
    before = place.snapshots.begin(0)
    was = listing(place.root)
    place.write("crlf.txt", "changed")
    shutil.rmtree(place.root / "ignored")
    place.write("ignored", "a file")
    (place.root / "case.txt").unlink()
    place.write("case.txt/in/it.txt", "a directory")
    (place.root / "dangling").unlink()
    place.write("new/a/b.txt", "new")
    after = place.snapshots.look()
    acts = 0
    while True:
        left = acts

        def stop() -> None:
            nonlocal left
            if left == 0:
                raise LeaseLost("gone")
            left -= 1

        try:
            assert place.back(before.tree, after.tree, Fence(confirm=stop)) == []
            break
        except LeaseLost:
            acts += 1
        assert acts < 100
    assert acts > 5
    assert listing(place.root) == was


KILLED = """
import os, signal, sys
from pathlib import Path
from uuid import UUID
from flynn.workspace.root import Workspace
from flynn.workspace.snapshots.snapshots import Snapshots
from flynn.workspace.snapshots import pack
finish = pack.PackWriter.finish
def die(self):
    self._file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
pack.PackWriter.finish = die
workspace = Workspace.open(sys.argv[1])
Snapshots(workspace, Path(sys.argv[2]), key="main", run_id=UUID(int=7), most_bytes=2**30).look()
"""


def test_a_process_that_was_killed_over_a_snapshot_blocks_nobody(place: Place) -> None:
    place.write("a.txt", "one")
    before = place.snapshots.begin(0)
    place.write("a.txt", "two")
    arguments = [sys.executable, "-c", KILLED, str(place.root), str(place.store)]
    assert subprocess.run(arguments, check=False).returncode == -9
    assert list((place.store / "packs").glob("*.tmp"))
    assert list(place.changes(before.tree, place.snapshots.look().tree)) == ["a.txt"]
    place.snapshots.close()
    assert sweep(Store(place.store, most_bytes=2**30), kept_seconds=1e9) is not None


def test_the_next_run_reads_only_what_changed_and_finds_the_same_tree(place: Place) -> None:
    awkward(place)
    first = place.snapshots.begin(0)
    place.snapshots.close()
    place.write("a.log", "other\n")
    again = place.open(uuid4())
    second = again.begin(5)
    assert [change.path for change in again.changes(first.tree, second.tree)] == ["a.log"]
    again.close()
    # What is remembered is a hint: lost or spoilt, everything is read again.
    for data in (b"", b"x" * 100, None):
        for path in (place.store / "stats").iterdir():
            path.write_bytes(data) if data is not None else path.unlink()
        fresh = place.open(uuid4())
        assert fresh.begin(9).tree == second.tree
        assert fresh.began() == (second.tree, 9)
        fresh.close()


def test_a_store_that_is_full_or_a_tree_too_wide_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("noise", os.urandom(200_000))
    tight = place.open(most_bytes=100_000)
    with pytest.raises(SnapshotFailed, match="FLYNN_SNAPSHOTS_MB"):
        tight.begin(0)
    tight.close()
    monkeypatch.setattr(scan, "MOST_ENTRIES", 3)
    for name in "abcd":
        place.write(name, name)
    with pytest.raises(SnapshotFailed, match="more than"):
        place.snapshots.look()
    monkeypatch.undo()
    assert len(place.changes(place.snapshots.begin(0).tree, place.snapshots.look().tree)) == 0


def test_old_trees_are_swept_with_what_only_they_held(place: Place) -> None:
    place.write("a.txt", os.urandom(50_000))
    old = place.snapshots.begin(0)
    place.write("a.txt", os.urandom(50_000))
    kept = place.snapshots.look()
    assert sweep(Store(place.store, most_bytes=2**30), kept_seconds=0) is None, "a run is at it"
    place.snapshots.close()
    os.utime(place.store / "roots" / old.tree, (1, 1))
    freed = sweep(Store(place.store, most_bytes=2**30), kept_seconds=1_000)
    assert freed is not None
    assert freed > 45_000
    with pytest.raises(SnapshotFailed, match="not kept any more"):
        place.snapshots.changes(old.tree, kept.tree)
    assert place.snapshots.begin(1).tree == kept.tree
    place.snapshots.close()
    # Fuller than it may be: the older half goes, the newest stays.
    for number in range(6):
        place.write("a.txt", os.urandom(50_000))
        newest = place.snapshots.look()
        os.utime(place.store / "roots" / newest.tree, (number + 10, number + 10))
    place.snapshots.close()
    store = Store(place.store, most_bytes=300_000)
    assert sweep(store, kept_seconds=1e12) is not None
    assert store.size < 210_000
    assert store.get(kept.tree) is not None


def test_many_packs_become_one(place: Place) -> None:
    place.snapshots.begin(0)
    for number in range(70):
        place.write("a.txt", str(number))
        last = place.snapshots.look()
    place.snapshots.close()
    assert len(list((place.store / "packs").iterdir())) > 64
    sweep(Store(place.store, most_bytes=2**30), kept_seconds=1e9)
    assert len(list((place.store / "packs").iterdir())) == 1
    assert place.snapshots.digest_at(last.tree, "a.txt") == sha256(b"69").hexdigest()
    assert place.snapshots.digest_at(last.tree, "a.txt/b") is None


# -- differences as text -----------------------------------------------------------------------------------


def test_git_applies_the_difference(place: Place, tmp_path: Path) -> None:
    awkward(place)
    place.write("long.txt", "".join(f"line {n}\n" for n in range(100)))
    place.write("no end", "one\ntwo")
    (place.root / "out").unlink()
    copy = tmp_path / "copy"
    shutil.copytree(place.root, copy, symlinks=True)
    before = place.snapshots.begin(0)
    place.write("long.txt", "".join(f"line {n}{'!' if n in (3, 50, 98) else ''}\n" for n in range(100)))
    place.write("no end", "one\ntwo\nthree")
    place.write("crlf.txt", b"one\r\n2\r\n")
    place.write("added/with space.txt", "new\n", 0o755)
    place.write("empty file", "")
    place.write(b"caf\xe9.txt", b"latin \xe9\n")
    (place.root / "run.sh").chmod(0o644)
    (place.root / "case.txt").unlink()
    (place.root / "link").unlink()
    (place.root / "link").symlink_to("Case.txt")
    (place.root / "dangling").unlink()
    place.write("dangling", "a file now\n")
    after = place.snapshots.look()
    patch = tmp_path / "the.patch"
    patch.write_bytes(place.diff(before.tree, after.tree))
    git = shutil.which("git")
    assert git is not None
    done = subprocess.run(
        [git, "apply", "--whitespace=nowarn", str(patch)],
        cwd=copy,
        env={"GIT_CEILING_DIRECTORIES": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")

    def essence(root: Path) -> dict[bytes, tuple[str, bool, bytes]]:
        return {
            path: (kind, bool(mode & 0o100), data)
            for path, (kind, mode, data) in listing(root).items()
            if kind != "directory"
        }

    assert essence(copy) == essence(place.root)


def test_a_difference_shows_no_secret(place: Place) -> None:
    token = "ghp_" + "a1B2" * 9
    key = (
        "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEF\n" * 4 + "-----END PRIVATE KEY-----\n"
    )
    place.write("a.env", f"user = me\nTOKEN={token}\n{key}end\n")
    before = place.snapshots.begin(0)
    place.write("a.env", f"user = you\nTOKEN={token}\n{key}end\n")
    text = place.diff(before.tree, place.snapshots.look().tree).decode()
    assert "-user = me\n+user = you\n" in text
    assert "redacted" in text
    assert token not in text
    assert "MIIE" not in text


def test_a_difference_is_bounded_by_whole_files(place: Place) -> None:
    before = place.snapshots.begin(0)
    place.write("a.txt", "x\n" * 200)
    place.write("b.txt", "y\n")
    changes = place.snapshots.changes(before.tree, place.snapshots.look().tree)
    patches = [patch for change in changes if (patch := patch_of(change, place.snapshots.content))]
    whole, cut = joined(patches, 10_000), joined(patches, 300)
    assert (whole.cut, cut.cut) == (False, True)
    assert cut.text.startswith(b"diff --git a/b.txt b/b.txt\nnew file mode 100644\n")
    assert [(patch.added, patch.removed) for patch in patches] == [(200, 0), (1, 0)]


def test_more_than_anybody_compares_is_told_without_lines(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place.snapshots.begin(0)
    for name in "abc":
        place.write(f"{name}/{name}.txt", f"{name}\n")
    changes = place.snapshots.changes(before.tree, place.snapshots.look().tree)
    told, difference = tell(changes, place.snapshots)
    assert [(file.path, file.lines_added) for file in told] == [
        ("a/a.txt", 1),
        ("b/b.txt", 1),
        ("c/c.txt", 1),
    ]
    assert (difference.text.count(b"diff --git"), difference.cut) == (3, False)
    for limit, most in (("MOST_COMPARED", 2), ("MOST_COMPARED_BYTES", 3)):
        with monkeypatch.context() as less:
            less.setattr(f"flynn.agent.changes.{limit}", most)
            told, difference = tell(changes, place.snapshots)
        assert [file.lines_added for file in told] == [1, 1, 0]
        assert (difference.text.count(b"diff --git"), difference.cut) == (2, True)


# -- git's own -----------------------------------------------------------------------------------------------


def test_where_git_stands_is_told_by_reading_alone(place: Place) -> None:
    assert look_at_git(place.workspace) is None
    place.write(".git/HEAD", "ref: refs/heads/main\n")
    place.write(".git/packed-refs", f"# pack-refs\n{'a' * 40} refs/heads/main\n")
    first = look_at_git(place.workspace)
    assert first is not None
    assert (first.head, first.commit) == ("refs/heads/main", "a" * 40)
    place.write(".git/refs/heads/main", "b" * 40 + "\n")
    second = look_at_git(place.workspace)
    assert second is not None
    assert second.commit == "b" * 40
    assert second.refs != first.refs
    place.write(".git/HEAD", "ref: refs/heads/../../../../etc/passwd\n")
    odd = look_at_git(place.workspace)
    assert odd is None or odd.commit is None
    (place.root / ".git/HEAD").unlink()
    (place.root / ".git/HEAD").symlink_to("/etc/passwd")
    assert look_at_git(place.workspace) is None


def test_a_row_of_stars_takes_no_time_and_a_loop_of_links_is_a_link(place: Place) -> None:
    place.write(".gitignore", "*a" * 200 + "b\n" + "**/" * 50 + "x\n[z-a]\n[\n\\\n")
    place.write("a" * 250, b"x" * (scan.LARGEST_IGNORED + 1))
    (place.root / "loop").symlink_to("loop")
    deep = place.root
    for _ in range(scan.DEEPEST + 3):
        deep = deep / "d"
    deep.mkdir(parents=True)
    taken = place.snapshots.begin(0)
    assert [why for _, why in taken.uncovered] == ["deep"]


# -- any sequence of operations ----------------------------------------------------------------------------

NAMES = st.sampled_from([b"a", b"b", b"a/c", b"a/d", b"b/e/f", b"\xff\xfe", b"sp ace", b"A"])
DATA = st.sampled_from([b"", b"1", b"2", b"one\r\n", b"\0\1\2", b"x" * 5_000])
OPERATION = st.one_of(
    st.tuples(st.just("write"), NAMES, DATA),
    st.tuples(st.just("link"), NAMES, st.sampled_from([b"a", b"nowhere", b"../.."])),
    st.tuples(st.just("mkdir"), NAMES, st.just(b"")),
    st.tuples(st.just("remove"), NAMES, st.just(b"")),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("chmod"), NAMES, st.sampled_from([b"700", b"755", b"777"])),
)


def operate(root: bytes, kind: str, name: bytes, more: bytes) -> None:
    full = os.path.join(root, name)
    act: dict[str, Callable[[], object]] = {
        "write": lambda: _write(full, more),
        "link": lambda: os.symlink(more, full),
        "mkdir": lambda: os.makedirs(full),
        "remove": lambda: (
            shutil.rmtree(full) if os.path.isdir(full) and not os.path.islink(full) else os.unlink(full)
        ),
        "rename": lambda: os.rename(full, os.path.join(root, more)),
        "chmod": lambda: (
            os.chmod(full, int(more, 8), follow_symlinks=True) if not os.path.islink(full) else None
        ),
    }
    try:
        act[kind]()
    except OSError:
        return  # an operation that makes no sense here changes nothing


def _write(full: bytes, data: bytes) -> None:
    if os.path.islink(full):
        return
    with open(full, "wb") as file:
        file.write(data)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(st.lists(OPERATION, max_size=6), min_size=1, max_size=4))
def test_trees_differ_as_plain_walks_differ_and_every_one_comes_back(
    tmp_path: Path, rounds: list[list[tuple[str, bytes, bytes]]]
) -> None:
    parent = tmp_path / uuid4().hex
    parent.mkdir()
    place = Place(parent)
    try:
        trees = [place.snapshots.begin(0).tree]
        walks = [listing(place.root)]
        for operations in rounds:
            for kind, name, more in operations:
                operate(os.fsencode(place.root), kind, name, more)
            trees.append(place.snapshots.look().tree)
            walks.append(listing(place.root))
            changed = {
                path for path in {*walks[-1], *walks[-2]} if walks[-1].get(path) != walks[-2].get(path)
            }
            told = {os.fsencode(path) for path in place.changes(trees[-2], trees[-1])}
            assert told == changed
        for tree, walk in reversed(list(zip(trees, walks, strict=True))):
            place.back(tree, place.snapshots.look().tree)
            assert listing(place.root) == walk
    finally:
        place.snapshots.close()
        place.workspace.close()
        shutil.rmtree(parent)
