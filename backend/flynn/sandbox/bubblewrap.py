"""The bubblewrap backend: namespaces and a private view of the file system, the launcher inside.

As root the outer process becomes the owner of the workspace first, so that files which a command
creates belong to that owner, and a workspace of an ordinary user never meets a uid 0. Where root itself
owns the workspace, the command runs as root's uid mapped to an ordinary uid inside, without any
capability; such files belong to root, like the workspace, and NPROC does not bind (the supervisor's
count of processes does).
Sources: bwrap(1), user_namespaces(7), pid_namespaces(7).
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command
from flynn.sandbox.launch import Launch, sealed_file
from flynn.sandbox.limits import Limits
from flynn.sandbox.policy import Policy
from flynn.sandbox.view import View, owner_to_become

_UID_FOR_ROOT: Final = 1000
_TMP: Final = "/tmp"  # noqa: S108 - the sandbox's own, private to the conversation
_SHM: Final = "/dev/shm"  # noqa: S108 - the sandbox's own tmpfs
_SHARED_MEMORY: Final = 256 * 2**20
_TEMPORARY: Final = 1024 * 2**20

_NAMESPACES: Final = ("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts")
_PROCESS: Final = ("--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL")
_READONLY_PROC: Final = (
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/proc/irq",
    "/proc/bus",
    "/proc/fs",
    "/proc/acpi",
)
_MASKED_PROC: Final = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/kmsg")
_GIT_READONLY: Final = ("hooks", "config", "config.worktree")
_DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts")


class Bubblewrap:
    """Builds launches for bubblewrap."""

    name = "bubblewrap"

    def __init__(
        self, *, program: Path, view: View, limits: Limits, seccomp: bytes, landlock: int, launcher: int
    ) -> None:
        self._program = program
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
        root = "process limit (NPROC) and a separate uid in workspaces that root owns: the service is root"
        return (*landlock, *((root,) if os.getuid() == 0 else ()))

    def prepare(self, command: Command, *, silence: float, errors: int | None) -> Launch:
        """Make the launch of `command`; SandboxUnavailable when its workspace cannot be served."""
        workspace = self._view.check(command.workspace)
        identity = owner_to_become(workspace)
        uid, gid = identity or (os.getuid(), os.getgid())
        inside = (uid or _UID_FOR_ROOT, gid or _UID_FOR_ROOT)
        own: list[int] = []
        try:
            policy = self._policy(command, workspace, uid=uid, silence=silence, errors=errors)
            own.append(sealed_file("policy", policy.encode()))
            arguments = [str(self._program), *_NAMESPACES, *_PROCESS]
            arguments += ["--uid", str(inside[0]), "--gid", str(inside[1]), "--hostname", "sandbox"]
            arguments += self._system(command, own, inside)
            arguments += self._mounts(command, workspace, own)
            arguments += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--"]
            arguments += [str(self._view.interpreter), "-I", "-S", f"/proc/self/fd/{self._launcher}"]
            arguments.append(str(own[0]))
            if identity and command.private_tmp:
                os.chown(command.private_tmp, *identity, follow_symlinks=False)
        except BaseException:
            for descriptor in own:
                os.close(descriptor)
            raise
        handed = (*own, self._launcher, *(() if errors is None else (errors,)))
        return Launch(argv=tuple(arguments), descriptors=handed, own=tuple(own), identity=identity)

    def _policy(
        self, command: Command, workspace: Path, *, uid: int, silence: float, errors: int | None
    ) -> Policy:
        write = [_TMP, _SHM, *([str(workspace)] if command.writable else [])]
        return Policy(
            arguments=command.argv,
            environment={**self._view.environment(_TMP), **command.environment},
            root=str(workspace),
            cwd=str(workspace / command.cwd),
            seccomp=self._seccomp,
            limits=self._limits.of_process(count_processes=uid != 0),
            landlock=self._landlock,
            read=("/",),
            write=tuple(write),
            device=tuple(f"/dev/{name}" for name in _DEVICES),
            deadline=command.deadline,
            silence=silence,
            errors=errors,
            processes=self._limits.tree_processes,
            memory=self._limits.tree_memory,
            disk_reserve=self._limits.disk_reserve,
        )

    def _system(self, command: Command, own: list[int], inside: tuple[int, int]) -> list[str]:
        """The fixed part of the view: /proc, /dev, /etc, /tmp."""
        view = ["--proc", "/proc", "--dev", "/dev"]
        for path in _READONLY_PROC:
            view += ["--ro-bind-try", path, path]
        for path in _MASKED_PROC:
            if Path(path).exists():
                view += ["--ro-bind", "/dev/null", path]
        view += ["--perms", "1777", "--size", str(_SHARED_MEMORY), "--tmpfs", _SHM]
        if command.private_tmp is None:
            view += ["--perms", "1777", "--size", str(_TEMPORARY), "--tmpfs", _TMP]
        else:
            view += ["--bind", _source(command.private_tmp, own), _TMP]
        view += ["--dir", "/run", "--dir", "/var", "--symlink", f"..{_TMP}", f"/var{_TMP}"]
        for link, target in self._view.links:
            view += ["--symlink", target, str(link)]
        for name, content in _etc(*inside).items():
            own.append(sealed_file(name, content.encode()))
            view += ["--file", str(own[-1]), f"/etc/{name}"]
        for place in self._view.etc:
            view += ["--ro-bind", str(place), str(place)]
        return view

    def _mounts(self, command: Command, workspace: Path, own: list[int]) -> list[str]:
        """Everything at its own path, parents before what lies beneath them."""

        def mount(option: str, path: Path) -> tuple[Path, list[str]]:
            return path, [option, _source(path, own), str(path)]

        mounts = [mount("--ro-bind", path) for path in (*self._view.readonly, *command.extra_readonly)]
        mounts.append(mount("--bind" if command.writable else "--ro-bind", workspace))
        seen = [path for path, _ in mounts]
        for path in self._view.hidden:
            if any(path.is_relative_to(place) for place in seen):
                mounts.append((path, ["--perms", "0500", "--size", "4096", "--tmpfs", str(path)]))
                mounts.append((path, ["--remount-ro", str(path)]))
        if command.writable:
            service = [path for path in self._view.service if path.is_relative_to(workspace)]
            mounts += [mount("--ro-bind", path) for path in service]
            mounts += _protect_git(workspace, own)
        mounts.sort(key=lambda mount: len(mount[0].parts))
        return [word for _, words in mounts for word in words]


def _source(path: Path, own: list[int]) -> str:
    """Name `path` through a descriptor: the outer process may not be allowed to walk to it itself."""
    try:
        own.append(os.open(path, os.O_PATH | os.O_CLOEXEC))
    except OSError as error:
        raise SandboxUnavailable(f"{path} cannot be shown in the sandbox: {error.strerror}") from error
    return f"/proc/self/fd/{own[-1]}"


def _etc(uid: int, gid: int) -> dict[str, str]:
    """Files of /etc that are made up, so that names of the host's users stay outside."""
    return {
        "passwd": f"root:x:0:0::/:/bin/false\nflynn:x:{uid}:{gid}::/tmp:/bin/bash\n",
        "group": f"root:x:0:\nflynn:x:{gid}:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    }


def _protect_git(workspace: Path, own: list[int]) -> list[tuple[Path, list[str]]]:
    """Make .git a mount point, which cannot be renamed, with hooks and config read-only inside it.

    What is missing is created first, else the command could create it. Everything is opened link by
    link without following any, since the workspace may hold links planted to lead bubblewrap astray.
    """
    mounts: list[tuple[Path, list[str]]] = []

    def mount(option: str, descriptor: int, path: Path) -> None:
        mounts.append((path, [option, f"/proc/self/fd/{descriptor}", str(path)]))

    root = os.open(workspace, os.O_PATH | os.O_DIRECTORY)
    own.append(root)
    git = _open_beneath(root, ".git", own)
    if git is None:
        return mounts
    mode = os.fstat(git).st_mode
    if stat.S_ISREG(mode):
        mount("--ro-bind", git, workspace / ".git")
    if not stat.S_ISDIR(mode):
        return mounts
    mount("--bind", git, workspace / ".git")
    if _open_beneath(git, "HEAD", own) is not None:
        _create_missing(git)
    for name in _GIT_READONLY:
        part = _open_beneath(git, name, own)
        if part is not None and not stat.S_ISLNK(os.fstat(part).st_mode):
            mount("--ro-bind", part, workspace / ".git" / name)
    return mounts


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
        os.chown("hooks", owner.st_uid, owner.st_gid, dir_fd=git, follow_symlinks=False)
    with suppress(FileExistsError):
        config = os.open("config", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=git)
        os.fchown(config, owner.st_uid, owner.st_gid)
        os.close(config)
