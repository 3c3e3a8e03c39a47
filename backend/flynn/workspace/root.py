"""A workspace: one directory tree, held by one O_PATH descriptor of its root.

Every path is resolved beneath that descriptor (flynn.workspace.beneath), so nothing outside the tree can
be named, however links and directories are swapped meanwhile. Writing is in flynn.workspace.replacement.
"""

import os
import pwd
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from flynn.domain.errors import PathEscapes, WorkspaceError
from flynn.workspace.beneath import Opener, best_opener
from flynn.workspace.beside import Beside
from flynn.workspace.entry import Entry
from flynn.workspace.path import PathMissing, refusal, relative
from flynn.workspace.quota import Quota
from flynn.workspace.volume import PRIVATE

_SYSTEM = ("bin", "boot", "dev", "etc", "home", "lib", "lib64", "opt", "proc", "run", "sbin", "srv", "sys")
_SHARED = ("/tmp", "/usr", "/var", "/var/cache", "/var/lib", "/var/log", "/var/spool", "/var/tmp")  # noqa: S108 - names to refuse, not a file of ours
_NEVER = frozenset({"/", "/root", *_SHARED, *(f"/{name}" for name in _SYSTEM)})
_NEVER_BENEATH = tuple(
    f"/{name}/" for name in ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr")
)
"""No sandbox takes a workspace from there."""
_GONE = " (deleted)"
_TRIES = 5
_FIRST_PERSON = 1000
"""Uids of people start here on Linux distributions (login.defs, UID_MIN)."""


