"""How much a directory tree holds on its disk, against a bound; counted only when it may be too much.

The disk's own account costs a microsecond and bounds what can have come since the last count, as long as
nobody else empties the disk meanwhile. So there is a count at first, one whenever the account says that the
bound may be reached, and otherwise one as often as a small part of a processor allows.
Counting is for a thread of its own, since it can take long and the supervisor
must go on to hear its worker. Counted are allocated blocks of the directory's file system: hard links
once, and files that have lost their names but are open in the tree.

Part of the launcher (see `flynn.sandbox.launcher`): the standard library only, and few modules of that.
Source: statvfs(3), proc(5).
"""

import _thread
import os
import stat

from flynn.sandbox.kernel import SetUpFailed, boot_time, open_beneath, take_rights_to_files

_BLOCK = 512
_SLACK = 1 << 20
"""By how much a place that is too full already may grow without blame: logs, caches, a lock."""
_ENOTDIR, _ELOOP = 20, 40
_PAUSE, _PAUSE_FACTOR = 0.25, 4.0
"""Between two counts, in seconds at least and in times of the last count's duration."""
_ANYWAY, _ANYWAY_FACTOR = 0.5, 50.0
"""The same, for a count that the disk's account gives no reason for."""
_LONG_PATH = 2048
"""Bytes after which a path goes on from a descriptor: the kernel takes no more than 4096."""


class Holding:
    """Watches one place. A place that was too full before may be made emptier, not fuller."""

    def __init__(self, name: str, place: int, bound: int, owner: tuple[int, int] | None) -> None:
        """`place` is a descriptor of it; `owner` the (uid, gid) whose rights counting needs, if not ours."""
        self._name = name
        self._owner = owner
        self._place = place
        self._bound = bound
        self._free_at_start = self._free_at_count = self._free()
        self._counted: int | None = None
        self._counted_at_first: int | None = None
        self._hidden = False
        self._counting = False
        self._next = self._again = 0.0

    def exceeded(self, tree: set[int], now: float) -> str | None:
        """Say that there is too much, where it is known to be; begin to count where it may be."""
        free = self._free()
        counted, came = self._counted, self._free_at_count - free
        if counted is not None and not self._counting:
            least, at_first = counted, self._counted_at_first or 0
            if self._hidden:
                # What cannot be looked into is taken to hold all that the disk has lost meanwhile.
                least = max(least, at_first + self._free_at_start - free)
            # What was too much before may be made less, and only who makes it more is blamed.
            if least > self._bound and least - at_first > _SLACK:
                return f"{self._name} holds more than its quota of {_size(self._bound)}"
        due = counted is None or counted + came > self._bound or now >= self._again
        if not self._counting and now >= self._next and due:
            self._counting = True
            self._free_at_count = free
            _thread.start_new_thread(self._count, (tree,))
        return None

    def _free(self) -> int:
        disk = os.statvfs(self._place)
        return disk.f_bfree * disk.f_frsize

    def _count(self, tree: set[int]) -> None:
        began = boot_time()
        try:
            if self._owner is not None:
                take_rights_to_files(*self._owner)
            count = _Count(self._place)
            try:
                count.walk()
            finally:
                count.close()
            for pid in tree:
                count.nameless(pid)
            self._counted, self._hidden = count.total, count.hidden
        except (OSError, SetUpFailed):
            self._counted, self._hidden = self._counted or 0, True
        finally:
            ended = boot_time()
            if self._counted_at_first is None:
                self._counted_at_first = self._counted
            self._next = ended + max(_PAUSE, _PAUSE_FACTOR * (ended - began))
            self._again = ended + max(_ANYWAY, _ANYWAY_FACTOR * (ended - began))
            self._counting = False


class _Count:
    def __init__(self, place: int) -> None:
        self._root = place
        self._device = os.fstat(self._root).st_dev
        self._seen: set[int] = set()
        self._locked: list[tuple[int, int]] = []
        self._held: list[int] = []
        self.total = 0
        self.hidden = False
        """Whether something could not be looked into."""

    def walk(self) -> None:
        """Count everything that has a name."""
        ahead = [(self._root, b".")]
        while ahead:
            above, path = ahead.pop()
            try:
                directory = self._open(above, path)
            except FileNotFoundError:
                continue
            except OSError as error:
                # A link or a file by now: counted as such, or the next time.
                self.hidden = self.hidden or error.errno not in (_ELOOP, _ENOTDIR)
                continue
            if len(path) > _LONG_PATH:
                self._held.append(directory)
                above, path = directory, b"."
            try:
                ahead += [(above, path + b"/" + name) for name in self._list(directory)]
            finally:
                if above != directory:
                    os.close(directory)

    def _list(self, directory: int) -> list[bytes]:
        """Count what is in a directory; the names of directories in it."""
        names = []
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if status.st_dev == self._device:
                    self._add(status)
                    if stat.S_ISDIR(status.st_mode):
                        names.append(os.fsencode(entry.name))
        return names

    def close(self) -> None:
        """Lock again what had to be unlocked, unless its mode was changed meanwhile."""
        for descriptor, mode in self._locked:
            if stat.S_IMODE(os.fstat(descriptor).st_mode) == mode | stat.S_IRUSR | stat.S_IXUSR:
                os.chmod(f"/proc/self/fd/{descriptor}", mode)  # noqa: PTH101 - pathlib costs milliseconds
            os.close(descriptor)
        for descriptor in self._held:
            os.close(descriptor)

    def _open(self, above: int, path: bytes) -> int:
        try:
            return open_beneath(above, path, os.O_RDONLY | os.O_DIRECTORY)
        except PermissionError:
            self._unlock(above, path)
            return open_beneath(above, path, os.O_RDONLY | os.O_DIRECTORY)

    def _unlock(self, above: int, path: bytes) -> None:
        """Unlock a directory for this count: a command cannot hide what it holds by taking its own mode."""
        descriptor = open_beneath(above, path, os.O_PATH | os.O_DIRECTORY)
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        try:
            os.chmod(f"/proc/self/fd/{descriptor}", mode | stat.S_IRUSR | stat.S_IXUSR)  # noqa: PTH101 - as above
        except BaseException:
            os.close(descriptor)
            raise
        self._locked.append((descriptor, mode))

    def nameless(self, pid: int) -> None:
        """Count the files that a process holds open though they have no name any more."""
        try:
            for descriptor in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - pathlib costs milliseconds
                status = os.stat(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH116 - as above
                if stat.S_ISREG(status.st_mode) and not status.st_nlink and status.st_dev == self._device:
                    self._seen_once(status)
        except (FileNotFoundError, ProcessLookupError):
            return
        except OSError:
            self.hidden = True

    def _add(self, status: os.stat_result) -> None:
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            self._seen_once(status)
        else:
            self.total += status.st_blocks * _BLOCK

    def _seen_once(self, status: os.stat_result) -> None:
        if status.st_ino not in self._seen:
            self._seen.add(status.st_ino)
            self.total += status.st_blocks * _BLOCK


def _size(count: int) -> str:
    return f"{count // 2**20} MiB" if count >= 2**20 else f"{count} bytes"
