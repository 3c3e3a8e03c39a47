"""The bubblewrap backend: namespaces and a private view of the file system, the launcher inside.

Where the service is root and another uid owns the workspace, the command becomes that uid, so that what
it creates belongs to the workspace's owner. Where root itself owns the workspace, the command runs as
root's uid mapped to an ordinary uid inside, without any capability: what it creates belongs to root, like
the workspace, and NPROC does not bind (the supervisor's count of processes does).
Sources: bwrap(1), user_namespaces(7), pid_namespaces(7).
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command
from flynn.sandbox.kernel import open_exactly
from flynn.sandbox.launch import Launch, sealed_file
from flynn.sandbox.limits import Limits
from flynn.sandbox.policy import Policy
from flynn.sandbox.user_mapping import UserMapping
from flynn.sandbox.view import AS_ROOT, View, owner_to_become

_UID_FOR_ROOT: Final = 1000
_TMP: Final = "/tmp"  # noqa: S108 - the sandbox's own, private to the conversation
_TMP_BESIDE: Final = "/run/tmp"
_SHM: Final = "/dev/shm"  # noqa: S108 - the sandbox's own tmpfs
_SHARED_MEMORY: Final = 256 * 2**20
_TMPFS_AT_MOST: Final = 1024 * 2**20

_NAMESPACES: Final = ("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts")
_PROCESS: Final = (
    "--die-with-parent",
    "--new-session",
    "--as-pid-1",
    "--cap-drop",
    "ALL",
    "--hostname",
    "sandbox",
)
_SEALED: Final = ("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/")
_READONLY_PROC: Final = (
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/proc/irq",
    "/proc/bus",
    "/proc/fs",
    "/proc/acpi",
)
_MASKED_PROC: Final = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/kmsg")
Mount = tuple[Path, list[str]]
"""Where something is mounted, and bubblewrap's words for it."""

_GIT_READONLY: Final = ("hooks", "config", "config.worktree")
_DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts")


