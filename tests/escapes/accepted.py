"""What a backend lets out by design: announced by its report, and really so.

Each line names the attempt, the backend, the households it concerns, and words of the report's `missing`
that announce it. A test fails when the report no longer says so, and when the leak is no longer there.
"""

from dataclasses import dataclass
from typing import Final

from tests.escapes.attempt import HOUSEHOLDS, Household

_OUTSIDE: Final = "names and metadata outside can be seen"
_SEEN: Final = (
    *("read the host's accounts", "see that a file is there", "see a file's size and time"),
    *("see where the service's data lies", "go to a directory outside", "watch a directory"),
    "see how full the disk is",
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
_PLANTED_AROUND_GIT: Final = (
    *("redirect the repository's common directory", "make the workspace itself a repository"),
    *("plant a hook in a nested repository", "plant a hook for a submodule"),
)
_GIT: Final = "read-only .git/hooks and .git/config"
_AROUND_GIT: Final = "protection of git's settings in nested repositories and in planted ones"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A leak that is known and announced."""

    attempt: str
    backend: str
    announced: str
    households: tuple[Household, ...] = HOUSEHOLDS


ACCEPTED: Final[tuple[Accepted, ...]] = (
    *(Accepted(attempt, "landlock", _OUTSIDE) for attempt in _SEEN),
    *(Accepted(attempt, "landlock", _GIT) for attempt in _PLANTED_IN_GIT),
    *(Accepted(attempt, "bubblewrap", _AROUND_GIT) for attempt in _PLANTED_AROUND_GIT),
)


def accepted(attempt: str, backend: str, household: str) -> Accepted | None:
    """The line of the table that covers this trial."""
    for line in ACCEPTED:
        if line.attempt == attempt and line.backend == backend and household in line.households:
            return line
    return None
