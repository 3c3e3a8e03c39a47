"""The service's own files: archived beside each base, and put back where they were.

Workspaces are made by commands that may be hostile: packing and unpacking are those of flynn.ops.backup,
which follow no link and open nothing but files. What is there is moved aside, never deleted.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from deploy.backup.keeping.place import TREES, Place
from flynn.domain.errors import FlynnError
from flynn.ops.backup.bundle import pack, unpack
from flynn.ops.backup.catalogue import Bundled
from flynn.ops.backup.exchange import exchange, prepare
from flynn.ops.backup.recovery import FILES

_ARCHIVE = "files.tar.gz"
_ABOUT = "files.json"


_DRAFT = ".draft-"

DRAFT_SECONDS = 86_400.0
"""How old a draft has to be before nobody can be at work on it."""


class NoFiles(FlynnError):
    """There is no archive of the files to a base."""

    code = "no-files"
    title = "The files of this backup are not here"


def archive(place: Place, base: str) -> Bundled:
    """Pack what is there now beside the base named `base`, unless it is. Raises OSError."""
    target = place.files / base
    if target.is_dir():
        return about(place, base)
    # Two may do it at a time, the loop and a command: each has a draft, and the first to end gives the name.
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=place.files))
    try:
        bundled = pack({name: place.data / name for name in TREES}, draft / _ARCHIVE)
        (draft / _ABOUT).write_text(bundled.model_dump_json(indent=1))
        os.sync()
        try:
            draft.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return about(place, base)


def about(place: Place, base: str) -> Bundled:
    """What was packed beside `base`. Raises NoFiles."""
    try:
        return Bundled.model_validate_json((place.files / base / _ABOUT).read_bytes())
    except (OSError, ValueError) as error:
        raise NoFiles(
            f"There is no archive of workspaces beside the base {base}; --keep-workspaces restores the "
            "database alone and leaves them as they are."
        ) from error


def taken_at(place: Place, base: str) -> datetime:
    """When the files beside `base` were packed. Raises OSError."""
    return datetime.fromtimestamp((place.files / base / _ABOUT).stat().st_mtime, UTC)


def has_archive(place: Place, base: str) -> bool:
    """Whether there is one beside `base`."""
    return (place.files / base / _ABOUT).is_file()


def thin_out(place: Place, bases: Iterable[str]) -> list[str]:
    """Remove the archives of bases that Barman has thrown away; their names. Raises OSError."""
    kept, now = set(bases), datetime.now(UTC).timestamp()
    gone = [
        found.name
        for found in place.files.iterdir()
        if found.name not in kept
        and not (found.name.startswith(_DRAFT) and now - found.stat().st_mtime < DRAFT_SECONDS)
    ]
    for name in gone:
        shutil.rmtree(place.files / name)
    return gone


def bring_back(
    place: Place, base: str, data: Path, told: Callable[[int, int], None] = lambda _done, _whole: None
) -> Path | None:
    """Put the archive beside `base` into the data directory `data`, which no service uses meanwhile.

    What is there is moved to `before-restore-TIME` in it; gives that, None when there was nothing. Raises
    FlynnError, OSError; then nothing was replaced, or the next call finishes it.
    """
    bundled = about(place, base)
    ground = prepare(data)
    target = ground / FILES
    target.mkdir(mode=0o700)
    done = 0

    def count(read: int) -> None:
        nonlocal done
        done += read
        told(done, bundled.content_bytes)

    unpack(place.files / base / _ARCHIVE, target, bundled, told=count)
    return exchange(data, TREES, now=datetime.now(UTC))
