"""Trees packed and unpacked: all comes back as it was, and nothing hostile reaches outside."""

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from flynn.ops.backup.bundle import DEEPEST, BundleDamaged, pack, unpack
from flynn.ops.backup.catalogue import Bundled
from tests.ops.backup_stage import plant, portrait


def packed(source: Path, target: Path) -> Bundled:
    return pack({"workspaces": source / "workspaces", ".flynn": source / ".flynn"}, target)


def test_a_tree_comes_back_to_the_nanosecond(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    plant(source)
    before = portrait(source / "workspaces")
    bundled = packed(source, tmp_path / "one.tar.gz")
    again = packed(source, tmp_path / "two.tar.gz")
    assert bundled.sha256 == again.sha256  # the same tree, the same bytes
    assert bundled.sha256 == hashlib.sha256((tmp_path / "one.tar.gz").read_bytes()).hexdigest()
    assert bundled.skipped == ()
    told: list[int] = []
    unpack(tmp_path / "one.tar.gz", target, bundled, told=told.append)
    assert portrait(target / "workspaces") == before
    assert len(before) > 10
    assert sum(told) == bundled.content_bytes


def test_what_is_no_file_directory_or_link_is_left_out_and_named(tmp_path: Path) -> None:
    place = tmp_path / "source" / "workspaces"
    place.mkdir(parents=True)
    os.mkfifo(place / "pipe")
    secret = tmp_path / "secret"
    secret.write_text("not in the workspace")
    (place / "link").symlink_to(secret)
    (place / "way").symlink_to(tmp_path)
    setuid = place / "root-shell"
    setuid.write_text("x")
    setuid.chmod(0o4755)
    deep = place
    for _ in range(DEEPEST + 5):
        deep /= "d"
    deep.mkdir(parents=True)
    bundled = packed(tmp_path / "source", tmp_path / "b.tar.gz")
    assert any(name.startswith("workspaces/pipe (") for name in bundled.skipped)
    assert any(name.endswith("(too deep)") for name in bundled.skipped)
    assert b"not in the workspace" not in gzip.decompress((tmp_path / "b.tar.gz").read_bytes())
    target = tmp_path / "target"
    target.mkdir()
    unpack(tmp_path / "b.tar.gz", target, bundled)
    assert (target / "workspaces" / "link").readlink() == secret
    assert (target / "workspaces" / "root-shell").stat().st_mode & 0o7777 == 0o755


def forged(path: Path, *headers: tuple[str, bytes, str, bytes]) -> Bundled:
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, link, content in headers:
            header = tarfile.TarInfo(name)
            header.type, header.linkname, header.size = kind, link, len(content)
            tar.addfile(header, io.BytesIO(content))
    return Bundled(
        file=path.name,
        bytes=path.stat().st_size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        entries=len(headers),
        content_bytes=sum(len(content) for *_, content in headers),
    )


FILE, LINK, HARD, DEVICE, DIRECTORY = (
    *(tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE),
)


@pytest.mark.parametrize(
    "headers",
    [
        [("../outside", FILE, "", b"x")],
        [("/absolute", FILE, "", b"x")],
        [("a/../../outside", FILE, "", b"x")],
        [("way", LINK, "..", b""), ("way/outside", FILE, "", b"x")],
        [("way", LINK, "../outside", b""), ("way", FILE, "", b"x")],
        [("hard", HARD, "../secret", b"")],
        [("device", DEVICE, "", b"")],
        [("missing/file", FILE, "", b"x")],
    ],
)
def test_a_forged_bundle_writes_nothing_outside(
    tmp_path: Path, headers: list[tuple[str, bytes, str, bytes]]
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "secret").write_text("mine")
    bundled = forged(tmp_path / "forged.tar.gz", *headers)
    with pytest.raises(BundleDamaged):
        unpack(tmp_path / "forged.tar.gz", target, bundled)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["forged.tar.gz", "secret", "target"]
    assert not Path("/absolute").exists()


def test_a_bundle_that_is_more_less_or_other_than_announced_is_refused(tmp_path: Path) -> None:
    bundled = forged(tmp_path / "b.tar.gz", ("d", DIRECTORY, "", b""), ("d/f", FILE, "", b"12345"))
    changes: tuple[dict[str, Any], ...] = (
        {"entries": 1},
        {"content_bytes": 4},
        {"entries": 3},
        {"sha256": "0" * 64},
    )
    for number, change in enumerate(changes):
        target = tmp_path / str(number)
        target.mkdir()
        with pytest.raises(BundleDamaged):
            unpack(tmp_path / "b.tar.gz", target, bundled.model_copy(update=change))
    whole = (tmp_path / "b.tar.gz").read_bytes()
    (tmp_path / "b.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut").mkdir()
    with pytest.raises(BundleDamaged):
        unpack(tmp_path / "b.tar.gz", tmp_path / "cut", bundled)
