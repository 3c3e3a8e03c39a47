"""The exchange: what was recovered takes the place of what is there, which is moved aside, never deleted.

DATA/.restoring/                 what is being recovered; worth nothing until the order below is there
DATA/.restoring/order.json       the moves: from the moment it is there, they will be made
DATA/before-restore-TIME/        what was there, under the same names

A kill before the order leaves the old state, one after it the new: `complete`, which whoever opens the data
directory calls first, makes the moves that are still to be made. Each is one rename.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from flynn.domain.errors import ConfigurationError
from flynn.ops.backup.base import CLUSTER, PASSWORD
from flynn.ops.backup.catalogue import write
from flynn.ops.backup.recovery import FILES, POSTGRES
from flynn.ops.backup.segments import sync

PLACE = ".restoring"
ASIDE = "before-restore-"
LINE = f"{POSTGRES}/line"
"""Where the cluster's line is noted, in the data directory. A restored cluster begins another."""

_ORDER = "order.json"

Reached = Callable[[str], None]
"""Told of each step that is done; a drill lets the process die there."""


class Move(BaseModel):
    """`name` of the data directory is replaced by `source` of the place, if there is one."""

    model_config = ConfigDict(frozen=True)

    name: str
    source: str | None


class Order(BaseModel):
    """What is to be moved, and the directory that takes what was there."""

    model_config = ConfigDict(frozen=True)

    aside: str
    moves: tuple[Move, ...]


def prepare(data: Path) -> Path:
    """An empty place for a recovery in the data directory. Finishes an earlier exchange first."""
    complete(data)
    place = data / PLACE
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700, parents=True)
    return place


def replaced(data: Path, trees: tuple[str, ...]) -> list[str]:
    """What of the data directory an exchange would move aside: the database, and `trees` that are there."""
    return [name for name in (f"{POSTGRES}/{CLUSTER}", *trees) if os.path.lexists(data / name)]


def check(data: Path, trees: tuple[str, ...]) -> None:
    """Raise ConfigurationError when something of `data` cannot be moved: a mount has to stay where it is."""
    for name in (POSTGRES, f"{POSTGRES}/{CLUSTER}", *trees):
        path = data / name
        if path.is_symlink() or path.is_mount():
            raise ConfigurationError(
                f"{path} is a mount or a link, which cannot be moved aside: restore into another directory "
                "with --into."
            )


def exchange(
    data: Path, trees: tuple[str, ...], *, now: datetime, reached: Reached = lambda _step: None
) -> Path | None:
    """Put what lies in the place of `data` where it belongs; gives where the old went, None without any.

    `trees` are the files and directories beside the database that are replaced, even by nothing.
    """
    place = data / PLACE
    moves = [
        Move(name=f"{POSTGRES}/{CLUSTER}", source=f"{POSTGRES}/{CLUSTER}"),
        Move(name=f"{POSTGRES}/{PASSWORD}", source=f"{POSTGRES}/{PASSWORD}"),
        Move(name=LINE, source=None),
    ]
    for name in trees:
        source = f"{FILES}/{name}"
        moves.append(Move(name=name, source=source if os.path.lexists(place / source) else None))
    aside = f"{ASIDE}{now:%Y%m%dT%H%M%SZ}"
    while os.path.lexists(data / aside):
        aside += "x"
    os.sync()  # all that was recovered is on the disk before anything depends on it
    reached("recovered")
    write(place / _ORDER, Order(aside=aside, moves=tuple(moves)))
    reached("ordered")
    complete(data, reached=reached)
    return data / aside if (data / aside).is_dir() else None


def complete(data: Path, *, reached: Reached = lambda _step: None) -> bool:
    """Make the moves that an exchange has still to make; whether there was one.

    The caller owns the data directory. Raises ConfigurationError when they cannot be made.
    """
    place = data / PLACE
    try:
        order = Order.model_validate_json((place / _ORDER).read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValidationError) as error:
        raise ConfigurationError(
            f"{place / _ORDER} cannot be read, which says how a restored backup takes its place: "
            "put it right, or move it away together with its directory to keep what was there before."
        ) from error
    try:
        for move in order.moves:
            _make(data, place, data / order.aside, move, reached)
        # The last: until then it can all be done again, and is.
        (place / _ORDER).unlink()
        sync(place)
    except OSError as error:
        raise ConfigurationError(
            f"A restored backup cannot take its place ({error.filename}: {error.strerror}): put that right "
            "and start again."
        ) from error
    reached("moved")
    shutil.rmtree(place, ignore_errors=True)
    return True


def _make(data: Path, place: Path, aside: Path, move: Move, reached: Reached) -> None:
    there, kept = data / move.name, aside / move.name
    source = place / move.source if move.source is not None else None
    if source is not None and not os.path.lexists(source):
        return  # it was made before the kill
    if os.path.lexists(there) and not os.path.lexists(kept):
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        there.rename(kept)
        _sync_all(there.parent, kept.parent)
        reached(f"aside {move.name}")
    if source is not None:
        there.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        source.rename(there)
        _sync_all(there.parent, source.parent)
        reached(f"placed {move.name}")


def _sync_all(*directories: Path) -> None:
    for directory in directories:
        with suppress(FileNotFoundError):
            sync(directory)
