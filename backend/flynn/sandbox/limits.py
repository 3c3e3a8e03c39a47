"""What one sandbox may use: limits of each process, and sums over the tree that the supervisor watches."""

import resource
from dataclasses import dataclass
from typing import Final

_MIB: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bytes and counts. 0 turns a watched sum (`tree_*`, `disk_reserve`, `temporary`) off.

    `disk_reserve` must stay free on the disks of the workspace and of the private tmp, which holds at most
    `temporary`.

    DATA and not AS: node reserves far more address space than it uses. The sums are looked at four
    times a second, so a tree can exceed them for that long.
    """

    processes: int = 256
    file_size: int = 256 * _MIB
    data: int = 4096 * _MIB
    descriptors: int = 1024
    locked_memory: int = 8 * _MIB
    tree_processes: int = 512
    tree_memory: int = 6144 * _MIB
    disk_reserve: int = 256 * _MIB
    temporary: int = 1024 * _MIB

    def of_process(self, *, count_processes: bool) -> tuple[tuple[int, int], ...]:
        """Pairs for setrlimit(2).

        NPROC counts every process of the user, so it is set only where the user is the sandbox's alone.
        """
        return (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, self.file_size),
            (resource.RLIMIT_DATA, self.data),
            (resource.RLIMIT_NOFILE, self.descriptors),
            (resource.RLIMIT_MEMLOCK, self.locked_memory),
            (resource.RLIMIT_MSGQUEUE, 0),
            *(((resource.RLIMIT_NPROC, self.processes),) if count_processes else ()),
        )
