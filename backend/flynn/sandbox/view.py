"""What the inside of a sandbox sees of the host beside its workspace: named places, all read-only.

Never a home directory, the service's data, all of /etc, or a socket of the host. Links of a merged
/usr are taken as this distribution has them.
"""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flynn.domain.errors import SandboxUnavailable

_TOP_LEVEL: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC: Final = (
    *("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "nsswitch.conf"),
    *("os-release", "protocols", "services", "ssl/certs", "ssl/openssl.cnf", "ca-certificates.conf"),
)
_SYSTEM: Final = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr")
AS_ROOT: Final = "in root's workspaces (start the service as another user than root)"
"""Where a service that is root gives commands no uid of their own, and what helps."""

_PATH: Final = ("/usr/local/bin", "/usr/bin", "/bin")


@dataclass(frozen=True, slots=True)
class View:
    """Host places that are visible, at their own paths.

    `links` are (path, target) of a merged /usr. `service` are the places that hold the service's own
    code, which nothing inside may ever write. `toolchains` (the operator's) go to the front of PATH,
    `programs` to its end. `hidden` are kept out of sight even where they lie beneath something visible.
    """

    readonly: tuple[Path, ...]
    etc: tuple[Path, ...]
    links: tuple[tuple[Path, str], ...]
    service: tuple[Path, ...]
    toolchains: tuple[Path, ...]
    programs: tuple[Path, ...]
    hidden: tuple[Path, ...]
    interpreter: Path

    def environment(self, temporary: str) -> dict[str, str]:
        """The environment of every command, built from nothing; `temporary` is the private tmp inside."""
        return {
            "PATH": ":".join((*map(str, self.toolchains), *_PATH, *map(str, self.programs))),
            "HOME": temporary,
            "TMPDIR": temporary,
            "LANG": "C.UTF-8",
            "TERM": "dumb",
        }

    def check(self, workspace: Path) -> Path:
        """The workspace's real path; SandboxUnavailable when it cannot be one."""
        try:
            real = workspace.resolve(strict=True)
        except OSError as error:
            raise SandboxUnavailable(
                f"the workspace {workspace} cannot be opened: {error.strerror}"
            ) from error
        if real != workspace:
            # A workspace is named by its real path; a link is one that was put there since.
            raise SandboxUnavailable(
                f"the workspace {workspace} is not where it was: it leads through a link"
            )
        if not real.is_dir():
            raise SandboxUnavailable(f"the workspace {real} is not a directory")
        if real == Path("/") or any(real.is_relative_to(place) for place in _SYSTEM):
            raise SandboxUnavailable(f"{real} belongs to the system and cannot be a workspace")
        if any(real.is_relative_to(place) for place in self.service):
            raise SandboxUnavailable(f"{real} holds the service's own code and cannot be a workspace")
        return real


def look(*, hidden: Iterable[Path], extra_readonly: Iterable[Path] = ()) -> View:
    """Survey this host. `extra_readonly` are the operator's toolchains."""
    merged = [Path("/") / name for name in _TOP_LEVEL]
    links = tuple((path, str(path.readlink())) for path in merged if path.is_symlink())
    places = [Path("/usr"), *(path for path in merged if path.is_dir() and not path.is_symlink())]
    places += [store for store in (Path("/nix/store"), Path("/gnu/store")) if store.is_dir()]
    prefixes = _prefixes()
    extra = [path for path in extra_readonly if path.exists()]
    places += [*prefixes, *extra]
    home = _home()
    code = Path(__file__).resolve().parent.parent
    return View(
        readonly=tuple(_without_nested(p for p in places if not (home and home.is_relative_to(p)))),
        etc=tuple(path for name in _ETC if (path := Path("/etc") / name).exists()),
        links=links,
        service=tuple(dict.fromkeys((*prefixes, code))),
        toolchains=tuple(programs for path in extra if (programs := _programs_of(path)) is not None),
        programs=tuple(path for prefix in reversed(prefixes) if (path := prefix / "bin").is_dir()),
        hidden=tuple(_without_nested(path.resolve() for path in hidden)),
        interpreter=interpreter(),
    )


def _programs_of(toolchain: Path) -> Path | None:
    """Where a toolchain has its programs: in its `bin`, unless it is one itself."""
    programs = toolchain if toolchain.name == "bin" else toolchain / "bin"
    return programs if programs.is_dir() else None


def interpreter() -> Path:
    """The interpreter itself, not a virtual environment's link to it."""
    base: str = getattr(sys, "_base_executable", None) or sys.executable
    return Path(base).resolve()


def owner_to_become(workspace: Path) -> tuple[int, int] | None:
    """Whom to become: the workspace's owner, when the service is root and somebody else owns it."""
    if os.getuid() != 0:
        return None
    owner = workspace.stat()
    return None if owner.st_uid == 0 else (owner.st_uid, owner.st_gid)


def obstacle(path: Path, identity: tuple[int, int]) -> Path | None:
    """The first directory above `path` that does not let the (uid, gid) `identity` pass; None if all do."""
    uid, gid = identity
    for parent in reversed(path.resolve().parents):
        status = parent.stat()
        bit = 0o100 if status.st_uid == uid else 0o010 if status.st_gid == gid else 0o001
        if not status.st_mode & bit:
            return parent
    return None


def walkable(path: Path, identity: tuple[int, int]) -> bool:
    """Whether the (uid, gid) `identity` may pass through every directory above `path`."""
    return obstacle(path, identity) is None


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except RuntimeError:  # a uid without a name, as containers have
        return None


def _prefixes() -> list[Path]:
    """The running Python: its installation, and the virtual environment on top of it."""
    spelled = [Path(sys.base_prefix), interpreter().parent.parent, Path(sys.prefix)]
    both = [path for prefix in spelled for path in (prefix, prefix.resolve())]
    return [path for path in dict.fromkeys(both) if path not in (Path("/usr"), Path("/"))]


def _without_nested(places: Iterable[Path]) -> list[Path]:
    """Drop what lies beneath another place of the list, and duplicates."""
    unique = list(dict.fromkeys(places))
    return [p for p in unique if not any(p != other and p.is_relative_to(other) for other in unique)]
