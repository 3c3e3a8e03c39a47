"""A tree as one packed file, and back: for files that hostile commands may have made.

Packing walks by descriptor, never through a symbolic link, opens nothing but regular files and leaves this
filesystem nowhere. Unpacking makes directories, regular files and links only, beneath its own descriptor,
never through a link, and no more than the catalogue announced. Owner, mode, time and link target are kept,
and empty directories; not kept are set-user bits of files, extended attributes and that two names were one
file. The same tree gives the same bytes.
"""

import gzip
import hashlib
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from flynn.domain.errors import FlynnError
from flynn.ops.backup.catalogue import Bundled

DEEPEST = 200
"""Directories within directories up to which a tree is packed."""

SHOWN = 20
"""Names of what was left out that are kept."""

_CHUNK = 1 << 20
_NANO = 1_000_000_000

Told = Callable[[int], None]
"""Called with the bytes of content that have just been packed or unpacked; may raise, to stop."""


class BundleDamaged(FlynnError):
    """A packed file is not what was packed; nothing is to be restored from it."""

    code = "bundle-damaged"
    title = "A backup is damaged"


class _Hashing:
    """A binary file that is read or written through, with its digest and length."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.length = 0

    def write(self, data: bytes) -> int:
        """Write all of `data`."""
        self.digest.update(data)
        self.length += len(data)
        return self._file.write(data)

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes."""
        data = self._file.read(size)
        self.digest.update(data)
        self.length += len(data)
        return data

    def flush(self) -> None:
        """Hand on what is buffered."""
        self._file.flush()


@dataclass
class _Packing:
    tar: tarfile.TarFile
    told: Told
    entries: int = 0
    content: int = 0
    skipped: list[str] = field(default_factory=list)
    left_out: int = 0

    def leave_out(self, name: str, reason: str) -> None:
        self.left_out += 1
        if len(self.skipped) < SHOWN:
            shown = name.encode("utf-8", "replace").decode()
            self.skipped.append(f"{shown} ({reason})")

    def add(self, parent: int, name: str, path: str, depth: int, device: int | None) -> None:
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return  # removed meanwhile
        kind = stat.S_IFMT(status.st_mode)
        if device is not None and status.st_dev != device:
            self.leave_out(path, "another filesystem")
        elif kind == stat.S_IFLNK:
            self._add_link(parent, name, path, status)
        elif kind == stat.S_IFREG:
            self._add_file(parent, name, path)
        elif kind != stat.S_IFDIR:
            self.leave_out(path, "no file, directory or link")
        elif depth >= DEEPEST:
            self.leave_out(path, "too deep")
        else:
            self._add_directory(parent, name, path, depth)

    def _add_link(self, parent: int, name: str, path: str, status: os.stat_result) -> None:
        header = _header(path, status, tarfile.SYMTYPE)
        try:
            header.linkname = os.readlink(name, dir_fd=parent)
        except OSError:
            return  # replaced meanwhile
        self.tar.addfile(header)
        self.entries += 1

    def _opened(self, parent: int, name: str, path: str, flags: int) -> int | None:
        try:
            return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        except FileNotFoundError:
            return None  # removed meanwhile
        except OSError as error:
            self.leave_out(path, error.strerror or "unreadable")
            return None

    def _add_file(self, parent: int, name: str, path: str) -> None:
        descriptor = self._opened(parent, name, path, os.O_RDONLY | os.O_NONBLOCK)
        if descriptor is None:
            return
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                self.leave_out(path, "replaced meanwhile")
                return
            header = _header(path, status, tarfile.REGTYPE)
            header.size = status.st_size
            self.tar.addfile(header, _Exactly(file, status.st_size, self.told))  # type: ignore[arg-type] # it reads, which is all that is asked
        self.entries += 1
        self.content += status.st_size

    def _add_directory(self, parent: int, name: str, path: str, depth: int) -> None:
        descriptor = self._opened(parent, name, path, os.O_RDONLY | os.O_DIRECTORY)
        if descriptor is None:
            return
        try:
            status = os.fstat(descriptor)
            self.tar.addfile(_header(path, status, tarfile.DIRTYPE))
            self.entries += 1
            for child in sorted(os.listdir(descriptor)):  # noqa: PTH208 # of a descriptor
                self.add(descriptor, child, f"{path}/{child}", depth + 1, status.st_dev)
        finally:
            os.close(descriptor)


class _Exactly:
    """Reads `size` bytes of a file, zeros where it has become shorter."""

    def __init__(self, file: IO[bytes], size: int, told: Told) -> None:
        self._file = file
        self._left = size
        self._told = told

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        data = self._file.read(wanted)
        self._left -= wanted
        self._told(wanted)
        return data + bytes(wanted - len(data))


