"""Volumes: markers that nobody can fake, block or tear, and places that every mount resolves for itself."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from flynn.domain.errors import Unavailable, WorkspaceError
from flynn.workspace.mounts import Mounts, Place, adopt_directory, find_mounts, make_directory
from flynn.workspace.root import Workspace
from flynn.workspace.volume import MARKER, NoMarker, Volume, make_volume, read_volume


def volume(root: Path) -> Volume:
    root.mkdir(parents=True, exist_ok=True)
    return make_volume(root)


def test_a_volume_is_made_once_and_known_again(tmp_path: Path) -> None:
    with pytest.raises(NoMarker, match="flynn volumes add"):
        read_volume(tmp_path)
    made = make_volume(tmp_path)
    assert make_volume(tmp_path) == read_volume(tmp_path) == made
    assert UUID((tmp_path / MARKER).read_text().strip()) == made.id
    assert [path.name for path in tmp_path.iterdir()] == [MARKER]


def test_of_several_who_make_a_volume_one_wins(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: make_volume(tmp_path), range(32)))
    assert len({volume.id for volume in found}) == 1
    assert [path.name for path in tmp_path.iterdir()] == [MARKER]


def test_a_marker_that_is_none_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    marker = tmp_path / MARKER
    marker.write_text("no uuid at all")
    with pytest.raises(WorkspaceError, match="holds no uuid"):
        make_volume(tmp_path)
    marker.unlink()
    os.mkfifo(marker)
    with pytest.raises(WorkspaceError, match="holds no uuid"):
        read_volume(tmp_path)
    marker.unlink()
    (tmp_path / "other").write_text(str(uuid4()))
    marker.symlink_to("other")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        read_volume(tmp_path)
    with pytest.raises(WorkspaceError, match="is not a directory"):
        make_volume(tmp_path / "none")


def test_a_workspace_is_and_holds_no_volume(tmp_path: Path) -> None:
    data, shared = tmp_path / "data", tmp_path / "srv" / "shared"
    volume(shared)
    mounts = find_mounts(data, [shared])
    (shared / "team" / "project").mkdir(parents=True)
    (data / "workspaces" / "x").mkdir()
    for path in (shared, tmp_path / "srv", tmp_path, data / "workspaces", data):
        with pytest.raises(WorkspaceError, match=r"is or holds the volume|overlaps"):
            mounts.open_path(path, forbidden=[data])
    (data / "private").mkdir()
    with pytest.raises(WorkspaceError, match="overlaps"):
        mounts.open_path(data / "private", forbidden=[data])
    for path in (shared / "team", shared / "team" / "project", data / "workspaces" / "x"):
        mounts.open_path(path, forbidden=[data]).close()


def test_a_data_directory_within_a_volume_stays_closed(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    volume(shared)
    data = shared / "flynn"
    mounts = find_mounts(data, [shared])
    (data / "private").mkdir()
    with pytest.raises(WorkspaceError, match="overlaps"):
        mounts.open_path(data / "private", forbidden=[data])
    with pytest.raises(WorkspaceError, match=r"overlaps|holds the volume"):
        mounts.open_path(data, forbidden=[data])
    (data / "workspaces" / "x").mkdir()
    mounts.open_path(data / "workspaces" / "x", forbidden=[data]).close()


def test_places_are_of_the_innermost_volume_and_resolve_through_each_mount(tmp_path: Path) -> None:
    outer, inner = tmp_path / "mnt", tmp_path / "mnt" / "inner"
    marked_outer, marked_inner = volume(outer), volume(inner)
    mounts = find_mounts(tmp_path / "data", [outer, inner])
    assert mounts.place(outer / "a" / "b") == Place(marked_outer.id, "a/b")
    assert mounts.place(inner / "a") == Place(marked_inner.id, "a")
    assert mounts.own is not None
    assert mounts.host is not None
    assert mounts.place(tmp_path / "data" / "workspaces" / "x") == Place(mounts.own.id, "x")
    elsewhere = mounts.place(tmp_path / "elsewhere")
    assert elsewhere == Place(mounts.host.id, str(tmp_path / "elsewhere")[1:])
    for path in (outer / "a" / "b", inner / "a", tmp_path / "elsewhere"):
        assert mounts.resolve(mounts.place(path)) == path

    moved = Mounts(declared=(Volume(marked_outer.id, Path("/other/place")),))
    assert moved.resolve(mounts.place(outer / "a")) == Path("/other/place/a")
    assert moved.resolve(mounts.place(inner / "a")) is None
    with pytest.raises(Unavailable, match=f"'w' lies on the volume {marked_inner.id}"):
        moved.open(mounts.place(inner / "a"), "w")
    assert moved.resolve(Place(None, "/as/it/was")) == Path("/as/it/was")


def test_what_the_service_keeps_lies_on_the_volume_and_is_no_workspace(tmp_path: Path) -> None:
    data, shared = tmp_path / "data", tmp_path / "srv" / "shared"
    volume(shared)
    mounts = find_mounts(data, [shared])
    kept = {
        shared / "web": shared / ".flynn",
        data / "workspaces" / "x": data / "workspaces" / ".flynn",
        tmp_path / "elsewhere": data / ".flynn",
    }
    for path, private in kept.items():
        path.mkdir(parents=True)
        assert mounts.private(mounts.place(path), "w") == private
        (private / "inner").mkdir()
        for within in (private, private / "inner"):
            with pytest.raises(WorkspaceError, match=r"where the service keeps|overlaps"):
                mounts.open_path(within, forbidden=[data])
    (shared / ".flynn-like").mkdir()
    mounts.open_path(shared / ".flynn-like", forbidden=[data]).close()
    with pytest.raises(Unavailable, match="has not mounted"):
        find_mounts(tmp_path / "other", []).private(mounts.place(shared / "web"), "w")
    with pytest.raises(Unavailable, match="lies on no volume"):
        Mounts().private(Place(None, "/as/it/was"), "w")


def test_a_second_start_finds_the_same_volumes(tmp_path: Path) -> None:
    first = find_mounts(tmp_path / "data", [])
    again = find_mounts(tmp_path / "data", [])
    assert first.volumes == again.volumes
    assert len(first.volumes) == 2


def test_a_declared_volume_that_is_away_is_named_and_a_copy_refused(tmp_path: Path) -> None:
    shared, copy = tmp_path / "shared", tmp_path / "copy"
    volume(shared)
    mounts = find_mounts(tmp_path / "data", [shared, tmp_path / "unmounted"])
    assert [v.root for v in mounts.declared] == [shared]
    assert len(mounts.missing) == 1
    assert str(tmp_path / "unmounted") in mounts.missing[0]
    copy.mkdir()
    (copy / MARKER).write_text((shared / MARKER).read_text())
    with pytest.raises(WorkspaceError, match="one is a copy of the other"):
        find_mounts(tmp_path / "data", [shared, copy])
    with pytest.raises(WorkspaceError, match="names the data directory"):
        find_mounts(tmp_path / "data", [tmp_path / "data"])
    assert find_mounts(tmp_path / "data", [tmp_path / "data" / "workspaces"]).declared == ()


@pytest.mark.needs("root")
def test_only_an_empty_directory_of_roots_is_adopted(tmp_path: Path) -> None:
    empty, full, others = (tmp_path / name for name in ("empty", "full", "others"))
    for directory in (empty, full, others):
        directory.mkdir()
    (full / "file").write_text("")
    os.chown(others, 4321, 4321)
    assert [adopt_directory(path, 20_007) for path in (empty, full, others)] == [True, False, False]
    assert [path.stat().st_uid for path in (empty, full, others)] == [20_007, 0, 4321]
    assert empty.stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(full)
    with pytest.raises(OSError, match="link"):
        adopt_directory(tmp_path / "link", 20_007)
    make_directory(tmp_path / "made", 20_008)
    status = (tmp_path / "made").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (20_008, 20_008, 0o700)


def test_the_marker_cannot_be_named_from_a_workspace(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    volume(shared)
    (shared / "w").mkdir()
    with Workspace.open(shared / "w", grounds=[shared]) as workspace:
        for path in (f"../{MARKER}", str(shared / MARKER)):
            with pytest.raises(WorkspaceError, match=r"outside|not in the workspace"):
                workspace.locate(path)
