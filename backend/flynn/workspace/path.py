"""Paths as a model writes them, and the words for what can be wrong with one.

Inside the rooms a path is a string relative to the workspace, `/` between its parts, "." for the root.
"""

import errno
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager

from flynn.domain.errors import PathEscapes, WorkspaceError

_GIT_GUARDED = frozenset({"hooks", "config", "config.worktree", "commondir"})
_LONGEST = 4095
"""PATH_MAX without its NUL, limits.h."""


class PathMissing(WorkspaceError):
    """There is nothing at this path."""

    code = "path-missing"
    title = "There is nothing at this path"


class ContentChanged(WorkspaceError):
    """The file is not the one that the caller has seen."""

    code = "content-changed"
    title = "The file has changed"


def relative(path: str, roots: tuple[str, ...]) -> str:
    """`path` as seen from the workspace, which has the absolute names `roots`.

    A relative path is taken from the workspace's root. `..` is left to the kernel, which alone knows
    where a link leads. Raises PathEscapes for an absolute path elsewhere and WorkspaceError for
    a string that is no path. A slash at the end stays: it asks for a directory.
    """
    _check(path)
    tidy = "/".join(part for part in path.split("/") if part not in ("", "."))
    slash = "/" if tidy and path.endswith("/") else ""
    if not path.startswith("/"):
        return tidy + slash or "."
    for root in roots:
        if "/" + tidy == root:
            return "."
        if f"/{tidy}/".startswith(root + "/"):
            return tidy[len(root) :] + slash
    raise PathEscapes(
        f"{path} is not in the workspace. Use a path relative to the workspace's root, "
        f"or an absolute one beneath {roots[0]}."
    )


def protected(path: str) -> bool:
    """Whether writing to `path`, a resolved relative path, would change what git runs or trusts.

    True for a `.git` itself (a file of that name redirects git) and for `hooks`, `config`,
    `config.worktree` and `commondir` (which says where the others are) anywhere beneath one, in any
    case: some file systems do not tell cases apart.
    """
    parts = [part.casefold() for part in path.split("/")]
    if ".git" not in parts:
        return False
    below = parts[parts.index(".git") + 1 :]
    return parts[-1] == ".git" or not _GIT_GUARDED.isdisjoint(below)


def join(directory: str, name: str) -> str:
    """The relative path of `name` in `directory`."""
    return name if directory == "." else f"{directory}/{name}"


def split(path: str) -> tuple[str, str]:
    """The directory and the last name of a relative path; the name is empty where there is none."""
    directory, name = posixpath.split(path)
    return directory or ".", "" if name in (".", "..") else name


def refusal(error: OSError, path: str) -> WorkspaceError:
    """What the model is told about `error`, met while resolving or opening `path`."""
    match error.errno:
        case errno.EXDEV:
            return PathEscapes(
                f"{path} leads outside the workspace (through `..` or a symbolic link). "
                "Use a path that stays within it."
            )
        case errno.ENOENT:
            return PathMissing(f"{path} does not exist.")
        case errno.ENOTDIR:
            return WorkspaceError(f"A part of {path} is a file where the path needs a directory.")
        case errno.ELOOP:
            return WorkspaceError(f"The symbolic links of {path} lead in a circle.")
        case errno.ENAMETOOLONG:
            return WorkspaceError(f"The path {path[:80]}… has a part that is too long for the file system.")
        case errno.EACCES | errno.EPERM:
            return WorkspaceError(f"The file system does not permit access to {path}.")
        case errno.EAGAIN:
            return WorkspaceError(f"The directories of {path} keep changing; try again later.")
        case _:
            return WorkspaceError(f"{path}: {error.strerror}.")


@contextmanager
def refusing(path: str) -> Iterator[None]:
    """Raise what the file system refuses in here as the WorkspaceError of `refusal`."""
    try:
        yield
    except OSError as error:
        raise refusal(error, path) from error


def _check(path: str) -> None:
    if "\0" in path:
        raise WorkspaceError("A path cannot hold a NUL character.")
    try:
        encoded = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise WorkspaceError("The path holds half of a surrogate pair, which no file name can.") from None
    if len(encoded) > _LONGEST:
        raise WorkspaceError(f"The path is longer than {_LONGEST} bytes.")
