"""The Landlock backend: the launcher alone, for containers that refuse user namespaces.

Weaker than bubblewrap, and reports say so: Landlock does not hide names or metadata outside, /tmp is
not private (TMPDIR is), and a workspace's .git cannot be protected from within. There is no network at
all, loopback included, and no System V or POSIX shared memory. Changes of metadata, which Landlock does
not restrict, go through the supervisor (see `flynn.sandbox.metadata`); extended attributes cannot be set.

A service that is root becomes the owner of the workspace for the command. Where that owner is root too,
or the service is not root, the command keeps the service's uid without any capability, and only a kernel
whose Landlock scopes signals (ABI 6, Linux 6.12) keeps it from killing the service.
"""

import os
from pathlib import Path
from typing import Final

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command
from flynn.sandbox.launch import Launch, sealed_file
from flynn.sandbox.limits import Limits
from flynn.sandbox.policy import Policy
from flynn.sandbox.scratch import temporary_directory
from flynn.sandbox.seccomp import Metadata, asked, assemble, encode
from flynn.sandbox.system_calls import Architecture
from flynn.sandbox.view import AS_ROOT, View, obstacle, owner_to_become

ABI_WITH_SCOPES: Final = 6
_PROC: Final = (
    *("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "uptime", "version"),
    *(
        "sys/vm/overcommit_memory",
        "sys/kernel/osrelease",
        "sys/kernel/ngroups_max",
        "sys/kernel/cap_last_cap",
    ),
)
_ETC: Final = ("/etc/passwd", "/etc/group")
_GIT: Final = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
"""Files that are there but refused make git fail, where files that are absent do not."""
_METADATA: Final[tuple[Metadata, ...]] = ("asked", "refused")
_DEVICES: Final = ("null", "zero", "full", "random", "urandom")


class Landlock:
    """Builds launches for the launcher alone."""

    name = "landlock"

    def __init__(
        self,
        *,
        private_root: Path,
        view: View,
        limits: Limits,
        architecture: Architecture,
        abi: int,
        launcher: int,
    ) -> None:
        self._private_root = private_root
        self._view = view
        self._limits = limits
        asking, refusing = (
            encode(assemble(architecture, network=False, metadata=metadata)) for metadata in _METADATA
        )
        self._seccomp, self._seccomp_refusing = asking, refusing
        self._asked = asked(architecture)
        self._abi = abi
        self._launcher = launcher

    @property
    def layers(self) -> tuple[str, ...]:
        """What keeps a command in."""
        scopes = ("scoped signals and abstract sockets",) if self._abi >= ABI_WITH_SCOPES else ()
        return (
            *(f"landlock (ABI {self._abi})", *scopes, "no sockets", "no capabilities", "no new privileges"),
            *("seccomp", "resource limits", "supervisor"),
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """What does not."""
        root = os.getuid() == 0
        uid = AS_ROOT if root else "which have the service's"
        scopes = () if self._abi >= ABI_WITH_SCOPES else ("scoped signals",)
        return (
            f"a uid and a process limit (NPROC) of their own for commands {uid}",
            *scopes,
            "private view (names and metadata outside can be seen, not changed)",
            "private /tmp (TMPDIR is)",
            *(("a TMPDIR that lasts, where a workspace's owner cannot walk to it",) if root else ()),
            "read-only .git/hooks and .git/config",
            "loopback network inside",
        )

    def prepare(self, command: Command, *, silence: float, errors: int | None) -> Launch:
        """Make the launch of `command`.

        Raises SandboxUnavailable when its workspace cannot be served, also where bubblewrap could: rules
        of Landlock only add, so the service's code or data beneath the workspace cannot be taken out.
        """
        workspace = self._view.check(command.workspace)
        identity = owner_to_become(workspace)
        if identity is None and self._abi < ABI_WITH_SCOPES:
            raise SandboxUnavailable(
                f"Landlock ABI {self._abi} cannot keep a command from signalling this service: "
                f"run as root with a workspace that another uid owns, or on Linux 6.12 or newer ({workspace})"
            )
        if identity is None and os.getuid() == 0:
            _reachable_without_capabilities(workspace)
        read = self._readable(command, workspace)
        temporary, scratch = temporary_directory(command, identity, self._private_root)
        policy = Policy(
            arguments=command.argv,
            environment={**self._view.environment(str(temporary)), **_GIT, **command.environment},
            root=str(workspace),
            cwd=str(workspace / command.cwd),
            seccomp=self._seccomp,
            limits=self._limits.of_process(
                count_processes=identity is not None, largest_file=command.largest_file
            ),
            landlock=self._abi,
            read=tuple(map(str, read)),
            shown=tuple(map(str, command.shown)),
            write=(str(temporary), *((str(workspace),) if command.writable else ())),
            device=tuple(f"/dev/{name}" for name in _DEVICES),
            isolate=True,
            identity=identity,
            deadline=command.deadline,
            silence=silence,
            errors=errors,
            processes=self._limits.tree_processes,
            memory=self._limits.tree_memory,
            disk_reserve=self._limits.disk_reserve,
            asked=self._asked,
            seccomp_refusing=self._seccomp_refusing,
            temporary=str(temporary),
            temporary_size=self._limits.temporary,
            quota=command.quota_bytes or 0,
        )
        sealed = sealed_file("policy", policy.encode())
        interpreter = str(self._view.interpreter)
        return Launch(
            argv=(interpreter, "-I", "-S", f"/proc/self/fd/{self._launcher}", str(sealed)),
            descriptors=(sealed, self._launcher, *(() if errors is None else (errors,))),
            own=(sealed,),
            scratch=scratch,
        )

    def _readable(self, command: Command, workspace: Path) -> tuple[Path, ...]:
        places = (*self._view.readonly, *command.extra_readonly, workspace)
        seen = (*(place.resolve() for place in places), *command.shown)
        for path in self._view.hidden:
            if any(path.is_relative_to(place) for place in seen):
                raise SandboxUnavailable(
                    f"the service's data in {path} lies beneath what a command may read; move one of them"
                )
        for path in self._view.service if command.writable else ():
            if path.is_relative_to(workspace):
                raise SandboxUnavailable(
                    f"the service's own code in {path} lies beneath the workspace; the landlock backend "
                    "cannot keep it read-only there, bubblewrap can"
                )
        names = (*_ETC, *(f"/proc/{name}" for name in _PROC))
        return (*places, *self._view.etc, *(path for path in map(Path, names) if path.exists()))


def _reachable_without_capabilities(workspace: Path) -> None:
    """Refuse a workspace of root's that lies in a directory which another uid keeps to itself."""
    closed = obstacle(workspace, (0, 0))
    if closed is not None:
        raise SandboxUnavailable(
            "the service is root, and its commands, which have no capabilities, cannot walk through "
            f"{closed} of uid {closed.stat().st_uid}: run the service as that uid, or chmod a+x {closed}"
        )
