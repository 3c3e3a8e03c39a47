"""Nothing outside the workspace is read or written by any file tool while others move things under it.

A process of its own exchanges names, swaps directories for links that lead out, and plants hard links, as
fast as the kernel lets it; meanwhile every tool runs over the names it moves, again and again.

A hard link is a name like any other: what it leads to is in the workspace by that name, so Read shows it.
Only somebody who may write both places can make one (and commands in the sandbox see no other place), and
Write and Edit put a new file in the name's place, so that whatever else has the old one keeps it as it was.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flynn.domain.content import Json
from flynn.domain.tool_result import Outcome
from flynn.sandbox.command import Sandbox
from flynn.sandbox.opening import open_sandbox
from flynn.workspace.beneath import Opener, openat2, walk
from flynn.workspace.root import Workspace
from flynn.workspace.scratch import create_scratch
from tests.tools.conftest import Conversation

pytestmark = pytest.mark.slow

SECONDS = 0.5
"""How long each race is run; a file tool acts hundreds of times in it."""

_MOVER = """
import ctypes, os, sys
root, parent, moves = os.fsencode(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
libc = ctypes.CDLL(None)
AT_FDCWD, RENAME_EXCHANGE = -100, 2
number = 0
def move(kind, one, other):
    a, b = os.path.join(root, os.fsencode(one)), os.path.join(root, os.fsencode(other))
    if kind == "exchange":
        libc.renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE)
    elif kind == "link":
        os.link(a, b + b".new", follow_symlinks=False)
        os.rename(b + b".new", b)
    elif kind == "point":
        global number
        number += 1
        os.symlink(os.fsencode(one), b + b".new")
        os.rename(b + b".new", b)
print("moving", flush=True)
while os.getppid() == parent:
    for text in moves:
        try:
            move(*text.split("|"))
        except OSError:
            pass
