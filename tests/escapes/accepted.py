"""What a backend lets out by design: announced by its report, and really so.

Each line names the attempt, the backend, the households it concerns, and words of the report's `missing`
that announce it. A test fails when the report no longer says so, and when the leak is no longer there.
"""

from dataclasses import dataclass
from typing import Final

from tests.escapes.attempt import HOUSEHOLDS, Household

_OUTSIDE: Final = "names and metadata outside can be seen, and those of the uid's own files changed"
_SEEN_OR_TOUCHED: Final = (
    *("read the host's accounts", "see that a file is there", "see a file's size and time"),
    *("see where the service's data lies", "go to a directory outside", "watch a directory"),
    *("see how full the disk is", "change a mode", "change a mode through a link", "set times"),
    *("change a mode of the directory", "change a mode by recursion", "change a group to one's own"),
    *("set an extended attribute", "set an access list", "change a mode with fchmodat2"),
    "change a mode through an O_PATH descriptor",
)
_PLANTED_IN_GIT: Final = (
    *("plant a hook", "plant a hook by a link", "plant a hook after renaming the hooks"),
    *("plant a monitor in git's configuration", "plant a directory of hooks"),
    *("plant an include in git's configuration", "write git's configuration itself"),
    *("replace git's configuration", "plant a configuration of the worktree"),
    *("put another repository in its place", "redirect the repository by a file"),
    *("redirect the repository by a link", "redirect the repository's common directory"),
    *("make the workspace itself a repository", "plant a hook in a nested repository"),
    "plant a hook for a submodule",
)
_PROCESSES: Final = "process limit (NPROC)"
_GIT: Final = "read-only .git/hooks and .git/config"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A leak that is known and announced."""

    attempt: str
    backend: str
    announced: str
    households: tuple[Household, ...] = HOUSEHOLDS


ACCEPTED: Final[tuple[Accepted, ...]] = (
    *(Accepted(attempt, "landlock", _OUTSIDE) for attempt in _SEEN_OR_TOUCHED),
    *(Accepted(attempt, "landlock", _GIT) for attempt in _PLANTED_IN_GIT),
    Accepted("start many threads", "bubblewrap", _PROCESSES, ("root",)),
    Accepted("start many threads", "landlock", _PROCESSES, ("root", "user")),
)


def accepted(attempt: str, backend: str, household: str) -> Accepted | None:
    """The line of the table that covers this trial."""
    for line in ACCEPTED:
        if line.attempt == attempt and line.backend == backend and household in line.households:
            return line
    return None
