"""Bash: one command in a fresh sandbox; only the working directory is carried on."""

import codecs
import secrets
from collections.abc import Callable
from typing import ClassVar

from pydantic import BaseModel, Field

from flynn.domain.errors import SandboxUnavailable, WorkspaceError
from flynn.domain.evidence import CommandRan
from flynn.domain.tool_result import Outcome, ToolResult
from flynn.sandbox.command import Command, Completed
from flynn.tools.listing import middle_cut
from flynn.tools.schema import Arguments
from flynn.tools.tool import ToolContext
from flynn.workspace.fence import Fence
from flynn.workspace.scratch import read_note

MAX_RESULT = 30_000
"""Characters of output that the model is shown."""
DEFAULT_TIMEOUT_MS = 120_000
MAX_TIMEOUT_MS = 600_000
_LONGEST_DIRECTORY = 4_096
_LONGEST_COMMAND = 100_000
"""Characters; the kernel takes 128 KiB in one argument (MAX_ARG_STRLEN, execve(2))."""


class BashArguments(Arguments):
    """What Bash takes."""

    command: str = Field(min_length=1, max_length=_LONGEST_COMMAND, description="The command to run")
    timeout: int | None = Field(
        default=None,
        ge=1,
        le=MAX_TIMEOUT_MS,
        description=f"Milliseconds until it is killed; {DEFAULT_TIMEOUT_MS} unless given, "
        f"at most {MAX_TIMEOUT_MS}",
    )
    description: str | None = Field(
        default=None, description="What the command does, in five to ten words, for the people who watch"
    )


class Bash:
    """Runs a command where it can reach the workspace, its own /tmp, and nothing else."""

    name: ClassVar[str] = "Bash"
    writes: ClassVar[bool] = True
    arguments: ClassVar[type[BaseModel]] = BashArguments

    async def run(self, arguments: BaseModel, context: ToolContext) -> ToolResult:
        """Run the command to its end or its timeout, and say how it ended."""
        asked = BashArguments.model_validate(arguments)
        if "\0" in asked.command:
            return ToolResult.error("A command cannot hold a NUL character; make one with printf '\\0'.")
        cwd, notes = _directory(context)
        note = f".flynn-cwd-{secrets.token_hex(8)}"
        timeout = (asked.timeout or DEFAULT_TIMEOUT_MS) / 1000
        command = Command(
            argv=_carrying(asked.command, note),
            workspace=context.workspace.path,
            cwd=cwd,
            writable=not context.read_only,
            private_tmp=context.scratch,
            timeout_seconds=timeout,
            deadline=context.deadline,
            quota_bytes=context.workspace.quota_bytes,
        )
        decoder = _Decoder(context.on_output)
        fence = Fence(deadline=context.deadline, confirm=context.confirm)
        fence.check()
        try:
            done = await context.sandbox.run(command, decoder.feed)
        except SandboxUnavailable:
            fence.check()  # the launcher refuses past the deadline, too: then it was not the sandbox
            raise
        decoder.close()
        after, more = _arrived(context, note)
        text, lost = middle_cut(done.output.decode("utf-8", "replace"), MAX_RESULT)
        evidence = CommandRan(
            command=asked.command,
            cwd=cwd,
            cwd_after=after,
            exit_code=done.exit_code,
            duration_ms=round(done.duration_seconds * 1000),
            timed_out=done.timed_out,
            cut=bool(lost or done.output_cut),
        )
        said = "\n".join(part for part in (*_ending(done, timeout), text.rstrip("\n"), *notes, *more) if part)
        outcome = Outcome.OK if done.exit_code == 0 else Outcome.ERROR
        return ToolResult(content=said, outcome=outcome, evidence=(evidence,))


class _Decoder:
    """Turns the bytes of a stream into text as they come, characters never torn apart."""

    def __init__(self, sink: Callable[[str], None]) -> None:
        self._sink = sink
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, piece: bytes) -> None:
        """Pass on what is complete."""
        text = self._decoder.decode(piece)
        if text:
            self._sink(text)

    def close(self) -> None:
        """Pass on what was left incomplete."""
        rest = self._decoder.decode(b"", final=True)
        if rest:
            self._sink(rest)


def _carrying(command: str, note: str) -> tuple[str, ...]:
    """The arguments that run `command` and leave behind in `note` where it was at its end.

    `eval` keeps our words out of bash's messages and its line numbers right. A command that sets a trap of
    its own on EXIT, or becomes another program, leaves no note; the directory is then the one before.
    """
    script = (
        f'trap "pwd -P 2>/dev/null >| \\"${{TMPDIR:-/tmp}}/{note}\\"" EXIT; '
        '_flynn_command=$1; set --; eval "$_flynn_command"'
    )
    return ("/bin/bash", "-c", script, "bash", command)


def _directory(context: ToolContext) -> tuple[str, list[str]]:
    """Where to start, and what to say when the place of the last command is gone."""
    if context.cwd == ".":
        return ".", []
    try:
        with context.workspace.locate(context.cwd) as entry:
            if entry.is_directory:
                return entry.path, []
    except WorkspaceError as error:
        reason = error.detail
    else:
        reason = f"{context.cwd} is no directory any more."
    return ".", [f"[Run from the workspace's root: {reason}]"]


def _arrived(context: ToolContext, note: str) -> tuple[str | None, list[str]]:
    """Where the command was at its end, when that is a directory of the workspace."""
    left = read_note(context.scratch, note, _LONGEST_DIRECTORY)
    if not left:
        return None, []
    directory = left.decode("utf-8", "surrogateescape").removesuffix("\n")
    try:
        with context.workspace.locate(directory) as entry:
            if entry.is_directory:
                return entry.path, []
    except WorkspaceError:
        pass
    return None, [f"[{directory} is outside the workspace: the next command starts where this one did]"]


def _ending(done: Completed, timeout: float) -> list[str]:
    """How it ended, unless it ended well."""
    if done.timed_out:
        return [f"Killed after {timeout:g} s: timed out. Output until then:"]
    if done.flooded:
        return ["Killed: it wrote far too much output. Send it to a file or a filter. What was kept:"]
    if done.exit_code is None:
        return [f"Killed: {done.kill_reason or 'it did not end by itself'}. Output until then:"]
    return [] if done.exit_code == 0 else [f"Exit code {done.exit_code}"]
