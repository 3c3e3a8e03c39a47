"""Whole outputs on hostile ground: nothing planted is followed, opened or waited for, and room is made."""

import os
from pathlib import Path
from uuid import uuid4

import pytest

from flynn.domain.errors import WorkspaceError
from flynn.workspace import output_store
from flynn.workspace.output_store import DIRECTORY, MOST_FILES, create_output, output_size
from flynn.workspace.scratch import create_scratch


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return create_scratch(tmp_path / "scratch", uuid4())


def write(scratch: Path, name: str, data: bytes = b"x") -> Path:
    descriptor = create_output(scratch, name, None)
    os.write(descriptor, data)
    os.close(descriptor)
    return scratch / DIRECTORY / f"{name}.txt"


def named(number: int) -> str:
    return f"c{number:010x}"


def test_an_output_is_private_and_its_size_is_known(scratch: Path) -> None:
    path = write(scratch, named(1), b"hello")
    assert path.read_bytes() == b"hello"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert output_size(scratch, named(1)) == 5
    assert output_size(scratch, named(2)) is None


@pytest.mark.needs("root")
def test_where_commands_have_a_uid_of_their_own_it_can_read_them(scratch: Path) -> None:
    os.close(create_output(scratch, named(1), (20001, 20001)))
    for path in (scratch / DIRECTORY, scratch / DIRECTORY / f"{named(1)}.txt"):
        assert (path.stat().st_uid, path.stat().st_gid) == (20001, 20001)


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "hard link", "directory"])
def test_a_planted_name_is_never_opened(scratch: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "victim").write_bytes(b"kept")
    place = scratch / DIRECTORY / f"{named(1)}.txt"
    place.parent.mkdir()
    match kind:
        case "link":
            place.symlink_to(tmp_path / "victim")
        case "dangling":
            place.symlink_to(tmp_path / "new")
        case "pipe":
            os.mkfifo(place)
        case "hard link":
            os.link(tmp_path / "victim", place)
        case _:
            place.mkdir()
    with pytest.raises(WorkspaceError, match="/tmp/flynn-output cannot be used: File exists"):
        create_output(scratch, named(1), None)
    assert (tmp_path / "victim").read_bytes() == b"kept"
    assert not (tmp_path / "new").exists()
    assert output_size(scratch, named(1)) == (4 if kind == "hard link" else None)


def test_a_link_in_the_place_of_the_directory_is_not_followed(scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / f"{named(1)}.txt").write_bytes(b"theirs")
    (scratch / DIRECTORY).symlink_to(tmp_path / "outside")
    with pytest.raises(WorkspaceError):
        create_output(scratch, named(2), None)
    assert output_size(scratch, named(1)) is None
    assert [path.name for path in (tmp_path / "outside").iterdir()] == [f"{named(1)}.txt"]


def test_the_oldest_go_first_and_only_ours(scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"kept")
    (scratch / DIRECTORY).mkdir()
    (scratch / DIRECTORY / "notes.txt").write_bytes(b"the model's own")
    (scratch / DIRECTORY / f"{named(0)}.txt").symlink_to(tmp_path / "victim")
    for number in range(1, MOST_FILES + 5):
        path = write(scratch, named(number))
        os.utime(path, (number, number))
    left = sorted(path.name for path in (scratch / DIRECTORY).glob("c*.txt"))
    assert len(left) == MOST_FILES
    assert f"{named(MOST_FILES + 4)}.txt" in left
    assert f"{named(1)}.txt" not in left
    assert (scratch / DIRECTORY / "notes.txt").exists()
    assert (tmp_path / "victim").read_bytes() == b"kept"


def test_the_oldest_go_when_all_together_are_too_large(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_store, "MOST_BYTES", 300)
    monkeypatch.setattr(output_store, "LARGEST_FILE", 100)
    for number in range(1, 5):
        os.utime(write(scratch, named(number), b"x" * 100), (number, number))
    left = sorted(path.name for path in (scratch / DIRECTORY).iterdir())
    assert left == [f"{named(number)}.txt" for number in (2, 3, 4)]


def test_a_directory_full_of_names_is_refused(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_store, "_LOOKED_AT", 3)
    (scratch / DIRECTORY).mkdir()
    for name in "abcd":
        (scratch / DIRECTORY / name).touch()
    with pytest.raises(WorkspaceError, match="holds more than 3 names"):
        create_output(scratch, named(1), None)
