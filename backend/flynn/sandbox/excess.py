"""What a tree may use together, looked at while it runs: processes, memory, disk.

Part of the launcher (see `flynn.sandbox.launcher`): the standard library only, and few modules of that.
Source: proc(5), statvfs(3).
"""

import os

from flynn.sandbox.holding import Holding
from flynn.sandbox.kernel import Fields, boot_time, one, open_place, owner_of
from flynn.sandbox.process_tree import descendants

_MIB = 2**20
_SHARES = (b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")
_FILES_RESERVED = 10_000
"""Fewer on a small file system: a hundredth of what it can hold."""


class Excess:
    """Knows what the policy allows; `find` is asked a few times a second."""

    def __init__(self, policy: Fields) -> None:
        self._processes = int(one(policy, "processes") or 0)
        self._memory = int(one(policy, "memory") or 0)
        self._reserve = int(one(policy, "disk_reserve") or 0)
        self._alone = os.getpid() == 1
        root = open_place(policy, policy["root"][0], exactly=True)
        tmp = one(policy, "temporary")
        temporary = open_place(policy, tmp, exactly=False) if tmp else None
        self._disks = {"workspace": root}
        if temporary is not None and os.fstat(temporary).st_dev != os.fstat(root).st_dev:
            self._disks["private tmp"] = temporary
        bounds = (
            ("the workspace", root, int(one(policy, "quota") or 0)),
            ("the private tmp", temporary, int(one(policy, "temporary_size") or 0)),
        )
        owner = owner_of(policy)
        self._holdings = [
            Holding(name, place, bound, owner) for name, place, bound in bounds if place is not None and bound
        ]

    def find(self) -> str | None:
        """Say what the tree uses too much of, all its processes together."""
        tree = descendants(os.getpid())
        if self._processes and len(tree) > self._processes:
            return f"more than {self._processes} processes at once"
        # As NPROC does where it binds: it counts threads too.
        if self._processes and sum(map(_threads, tree)) > self._processes:
            return f"more than {self._processes} threads at once"
        if self._memory and self._uses_too_much(tree):
            return f"more than {self._memory // _MIB} MiB of memory together"
        for name, place in self._disks.items() if self._reserve else ():
            disk = os.statvfs(place)
            if disk.f_bavail * disk.f_frsize < self._reserve:
                return f"less than {self._reserve // _MIB} MiB are left on the disk of the {name}"
            if disk.f_favail < min(_FILES_RESERVED, disk.f_files // 100):
                return f"less than {_FILES_RESERVED} files can still be made on the disk of the {name}"
        now = boot_time()
        return next((said for holding in self._holdings if (said := holding.exceeded(tree, now))), None)

    def _uses_too_much(self, tree: set[int]) -> bool:
        segments = _segments() if self._alone else 0
        # Resident pages are cheap to ask for, and count what is shared again and again.
        at_most = sum(map(_resident, tree)) + segments
        return at_most > self._memory and sum(map(_own_share, tree)) + segments > self._memory


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs milliseconds
            return file.read()
    except OSError:
        return b""


def _threads(pid: int) -> int:
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(fields[17]) if len(fields) > 17 else 0


def _resident(pid: int) -> int:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else 0


def _own_share(pid: int) -> int:
    """Bytes of a process that are in no file, with its part of what it shares; else all that is resident."""
    parts = [line.split() for line in _read(f"/proc/{pid}/smaps_rollup").splitlines()]
    shares = [int(part[1]) * 1024 for part in parts if part[0] in _SHARES]
    return sum(shares) if len(shares) == len(_SHARES) else _resident(pid)


def _segments() -> int:
    """Bytes of System V shared memory, attached or not, in this namespace."""
    rows = [line.split() for line in _read("/proc/sysvipc/shm").splitlines()[1:]]
    return sum(int(row[14]) for row in rows if len(row) > 14)
