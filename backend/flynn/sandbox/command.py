"""What a sandbox is asked to run and what came of it: the port that every backend serves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One process tree to run over a workspace, in a fresh sandbox of its own.

    `cwd` is relative to `workspace`; `private_tmp`, a directory of the conversation, is seen as /tmp.
    `environment` is added to one that is built from nothing. `deadline` is on CLOCK_BOOTTIME, in
    seconds: the launcher refuses to exec past it. Output past `output_limit` bytes loses its middle;
    past `output_kill` bytes the tree is killed. `extra_readonly` are absolute paths the operator or the
    caller (ripgrep's own binary) needs visible. `shown` are directories that others may have written to (the
    objects of a repository), visible read-only too: no name of such a path may be a link. `quota_bytes` are
    the most that the workspace's tree may hold, in allocated blocks: a command under which it grows beyond
    that is killed. `largest_file` bounds in bytes each file that it writes.
    """

    argv: tuple[str, ...]
    workspace: Path
    cwd: str = "."
    writable: bool = True
    private_tmp: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    extra_readonly: tuple[Path, ...] = ()
    shown: tuple[Path, ...] = ()
    timeout_seconds: float = 120.0
    deadline: float | None = None
    output_limit: int = 1_000_000
    output_kill: int = 64_000_000
    merge_output: bool = True
    quota_bytes: int | None = None
    largest_file: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How it ended. `exit_code` is None when the tree was killed, and `kill_reason` says why.

    A command that itself ended by signal N has the exit code 128 + N. `output_cut` counts lost bytes.

    With `merge_output`, `output` holds both streams in the order they were written and `errors` nothing.
    """

    exit_code: int | None
    output: bytes
    errors: bytes = b""
    output_cut: int = 0
    timed_out: bool = False
    flooded: bool = False
    kill_reason: str | None = None
    duration_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxReport:
    """Which backend is active and which layers are missing, and why.

    `backend` is "bubblewrap", "landlock", "unconfined" (the operator's opt-out) or None.
    """

    backend: str | None
    layers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    reason: str | None = None


class Sandbox(Protocol):
    """Runs commands over a workspace where they can reach nothing else."""

    @property
    def report(self) -> SandboxReport:
        """What the probe found."""

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Completed:
        """Run `command` to its end, its timeout, or cancellation; on return its whole tree is gone.

        Raises SandboxUnavailable when no backend passed the probe or the set-up of this sandbox failed.
        Cancelling the awaiting task kills the tree, proves it dead, and then raises CancelledError.
        """