def _header(path: str, status: os.stat_result, kind: bytes) -> tarfile.TarInfo:
    header = tarfile.TarInfo(path)
    header.type = kind
    header.mode = stat.S_IMODE(status.st_mode)
    header.uid, header.gid = status.st_uid, status.st_gid
    # To the nanosecond, which a float does not hold.
    header.mtime = int(status.st_mtime_ns // _NANO)
    header.pax_headers = {"mtime": f"{status.st_mtime_ns // _NANO}.{status.st_mtime_ns % _NANO:09d}"}
    return header


def pack(sources: Mapping[str, Path], target: Path, *, told: Told = lambda _bytes: None) -> Bundled:
    """Pack each of `sources`, a file or a directory, under its name; one that is not there is left out.

    Raises OSError. What is changed while it is read is kept as it was read.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        through = _Hashing(file)
        with (
            gzip.GzipFile("", "wb", compresslevel=3, fileobj=through, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK) as tar,
        ):
            packing = _Packing(tar, told)
            for name in sorted(sources):
                parent = os.open(sources[name].parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    packing.add(parent, sources[name].name, name, 0, None)
                finally:
                    os.close(parent)
        file.flush()
        os.fsync(file.fileno())
    if packing.left_out > SHOWN:
        packing.skipped.append(f"and {packing.left_out - SHOWN} more")
    return Bundled(
        file=target.name,
        bytes=through.length,
        sha256=through.digest.hexdigest(),
        entries=packing.entries,
        content_bytes=packing.content,
        skipped=tuple(packing.skipped),
    )


def unpack(source: Path, target: Path, expected: Bundled, *, told: Told = lambda _bytes: None) -> None:
    """Unpack into the directory `target`, which nobody else may write to meanwhile.

    Raises BundleDamaged when the file is not what was packed (some of it may have been unpacked then), and
    OSError. Owners are kept when we are root, else everything is ours.
    """
    root = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with source.open("rb") as file:
            through = _Hashing(file)
            try:
                _unpack(through, root, expected, told)
                while through.read(_CHUNK):
                    pass
            except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise BundleDamaged(f"{source.name} cannot be unpacked: {error}.") from error
        if through.digest.hexdigest() != expected.sha256:
            raise BundleDamaged(f"{source.name} has not the checksum that it was given when it was made.")
    finally:
        os.close(root)


def _unpack(through: _Hashing, root: int, expected: Bundled, told: Told) -> None:
    directories: list[tuple[tuple[str, ...], tarfile.TarInfo]] = []
    entries = content = 0
    with (
        gzip.GzipFile(fileobj=through, mode="rb") as packed,
        tarfile.open(fileobj=packed, mode="r|", bufsize=_CHUNK) as tar,
    ):
        for header in tar:
            entries += 1
            content += header.size
            if entries > expected.entries or content > expected.content_bytes:
                raise BundleDamaged(f"{expected.file} holds more than was packed.")
            parts = _parts(header.name)
            with _beneath(root, parts[:-1]) as parent:
                if header.isdir():
                    os.mkdir(parts[-1], 0o700, dir_fd=parent)
                    directories.append((parts, header))
                elif header.issym():
                    os.symlink(header.linkname, parts[-1], dir_fd=parent)
                    _finish(parent, parts[-1], header)
                elif header.isreg():
                    _write(tar, header, parent, parts[-1], told)
                else:
                    raise BundleDamaged(f"{header.name!r} is of a kind that is never packed.")
    if (entries, content) != (expected.entries, expected.content_bytes):
        raise BundleDamaged(f"{expected.file} holds less than was packed.")
    # Children change the times of their directories, so these come last and from the inside out.
    for parts, header in reversed(directories):
        with _beneath(root, parts[:-1]) as parent:
            _finish(parent, parts[-1], header)


def _parts(name: str) -> tuple[str, ...]:
    parts = tuple(name.split("/"))
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise BundleDamaged(f"{name!r} is no name within a backup.")
    return parts


@contextmanager
def _beneath(root: int, parts: tuple[str, ...]) -> Iterator[int]:
    """The directory `parts` beneath `root`, no link among them."""
    descriptor = os.dup(root)
    try:
        for part in parts:
            try:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                below = os.open(part, flags, dir_fd=descriptor)
            except (NotADirectoryError, FileNotFoundError) as error:
                raise BundleDamaged(f"{'/'.join(parts)!r} is no directory of the backup.") from error
            except OSError as error:
                if error.errno == 40:  # a link
                    raise BundleDamaged(f"{'/'.join(parts)!r} leads through a link.") from error
                raise
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _write(tar: tarfile.TarFile, header: tarfile.TarInfo, parent: int, name: str, told: Told) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, 0o600, dir_fd=parent)
    except FileExistsError as error:
        raise BundleDamaged(f"{header.name!r} is there twice.") from error
    content = tar.extractfile(header)
    with os.fdopen(descriptor, "wb") as file:
        while content is not None and (data := content.read(_CHUNK)):
            file.write(data)
            told(len(data))
    _finish(parent, name, header)


def _finish(parent: int, name: str, header: tarfile.TarInfo) -> None:
    """Owner, mode and time, in the order in which the one does not undo the other."""
    if os.geteuid() == 0:
        os.chown(name, header.uid, header.gid, dir_fd=parent, follow_symlinks=False)
    if not header.issym():
        mode = header.mode & (0o7777 if header.isdir() else 0o1777)
        os.chmod(name, mode, dir_fd=parent)
    seconds, _, rest = header.pax_headers.get("mtime", str(header.mtime)).partition(".")
    time = int(seconds) * _NANO + int(rest[:9].ljust(9, "0"))
    os.utime(name, ns=(time, time), dir_fd=parent, follow_symlinks=False)