class Workspace:
    """A directory tree that tools may touch. Safe to use from several threads; `close` it once."""

    def __init__(
        self,
        root: int,
        names: tuple[str, ...],
        opener: Opener,
        quota: Quota | None = None,
        beside: Beside | None = None,
    ) -> None:
        self._root = root
        self._names = names
        self._opener = opener
        self._quota = quota
        self.beside = beside or Beside()
        """What commands over it are given beside its files."""

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        forbidden: Iterable[Path] = (),
        grounds: Iterable[Path] = (),
        quota: Quota | None = None,
        opener: Opener | None = None,
        beside: Beside | None = None,
    ) -> "Workspace":
        """Open the workspace whose root is the absolute `path`.

        Refuses system directories, home directories, whatever contains one, and every path that is, holds
        or lies in one of `forbidden` (the service's own data, say). `grounds` are the roots of volumes: a
        workspace is and holds none of them, and one that lies beneath a ground may be in what is
        forbidden around that ground. What is written is held to `quota`. `opener` is chosen by what the
        kernel offers unless given. Raises WorkspaceError.
        """
        given = os.fspath(path)
        if not given.startswith("/"):
            raise WorkspaceError(f"The workspace {given} must be an absolute path.")
        try:
            root = os.open(given, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _unusable(given, error) from error
        try:
            canonical = _place(root)
            _permit(canonical, root, forbidden, grounds)
            also = "/" + "/".join(part for part in given.split("/") if part not in ("", "."))
            names = tuple(dict.fromkeys((canonical, also)))
            return cls(root, names, opener or best_opener(root), quota, beside)
        except OSError as error:
            os.close(root)
            raise _unusable(given, error) from error
        except BaseException:
            os.close(root)
            raise

    @classmethod
    def open_private(cls, scratch: Path, *, seen_as: str) -> "Workspace":
        """Open the scratch of a conversation, whose commands know it as `seen_as` or by its own path.

        For reading: nothing that is in it is anybody's work. Raises WorkspaceError.
        """
        try:
            root = os.open(scratch, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise _unusable(seen_as, error) from error
        try:
            # The longer names first: a scratch that lies beneath /tmp is not a part of itself.
            return cls(root, tuple(dict.fromkeys((_place(root), str(scratch), seen_as))), best_opener(root))
        except BaseException:
            os.close(root)
            raise

    def __enter__(self) -> "Workspace":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the root back; every later use raises WorkspaceError."""
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    @property
    def path(self) -> Path:
        """The absolute path of the root, links resolved, as it was when the workspace was opened."""
        return Path(self._names[0])

    @property
    def quota_bytes(self) -> int | None:
        """Most bytes that the workspace may take on the disk; None without a limit."""
        return self._quota.limit if self._quota else None

    def admit(self, path: str, more: int) -> None:
        """Raise QuotaExceeded when there is no room for `more` bytes of `path`. May measure the tree."""
        if self._quota is not None:
            self._quota.admit(self._held(), path, more)

    def full(self) -> bool:
        """Whether nothing more may be written here. May measure the tree: call it in a thread."""
        return self._quota is not None and self._quota.full(self._held())

    def worked_on(self) -> None:
        """Note that a command ran here: what the tree takes is not known any more."""
        if self._quota is not None:
            self._quota.meter.doubt(self._held())

    def grew(self, more: int) -> None:
        """Note that `more` bytes were written."""
        if self._quota is not None:
            self._quota.meter.note(self._held(), more)

    def relative(self, path: str) -> str:
        """`path` as seen from the root; see `flynn.workspace.path.relative`."""
        return relative(path, self._names)

    def locate(self, path: str, *, follow: bool = True) -> Entry:
        """Hold what `path` leads to; with `follow` false a symbolic link in the last place itself.

        Raises PathMissing, PathEscapes or another WorkspaceError.
        """
        wanted = self.relative(path)
        root = self._held()
        for _ in range(_TRIES):
            try:
                descriptor = self._opener(root, wanted, follow=follow)
                entry = self._entry(root, descriptor, wanted)
            except OSError as error:
                raise refusal(error, wanted) from error
            if entry is not None:
                return entry
        raise PathMissing(f"{wanted} is replaced again and again; try later.")

    def exists(self, path: str) -> bool:
        """Whether `path` leads to something in this workspace."""
        try:
            self.locate(path).close()
        except WorkspaceError:
            return False
        return True

    def _held(self) -> int:
        if self._root < 0:
            raise WorkspaceError("The workspace is closed.")
        return self._root

    def _entry(self, root: int, descriptor: int, wanted: str) -> Entry | None:
        """What `descriptor` holds, with its place from where the kernel says it and the root are now.

        None when it has been removed since, as an editor does that saves by renaming.
        """
        try:
            status = os.fstat(descriptor)
            base, name = _place(root), _place(descriptor)
            # Asked again: it may have gone since, and a name may end in these words.
            if name.endswith(_GONE) and os.fstat(descriptor).st_nlink == 0:
                os.close(descriptor)
                return None
            return Entry(descriptor, _below(base, name, wanted), status)
        except BaseException:
            os.close(descriptor)
            raise


def _place(descriptor: int) -> str:
    """The absolute path of what `descriptor` holds, as the kernel knows it now."""
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _below(base: str, name: str, wanted: str) -> str:
    if name == base:
        return "."
    if name.startswith(base + "/"):
        return name[len(base) + 1 :]
    raise PathEscapes(f"{wanted} was moved out of the workspace meanwhile.")


def _permit(root: str, descriptor: int, forbidden: Iterable[Path], grounds: Iterable[Path]) -> None:
    if root in _NEVER or root.startswith(_NEVER_BENEATH):
        raise WorkspaceError(
            f"{root} belongs to the system and cannot be a workspace; use a directory of its own."
        )
    for home in _homes():
        if home == root or home.startswith(root + "/"):
            raise WorkspaceError(
                f"{root} is or holds the home directory {home} and cannot be a workspace; "
                "use a directory within it."
            )
    around: list[str] = []
    for ground in map(os.path.realpath, grounds):
        if ground == root or ground.startswith(root + "/"):
            raise WorkspaceError(
                f"{root} is or holds the volume {ground} and cannot be a workspace; "
                "use a directory within the volume."
            )
        private = f"{ground}/{PRIVATE}"
        if root == private or root.startswith(private + "/"):
            raise WorkspaceError(
                f"{root} is where the service keeps what belongs to the volume {ground} and cannot be a "
                "workspace; use another directory within the volume."
            )
        if root.startswith(ground + "/"):
            around.append(ground)
    for path in forbidden:
        barred = os.path.realpath(path)
        if any(ground == barred or ground.startswith(barred + "/") for ground in around):
            continue
        if root == barred or barred.startswith(root + "/") or root.startswith(barred.rstrip("/") + "/"):
            raise WorkspaceError(
                f"{root} cannot be a workspace: it overlaps with {barred}, which tools must not reach."
            )
    if not os.access(f"/proc/self/fd/{descriptor}", os.R_OK | os.X_OK, effective_ids=True):
        raise WorkspaceError(f"The workspace {root} is not readable for this process.")


def _homes() -> set[str]:
    """The home directories of root, of people, and of the account this process runs as."""
    accounts = (
        account
        for account in pwd.getpwall()
        if account.pw_uid in (0, os.geteuid()) or account.pw_uid >= _FIRST_PERSON
    )
    return {os.path.realpath(account.pw_dir) for account in accounts} - {"/"}


def _unusable(path: str, error: OSError) -> WorkspaceError:
    match error:
        case FileNotFoundError():
            return WorkspaceError(f"The workspace {path} does not exist; create the directory first.")
        case NotADirectoryError():
            return WorkspaceError(f"The workspace {path} is not a directory.")
        case PermissionError():
            return WorkspaceError(f"The workspace {path} is not accessible for this process.")
        case _:
            return WorkspaceError(f"The workspace {path} cannot be opened: {error.strerror}.")