"""


@contextmanager
def moving(root: Path, moves: list[tuple[str, str, str]]) -> Iterator[None]:
    """Another process makes `moves` in turn, without end."""
    said = ["|".join(move) for move in moves]
    command = [sys.executable, "-I", "-S", "-c", _MOVER, str(root), str(os.getpid()), *said]
    with Popen(command, stdin=DEVNULL, stdout=PIPE) as mover:
        try:
            assert mover.stdout is not None
            assert mover.stdout.readline() == b"moving\n"
            yield
        finally:
            mover.kill()


def _plant(place: Path) -> None:
    beyond, root = place / "beyond", place / "workspace"
    for directory in (beyond / "d", root / "d" / "e", root / "other"):
        directory.mkdir(parents=True)
    for path in (beyond / "f", beyond / "d" / "f", beyond / "unmistakable", beyond / "d" / "unmistakable"):
        path.write_text("OUTSIDE\n")
    for path in (root / "f", root / "d" / "f", root / "d" / "e" / "f", root / "other" / "f"):
        path.write_text("inside\n")
    (root / "out").symlink_to("../beyond")
    (root / "fout").symlink_to("../beyond/f")
    (root / "deep").symlink_to("../beyond/d")


def _census(directory: Path) -> dict[str, tuple[bytes | None, int, int, int]]:
    found: dict[str, tuple[bytes | None, int, int, int]] = {}
    for path in (directory, *directory.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(directory))] = (
            content,
            status.st_mode,
            status.st_uid,
            status.st_mtime_ns,
        )
    return found


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return asyncio.run(open_sandbox(private_root=tmp_path_factory.mktemp("private")))


@pytest.fixture(scope="module")
def no_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return asyncio.run(open_sandbox(private_root=tmp_path_factory.mktemp("private"), prefer="none"))


@contextmanager
def conversation(place: Path, sandbox: Sandbox, opener: Opener) -> Iterator[Conversation]:
    with Workspace.open(place / "workspace", opener=opener) as workspace:
        yield Conversation(workspace, sandbox, create_scratch(place / "scratch", uuid4()))


SWAPS = [
    ("exchange", "d", "out"),
    ("exchange", "f", "fout"),
    ("exchange", "d/e", "deep"),
    ("exchange", "d", "other"),
    ("point", "../beyond", "flip"),
    ("point", "d", "flip"),
    ("point", "../beyond/f", "fflip"),
    ("point", "d/f", "fflip"),
]
PATHS = (
    "f",
    "d/f",
    "d/e/f",
    "flip/f",
    "fflip",
    "other/f",
    "out/f",
    "fout",
    "d/../f",
    "flip/../f",
    "flip/new/x",
)


async def _act(talk: Conversation, number: int, tool: str, path: str) -> bool:
    """Use a tool on `path` as a model would; returns whether it did something."""
    arguments: dict[str, Json]
    match tool:
        case "Read":
            arguments = {"file_path": path}
        case "Write":
            await talk.call("Read", file_path=path)
            arguments = {"file_path": path, "content": f"inside {number}\n"}
        case "Edit":
            await talk.call("Read", file_path=path)
            arguments = {"file_path": path, "old_string": "inside", "new_string": f"inside {number % 7}"}
        case "Glob":
            arguments = {"pattern": "**", "path": path.rpartition("/")[0] or "."}
        case _:
            arguments = {"pattern": "OUTSIDE|inside", "path": path.rpartition("/")[0] or "."}
            arguments |= {"output_mode": "content"}
    result = await talk.call(tool, **arguments)
    said = str(result.content)
    assert "OUTSIDE\n" not in said, (tool, path)
    assert "\tOUTSIDE" not in said, (tool, path)
    assert ":OUTSIDE" not in said, (tool, path)
    assert "unmistakable" not in said, (tool, path)
    return result.outcome is Outcome.OK


@pytest.mark.parametrize("opener", [openat2, walk], ids=["openat2", "walk"])
@pytest.mark.parametrize("tool", ["Read", "Write", "Edit"])
async def test_a_file_tool_never_leaves_while_everything_moves(
    tmp_path: Path, no_sandbox: Sandbox, opener: Opener, tool: str
) -> None:
    _plant(tmp_path)
    before = _census(tmp_path / "beyond")
    done = refused = 0
    with conversation(tmp_path, no_sandbox, opener) as talk, moving(tmp_path / "workspace", SWAPS):
        end = time.monotonic() + SECONDS * 4
        number = 0
        while time.monotonic() < end or min(done, refused) < 20:
            number += 1
            if await _act(talk, number, tool, PATHS[number % len(PATHS)]):
                done += 1
            else:
                refused += 1
    assert _census(tmp_path / "beyond") == before
    assert not list((tmp_path / "workspace").rglob(".flynn-*")), "nothing half written is left"
    assert done >= 20, "the race was never open"
    assert refused >= 20, "the race was never open"


@pytest.mark.needs("bubblewrap")
@pytest.mark.parametrize("tool", ["Glob", "Grep"])
async def test_a_search_never_leaves_while_everything_moves(
    tmp_path: Path, sandbox: Sandbox, tool: str
) -> None:
    _plant(tmp_path)
    before = _census(tmp_path / "beyond")
    done = 0
    with conversation(tmp_path, sandbox, openat2) as talk, moving(tmp_path / "workspace", SWAPS):
        for number in range(30):
            done += await _act(talk, number, tool, PATHS[number % len(PATHS)])
    assert _census(tmp_path / "beyond") == before
    assert done >= 5


@pytest.mark.parametrize("opener", [openat2, walk], ids=["openat2", "walk"])
async def test_a_walk_without_a_sandbox_never_leaves(
    tmp_path: Path, no_sandbox: Sandbox, opener: Opener
) -> None:
    _plant(tmp_path)
    done = 0
    with conversation(tmp_path, no_sandbox, opener) as talk, moving(tmp_path / "workspace", SWAPS):
        end = time.monotonic() + SECONDS
        number = 0
        while time.monotonic() < end or done < 20:
            number += 1
            done += await _act(talk, number, "Glob", PATHS[number % len(PATHS)])


@pytest.mark.parametrize("tool", ["Write", "Edit"])
async def test_what_a_hard_link_shares_with_another_place_is_never_changed(
    tmp_path: Path, no_sandbox: Sandbox, tool: str
) -> None:
    _plant(tmp_path)
    outside = tmp_path / "beyond" / "f"
    before = outside.read_bytes(), outside.stat().st_mode, outside.stat().st_ino
    moves = [("link", "../beyond/f", "f"), ("link", "../beyond/f", "d/f"), ("link", "other/f", "f")]
    with conversation(tmp_path, no_sandbox, openat2) as talk, moving(tmp_path / "workspace", moves):
        end = time.monotonic() + SECONDS * 2
        number = written = 0
        while time.monotonic() < end or written < 10:
            number += 1
            path = ("f", "d/f")[number % 2]
            await talk.call("Read", file_path=path)
            if tool == "Write":
                result = await talk.call("Write", file_path=path, content=f"inside {number}\n")
            else:
                result = await talk.call(
                    "Edit", file_path=path, old_string="SIDE", new_string=f"SIDE {number}"
                )
            written += result.outcome is Outcome.OK
    assert (outside.read_bytes(), outside.stat().st_mode, outside.stat().st_ino) == before


async def test_a_hard_link_is_read_by_its_name(tmp_path: Path, no_sandbox: Sandbox) -> None:
    _plant(tmp_path)
    (tmp_path / "workspace" / "linked").hardlink_to(tmp_path / "beyond" / "f")
    with conversation(tmp_path, no_sandbox, openat2) as talk:
        assert "OUTSIDE" in await talk.text("Read", file_path="linked")


@settings(max_examples=8, deadline=None)
@given(
    moves=st.lists(st.sampled_from(SWAPS), min_size=1, max_size=5, unique=True),
    acts=st.lists(
        st.tuples(st.sampled_from(("Read", "Write", "Edit")), st.sampled_from(PATHS)), min_size=3, max_size=9
    ),
)
async def test_no_choice_of_moves_and_calls_leads_out(
    tmp_path_factory: pytest.TempPathFactory,
    no_sandbox: Sandbox,
    moves: list[tuple[str, str, str]],
    acts: list[tuple[str, str]],
) -> None:
    place = tmp_path_factory.mktemp("race")
    _plant(place)
    before = _census(place / "beyond")
    with conversation(place, no_sandbox, openat2) as talk, moving(place / "workspace", moves):
        end = time.monotonic() + SECONDS / 2
        number = 0
        while time.monotonic() < end:
            for tool, path in acts:
                number += 1
                await _act(talk, number, tool, path)
    assert _census(place / "beyond") == before
