"""What a tool is: a name, an input schema, whether it writes, and one function."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from pydantic import BaseModel

from flynn.domain.evidence import CommandRan, JobStarted
from flynn.domain.tool_result import ToolResult
from flynn.sandbox.command import Sandbox
from flynn.tools.job import Jobs
from flynn.workspace.root import Workspace


def _ignore(_text: str) -> None:
    return None


def _always() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """What one call may use.

    `seen` maps paths (relative to the workspace) to the sha256 of the content that the model last saw or
    wrote. `cwd` is where Bash is, relative to the workspace. `scratch` is the conversation's private
    directory, outside the workspace, seen as /tmp in the sandbox. `deadline` (CLOCK_BOOTTIME, seconds)
    and `confirm` fence side effects: `confirm()` raises LeaseLost and is called right before a rename.
    `on_output` takes a command's output as it comes. With `read_only`, commands cannot change the
    workspace. `unreadable` are globs of files that searches leave out. `jobs` are the run's background
    jobs, None where there can be none; `known_jobs` has the last evidence of every job that the
    conversation ever started. `seconds_left` is what the budget has for it: a command is killed then, and
    nothing is waited for longer; None without one.
    """

    workspace: Workspace
    sandbox: Sandbox
    scratch: Path
    seen: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "."
    deadline: float | None = None
    confirm: Callable[[], None] = _always
    on_output: Callable[[str], None] = _ignore
    read_only: bool = False
    unreadable: tuple[str, ...] = ()
    jobs: Jobs | None = None
    known_jobs: Mapping[str, JobStarted | CommandRan] = field(default_factory=dict)
    seconds_left: float | None = None


class Tool(Protocol):
    """One tool. `writes` tells the loop to run its calls one at a time, each committed before it acts."""

    name: ClassVar[str]
    writes: ClassVar[bool]
    arguments: ClassVar[type[BaseModel]]

    async def run(self, arguments: BaseModel, context: ToolContext) -> ToolResult:
        """Act. Every failure that a model can cause or mend is a ToolResult; raises LeaseLost only."""