class Bubblewrap:
    """Builds launches for bubblewrap."""

    name = "bubblewrap"

    def __init__(
        self,
        *,
        program: Path,
        by_descriptor: bool,
        view: View,
        limits: Limits,
        seccomp: bytes,
        landlock: int,
        launcher: int,
    ) -> None:
        """`by_descriptor`: the program knows --bind-fd (0.10, and older ones with the fix of 2024)."""
        self._program = program
        self._by_descriptor = by_descriptor
        self._view = view
        self._limits = limits
        self._seccomp = seccomp
        self._landlock = landlock
        self._launcher = launcher

    @property
    def layers(self) -> tuple[str, ...]:
        """What keeps a command in."""
        landlock = (f"landlock (ABI {self._landlock})",) if self._landlock else ()
        return (
            *("user, pid, network, ipc and uts namespaces", "private view of the file system"),
            *("no capabilities", "no new privileges", *landlock, "seccomp", "resource limits", "supervisor"),
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """What does not."""
        landlock = () if self._landlock else ("landlock: the kernel has none",)
        planted = "proof against a .git that is exchanged for a link while a command starts: no --bind-fd"
        descriptors = () if self._by_descriptor else (planted,)
        root = f"a uid and a process limit (NPROC) of their own for commands {AS_ROOT}"
        # Of .git itself hooks, config and config.worktree are kept, not its commondir.
        git = "protection of git's settings in nested repositories and in planted ones"
        return (*landlock, *descriptors, git, *((root,) if os.getuid() == 0 else ()))

    def prepare(self, command: Command, *, silence: float, errors: int | None) -> Launch:
        """Make the launch of `command`; SandboxUnavailable when its workspace cannot be served."""
        workspace = self._view.check(command.workspace)
        identity = owner_to_become(workspace)
        uid, gid = identity or (os.getuid(), os.getgid())
        inside = (uid or _UID_FOR_ROOT, gid or _UID_FOR_ROOT)
        policy = self._policy(command, workspace, identity=identity, silence=silence, errors=errors).encode()
        own: list[int] = []
        try:
            own.append(sealed_file("policy", policy))
            view = [*self._system(command, own, inside), *self._mounts(command, workspace, own)]
            if identity and command.private_tmp:
                os.chown(command.private_tmp, *identity, follow_symlinks=False)
            mapping = UserMapping(*identity) if identity else None
        except BaseException:
            for descriptor in own:
                os.close(descriptor)
            raise
        mapped = mapping.words() if mapping else ["--uid", str(inside[0]), "--gid", str(inside[1])]
        launcher = [str(self._view.interpreter), "-I", "-S", f"/proc/self/fd/{self._launcher}", str(own[0])]
        return Launch(
            argv=(str(self._program), *_NAMESPACES, *_PROCESS, *mapped, *view, *_SEALED, "--", *launcher),
            descriptors=(
                *(*own, self._launcher),
                *(mapping.inside if mapping else ()),
                *(() if errors is None else (errors,)),
            ),
            own=tuple(own),
            mapping=mapping,
        )

    def _policy(
        self,
        command: Command,
        workspace: Path,
        *,
        identity: tuple[int, int] | None,
        silence: float,
        errors: int | None,
    ) -> Policy:
        temporary = self._temporary(command)
        write = [*dict.fromkeys((_TMP, temporary)), _SHM, *([str(workspace)] if command.writable else [])]
        return Policy(
            arguments=command.argv,
            environment={**self._view.environment(temporary), **command.environment},
            root=str(workspace),
            cwd=str(workspace / command.cwd),
            seccomp=self._seccomp,
            limits=self._limits.of_process(
                count_processes=identity is not None or os.getuid() != 0, largest_file=command.largest_file
            ),
            landlock=self._landlock,
            read=("/",),
            write=tuple(write),
            device=tuple(f"/dev/{name}" for name in _DEVICES),
            identity=identity,
            deadline=command.deadline,
            silence=silence,
            errors=errors,
            processes=self._limits.tree_processes,
            memory=self._limits.tree_memory,
            disk_reserve=self._limits.disk_reserve,
            # Without a private tmp of the conversation, /tmp is a tmpfs of a fixed size.
            temporary=None if command.private_tmp is None else temporary,
            temporary_size=self._limits.temporary,
            quota=command.quota_bytes or 0,
        )

    def _bind(self, option: str, descriptor: int, destination: Path) -> list[str]:
        """Show what `descriptor` is, whatever its path may lead to by now and whoever may walk there."""
        if self._by_descriptor:
            return [f"{option}-fd", str(descriptor), str(destination)]
        return [option, f"/proc/self/fd/{descriptor}", str(destination)]

    def _system(self, command: Command, own: list[int], inside: tuple[int, int]) -> list[str]:
        """The fixed part of the view: /proc, /dev, /etc, /tmp."""
        view = ["--proc", "/proc", "--dev", "/dev"]
        for path in _READONLY_PROC:
            view += ["--ro-bind-try", path, path]
        for path in _MASKED_PROC:
            if Path(path).exists():
                view += ["--ro-bind", "/dev/null", path]
        view += ["--perms", "1777", "--size", str(_SHARED_MEMORY), "--tmpfs", _SHM]
        view += ["--dir", "/run", "--dir", "/var"]
        temporary = self._temporary(command)
        if command.private_tmp is None or temporary != _TMP:
            size = str(self._limits.temporary or _TMPFS_AT_MOST)
            view += ["--perms", "1777", "--size", size, "--tmpfs", _TMP]
        if command.private_tmp is not None:
            view += self._bind("--bind", _open(command.private_tmp, own), Path(temporary))
        if not self._shows_beneath(command, f"/var{_TMP}"):
            view += ["--symlink", f"..{_TMP}", f"/var{_TMP}"]
        for link, target in self._view.links:
            view += ["--symlink", target, str(link)]
        for name, content in _etc(*inside).items():
            own.append(sealed_file(name, content.encode()))
            view += ["--file", str(own[-1]), f"/etc/{name}"]
        for place in self._view.etc:
            view += ["--ro-bind", str(place), str(place)]
        return view

    def _temporary(self, command: Command) -> str:
        """Where the private tmp is seen: as /tmp, unless something has to be mounted beneath that.

        Commands have written in it, so a link there could lead bubblewrap astray when it makes the place
        for the next mount.
        """
        beneath = command.private_tmp is not None and self._shows_beneath(command, _TMP)
        return _TMP_BESIDE if beneath else _TMP

    def _shows_beneath(self, command: Command, directory: str) -> bool:
        shown = (command.workspace, *self._view.readonly, *command.extra_readonly, *command.shown)
        return any(place.is_relative_to(directory) for place in shown)

    def _mounts(self, command: Command, workspace: Path, own: list[int]) -> list[str]:
        """Everything at its own path, parents before what lies beneath them."""

        def mount(option: str, path: Path) -> Mount:
            return path, self._bind(option, _open(path, own), path)

        mounts = [mount("--ro-bind", path) for path in (*self._view.readonly, *command.extra_readonly)]
        mounts += [
            (path, self._bind("--ro-bind", _open(path, own, exactly=True), path)) for path in command.shown
        ]
        place = _open(workspace, own, exactly=True)
        mounts.append(
            (workspace, self._bind("--bind" if command.writable else "--ro-bind", place, workspace))
        )
        seen = [path for path, _ in mounts]
        for path in self._view.hidden:
            if any(path.is_relative_to(place) for place in seen):
                mounts.append((path, ["--perms", "0500", "--size", "4096", "--tmpfs", str(path)]))
                mounts.append((path, ["--remount-ro", str(path)]))
        if command.writable:
            service = [path for path in self._view.service if path.is_relative_to(workspace)]
            mounts += [mount("--ro-bind", path) for path in service]
            mounts += [
                (path, self._bind(option, descriptor, path))
                for option, descriptor, path in _protected_git(place, workspace, own)
            ]
        mounts.sort(key=lambda mount: len(mount[0].parts))
        return [*_parents(seen), *(word for _, words in mounts for word in words)]


def _parents(places: list[Path]) -> list[str]:
    """Directories above `places`, made beforehand: bubblewrap makes them for its own uid alone."""
    above = {parent for place in places for parent in place.parents[:-1]}
    needed = [path for path in above if not any(path.is_relative_to(place) for place in places)]
    return [
        word
        for path in sorted(needed, key=lambda path: len(path.parts))
        for word in ("--perms", "0755", "--dir", str(path))
    ]


def _open(path: Path, own: list[int], *, exactly: bool = False) -> int:
    """Open a place that is to be shown; `exactly`: no name of its path may be a link."""
    try:
        own.append(open_exactly(str(path)) if exactly else os.open(path, os.O_PATH | os.O_CLOEXEC))
    except OSError as error:
        raise SandboxUnavailable(f"{path} cannot be shown in the sandbox: {error.strerror}") from error
    return own[-1]


def _etc(uid: int, gid: int) -> dict[str, str]:
    """Files of /etc that are made up, so that names of the host's users stay outside."""
    return {
        "passwd": f"root:x:0:0::/:/bin/false\nflynn:x:{uid}:{gid}::/tmp:/bin/bash\n",
        "group": f"root:x:0:\nflynn:x:{gid}:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    }


def _protected_git(place: int, workspace: Path, own: list[int]) -> list[tuple[str, int, Path]]:
    """Make .git a mount point, which cannot be renamed, with hooks and config read-only inside it.

    What is missing is created first, else the command could create it. Everything is opened name by
    name without following a link, since the workspace may hold links planted to lead bubblewrap astray.
    Returns option, source and destination of each mount.
    """
    git = _open_beneath(place, ".git", own)
    if git is None:
        return []
    mode = os.fstat(git).st_mode
    if stat.S_ISREG(mode):
        return [("--ro-bind", git, workspace / ".git")]
    if not stat.S_ISDIR(mode):
        return []
    if _open_beneath(git, "HEAD", own) is not None:
        _create_missing(git)
    parts = [(name, _open_beneath(git, name, own)) for name in _GIT_READONLY]
    return [
        ("--bind", git, workspace / ".git"),
        *(
            ("--ro-bind", part, workspace / ".git" / name)
            for name, part in parts
            if part is not None and not stat.S_ISLNK(os.fstat(part).st_mode)
        ),
    ]


def _open_beneath(directory: int, name: str, own: list[int]) -> int | None:
    try:
        own.append(os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory))
    except FileNotFoundError:
        return None
    return own[-1]


def _create_missing(git: int) -> None:
    owner = os.fstat(git)
    with suppress(FileExistsError):
        os.mkdir("hooks", dir_fd=git)
        hooks = os.open("hooks", os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=git)
        os.fchown(hooks, owner.st_uid, owner.st_gid)
        os.close(hooks)
    with suppress(FileExistsError):
        config = os.open("config", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=git)
        os.fchown(config, owner.st_uid, owner.st_gid)
        os.close(config)
