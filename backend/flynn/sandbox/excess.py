"""What a tree may use together, looked at while it runs: processes, memory, disk.

Part of the launcher (see `flynn.sandbox.launcher`): the standard library only, and few modules of that.
Source: proc(5), statvfs(3).
"""

import os

from flynn.sandbox.holding import Holding
from flynn.sandbox.kernel import Fields, boot_time, one, open_place, owner_of
from flynn.sandbox.process_tree import descendants

_MIB = 2**20
_FILES_RESERVED = 10_000
"""Fewer on a small file system: a hundredth of what it can hold."""


class Excess:
    """Knows what the policy allows; `find` is asked a few times a second."""

    def __init__(self, policy: Fields) -> None:
        self._processes = int(one(policy, "processes") or 0)
        self._memory = int(one(policy, "memory") or 0)
        self._reserve = int(one(policy, "disk_reserve") or 0)
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
        pages = sum(_private_pages(pid) for pid in tree) if self._memory else 0
        if pages * os.sysconf("SC_PAGE_SIZE") > self._memory:
            return f"more than {self._memory // _MIB} MiB of memory together"
        for name, place in self._disks.items() if self._reserve else ():
            disk = os.statvfs(place)
            if disk.f_bavail * disk.f_frsize < self._reserve:
                return f"less than {self._reserve // _MIB} MiB are left on the disk of the {name}"
            if disk.f_favail < min(_FILES_RESERVED, disk.f_files // 100):
                return f"less than {_FILES_RESERVED} files can still be made on the disk of the {name}"
        now = boot_time()
        return next((said for holding in self._holdings if (said := holding.exceeded(tree, now))), None)


def _private_pages(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - pathlib costs milliseconds
            resident, shared = file.read().split()[1:3]
    except (OSError, ValueError):
        return 0
    return int(resident) - int(shared)
