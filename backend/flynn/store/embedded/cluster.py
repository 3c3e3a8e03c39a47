"""The embedded database's files: one owner at a time, a password, a cluster made whole or not at all.

DIRECTORY/lock        held by the service that owns the database; names its pid
DIRECTORY/password    of the database's roles, for the service's user alone
DIRECTORY/cluster/    PostgreSQL's data directory, of the account that runs the server
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import signal
import stat
import tempfile
from asyncio.subprocess import Process
from hashlib import sha256
from pathlib import Path

from flynn.domain.errors import ConfigurationError
from flynn.store.embedded.programs import MAJOR, Account, spawn

SUPERUSER = "postgres"

FREE_BYTES = 80_000_000
"""What a new cluster takes before it holds anything, and room to breathe."""

SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_LOCK = f"{SOCKET_NAME}.lock"
SOCKET_PATH_BYTES = 103
"""Longest path of a Unix socket that every platform takes (sun_path: 108 on Linux, 104 on macOS)."""

_DRAFT = "cluster.draft-"
_PENDING = "draft-of-password-"


class DataDirectory:
    """The directory, while we own it. Its methods block; only `initialise` is a coroutine."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.cluster = self.path / "cluster"
        self._lock: int | None = None

    def acquire(self) -> None:
        """Become the owner; the kernel ends that with the process, however it ends.

        Makes the directory if need be. Raises ConfigurationError when another process owns it, naming
        that, or when the directory cannot be made or written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._trouble(error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise ConfigurationError(
                f"The embedded database in {self.path} is in use by process {holder}: stop that one, or "
                "choose another data directory."
            ) from None
        except OSError as error:
            os.close(lock)
            raise self._trouble(error) from error
        self._lock = lock

    def release(self) -> None:
        """Stop being the owner."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def examine(self) -> os.stat_result | None:
        """Describe the cluster, or None when there is none yet; clears away half-made ones.

        Raises ConfigurationError when what is there is no cluster, or one of another major version.
        """
        for draft in self.path.glob(f"{_DRAFT}*"):
            shutil.rmtree(draft, ignore_errors=True)
        for secret in self.path.glob(f"{_PENDING}*"):
            secret.unlink(missing_ok=True)
        try:
            about = self.cluster.lstat()
            version = (self.cluster / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            if self.cluster.exists():
                raise ConfigurationError(
                    f"{self.cluster} is no PostgreSQL data directory (it has no PG_VERSION): move it away, "
                    "or restore it from a backup."
                ) from None
            return None
        except NotADirectoryError as error:
            raise self._trouble(error) from error
        except PermissionError:
            return self.cluster.lstat()  # somebody else's: `choose_account` says whose
        if version != MAJOR:
            raise ConfigurationError(
                f"{self.cluster} was made by PostgreSQL {version}, but this version brings PostgreSQL "
                f"{MAJOR}: dump it with PostgreSQL {version} and restore it into a new data directory."
            )
        return about

    def password(self, *, fresh: bool) -> str:
        """The password of the database's roles, made at random when there is none and `fresh`.

        Raises ConfigurationError when an existing cluster's password is gone, or it cannot be kept.
        """
        file = self.path / "password"
        try:
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                file.chmod(0o600)
            if password := file.read_text().strip():
                return password
        except FileNotFoundError:
            pass  # made below
        except OSError as error:
            raise self._trouble(error) from error
        if not fresh:
            raise ConfigurationError(
                f"{file} is missing, and with it the way into the database in {self.cluster}: restore it."
            )
        password = secrets.token_urlsafe(32)
        try:
            with tempfile.NamedTemporaryFile("w", dir=self.path, prefix=_PENDING, delete=False) as draft:
                draft.write(f"{password}\n")
                draft.flush()
                os.fsync(draft.fileno())
            Path(draft.name).replace(file)
        except OSError as error:
            raise self._trouble(error) from error
        return password

    async def initialise(self, programs: Path, account: Account, password: str, *, sync: bool) -> None:
        """Make a new cluster: in a draft that takes its name only when it is whole and on disk.

        Raises ConfigurationError when initdb fails, saying why in one line.
        """
        draft, reader = await asyncio.to_thread(self._prepare, account, password)
        try:
            process = await spawn(
                programs / "initdb",
                *("-D", here(draft)),
                *(f"--username={SUPERUSER}", "--auth=scram-sha-256", "--pwfile=/dev/stdin"),
                *("--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions", "--data-checksums"),
                *(() if sync else ("--no-sync",)),
                account=account,
                directory=draft,
                death_signal=signal.SIGKILL,
                stdin=reader,
            )
            try:
                output, _ = await process.communicate()
            finally:
                kill(process)
            if process.returncode != 0:
                raise ConfigurationError(
                    f"No embedded database can be made in {self.path}: "
                    f"{last_word(output.decode(errors='replace').splitlines())}"
                )
            await asyncio.to_thread(self._keep, draft)
        except OSError as error:
            raise self._trouble(error) from error
        finally:
            os.close(reader)
            await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)

    def _prepare(self, account: Account, password: str) -> tuple[Path, int]:
        """An empty draft that belongs to `account`, and a pipe that holds the password for it."""
        try:
            room = os.statvfs(self.path)
            if room.f_bavail * room.f_frsize < FREE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 # one place words it
            draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self.path))
            account.give(draft)
        except OSError as error:
            raise self._trouble(error) from error
        reader, writer = os.pipe()
        try:
            if account.foreign:
                os.fchown(reader, account.user, account.group)  # initdb opens /dev/stdin anew
            os.write(writer, f"{password}\n".encode())
        finally:
            os.close(writer)
        return draft, reader

    def _keep(self, draft: Path) -> None:
        draft.rename(self.cluster)
        directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def hand_over(self, account: Account) -> None:
        """Give a cluster that root restored to the account that will run it."""
        if account.foreign and self.cluster.lstat().st_uid != account.user:
            for folder, _, files in os.walk(self.cluster):
                account.give(Path(folder))
                for name in files:
                    account.give(Path(folder, name))

    def socket_directory(self, account: Account) -> Path:
        """Where the server's socket is: in the cluster, or, when that path is too long for one, in a
        directory for temporary files, private to `account` and named by a digest of the path.

        Raises ConfigurationError when something else already stands there.
        """
        if len(os.fsencode(self.cluster / SOCKET_NAME)) <= SOCKET_PATH_BYTES:
            return self.cluster
        digest = sha256(os.fsencode(self.cluster)).hexdigest()[:16]
        directory = Path(tempfile.gettempdir(), f"flynn-{digest}")
        try:
            with contextlib.suppress(FileExistsError):
                directory.mkdir(mode=0o700)
                account.give(directory)
            about = directory.lstat()
        except OSError as error:
            raise self._trouble(error) from error
        private = stat.S_ISDIR(about.st_mode) and stat.S_IMODE(about.st_mode) == 0o700
        if not private or about.st_uid != account.user:
            raise ConfigurationError(
                f"{directory} is needed for the database's socket but is not a private directory of user "
                f"{account.user}: remove it, or choose a data directory with a shorter path."
            )
        return directory

    def _trouble(self, error: OSError) -> ConfigurationError:
        reason = error.strerror or str(error)
        match error.errno:
            case errno.ENOSPC | errno.EDQUOT:
                remedy = f"free some space (a new database takes {FREE_BYTES // 1_000_000} MB)"
            case errno.EROFS | errno.EACCES | errno.EPERM:
                remedy = f"make it writable for user {os.geteuid()}"
            case _:
                remedy = "put it right"
        return ConfigurationError(
            f"The embedded database cannot use {error.filename or self.path} ({reason}): {remedy}, choose "
            "another data directory, or set DATABASE_URL."
        )


def here(directory: Path) -> str:
    """How a process that was started in `directory` names it.

    On Linux by a link that leads there whatever its parents permit; the server resolves no further.
    """
    link = Path("/proc/self/cwd")
    return str(link) if link.exists() else str(directory)


def kill(process: Process) -> None:
    """End a process that has outlived its use, if it still runs."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def last_word(lines: list[str]) -> str:
    """The line of a PostgreSQL program's output that says best why it ended."""
    said = [line.strip() for line in lines if line.strip()]
    for sign in ("PANIC:", "FATAL:", "error:", "could not", "ERROR:"):
        for line in reversed(said):
            if sign in line:
                return line.split(sign, 1)[1].strip() if sign.endswith(":") else line
    return said[-1] if said else "it said nothing"
