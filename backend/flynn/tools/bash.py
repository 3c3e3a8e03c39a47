"""Bash: one command in a fresh sandbox; only the working directory is carried on.

A command that is to go on in the background becomes a job (flynn.tools.job), which ends with the run.
"""

import math
import secrets
from typing import ClassVar

from pydantic import BaseModel, Field

from flynn.domain.errors import SandboxUnavailable, WorkspaceError
from flynn.domain.evidence import CommandRan
from flynn.domain.tool_result import Outcome, ToolResult
from flynn.sandbox.command import Command
from flynn.telemetry.crash_point import reach
from flynn.tools.capture import MAX_FAILURE, MAX_RESULT, Capture
from flynn.tools.ending import ending
from flynn.tools.job import MOST_JOBS, Job, Jobs
from flynn.tools.job_news import news, whereabouts
from flynn.tools.schema import Arguments
from flynn.tools.spill import Spill, fresh_name, owner_of_outputs
from flynn.tools.thread import in_thread
from flynn.tools.tool import ToolContext
from flynn.workspace.fence import Fence
from flynn.workspace.scratch import NOTE, drop_note, read_note

DEFAULT_TIMEOUT_MS = 120_000
MAX_TIMEOUT_MS = 600_000
DEFAULT_JOB_MS = 1_800_000
MAX_JOB_MS = 7_200_000
_LONGEST_DIRECTORY = 4_096
_LONGEST_COMMAND = 100_000
"""Characters; the kernel takes 128 KiB in one argument (MAX_ARG_STRLEN, execve(2))."""
_FALSE_START_SECONDS = 0.2
"""How long a job is watched at its start: one that fails at once is reported by the call that started it."""


OUT_OF_TIME = "The time that there is for the task was over."
"""Why a command was killed before its own limit."""
_LARGEST_WHEN_FULL = 4_096
"""Bytes of a file that a command may write in a full workspace: enough to say where it is, and to remove."""
_FULL = (
    "[The workspace is full: it takes all that it may. Until something is removed, commands cannot write "
    f"files over {_LARGEST_WHEN_FULL:,} bytes.]"
)


class BashArguments(Arguments):
    """What Bash takes."""

    command: str = Field(min_length=1, max_length=_LONGEST_COMMAND, description="The command to run")
    timeout: int | None = Field(
        default=None,
        ge=1,
        le=MAX_JOB_MS,
        description=f"Milliseconds until it is killed; {DEFAULT_TIMEOUT_MS} unless given, at most "
        f"{MAX_TIMEOUT_MS}; in the background {DEFAULT_JOB_MS} unless given, at most {MAX_JOB_MS}",
    )
    description: str | None = Field(
        default=None, description="What the command does, in five to ten words, for the people who watch"
    )
    run_in_background: bool | None = Field(
        default=None,
        description="true: return at once; TaskOutput shows its output, TaskStop ends it, and so does the "
        "end of this run",
    )


class Bash:
    """Runs a command where it can reach the workspace, its own /tmp, and nothing else."""

    name: ClassVar[str] = "Bash"
    writes: ClassVar[bool] = True
    arguments: ClassVar[type[BaseModel]] = BashArguments

    async def run(self, arguments: BaseModel, context: ToolContext) -> ToolResult:
        """Run the command to its end or its timeout, or start it in the background, and say so."""
        asked = BashArguments.model_validate(arguments)
        if "\0" in asked.command:
            return ToolResult.error("A command cannot hold a NUL character; make one with printf '\\0'.")
        if asked.run_in_background:
            return await _start(asked, context)
        if (asked.timeout or 0) > MAX_TIMEOUT_MS:
            return ToolResult.error(
                f"timeout: at most {MAX_TIMEOUT_MS} for a command that is waited for, not {asked.timeout}. "
                "Start what takes longer with run_in_background."
            )
        return await _wait(asked, context)


async def _wait(asked: BashArguments, context: ToolContext) -> ToolResult:
    """Run the command to its end."""
    cwd, notes = _directory(context)
    note = f"{NOTE}{secrets.token_hex(8)}"
    full = await _full(context)
    if full:
        notes.append(_FULL)
    timeout = asked.timeout or DEFAULT_TIMEOUT_MS
    command = _command(context, _carrying(asked.command, note), cwd, timeout, full=full)
    capture = Capture(context.on_output, _spill(context, "c"))
    fence = _permitted(context)
    try:
        done = await context.sandbox.run(command, capture.feed)
        after, more = _arrived(context, note)
    except SandboxUnavailable:
        fence.check()  # the launcher refuses past the deadline, too: then it was not the sandbox
        raise
    finally:
        context.workspace.worked_on()
        drop_note(context.scratch, note)
        await capture.close()
    look = capture.look(MAX_RESULT if done.exit_code == 0 else MAX_FAILURE)
    if look.lost:
        await capture.keep()
        more.append(whereabouts(capture.spill))
    advice = f"`timeout` sets the limit, {MAX_TIMEOUT_MS} ms at most; run_in_background allows more."
    if command.timeout_seconds * 1000 < timeout:
        advice = OUT_OF_TIME
    ended = ending(done, timeout=command.timeout_seconds, advice=advice)
    if done.exit_code is None and look.text:
        ended = f"{ended} Output until then:"
    evidence = CommandRan(
        command=asked.command,
        cwd=cwd,
        cwd_after=after,
        exit_code=done.exit_code,
        duration_ms=round(done.duration_seconds * 1000),
        timed_out=done.timed_out,
        cut=bool(look.lost),
    )
    told, jobs = news(context.jobs)
    parts = (ended, look.text.rstrip("\n"), *capture.notes, *notes, *more, *told)
    return ToolResult(
        content="\n".join(part for part in parts if part),
        outcome=Outcome.OK if done.exit_code == 0 else Outcome.ERROR,
        evidence=(evidence, *jobs),
    )


async def _start(asked: BashArguments, context: ToolContext) -> ToolResult:
    """Start the command as a background job; when it fails at once, say how."""
    jobs = context.jobs
    if jobs is None:
        return ToolResult.error("There are no background jobs here; run the command without it.")
    if refusal := _no_room(jobs):
        return ToolResult.error(refusal)
    if await _full(context):
        return ToolResult.error("The workspace is full, so no background job is started. Remove something.")
    cwd, notes = _directory(context)
    argv = ("/bin/bash", "-c", asked.command, "bash")
    command = _command(context, argv, cwd, asked.timeout or DEFAULT_JOB_MS)
    job = Job(
        Capture(context.on_output, _spill(context, "b"), whole=True), text=asked.command, command=command
    )
    fence = _permitted(context)
    jobs.start(job, context.sandbox)
    await job.wait(_FALSE_START_SECONDS)
    reach("job.begun")
    if job.refused is not None:
        job.end()
        fence.check()  # as above
        return ToolResult.error(f"Bash is not available: {job.refused.rstrip('.')}.")
    said = [
        f"Command running in background with ID: {job.task_id}. Its output is being written to "
        f"{job.capture.spill.path}. TaskOutput shows what is new and waits for its end, TaskStop ends it; "
        f"it is killed after {command.timeout_seconds:g} s, and when this run ends."
    ]
    told, ends = news(jobs)
    return ToolResult(content="\n".join((*said, *notes, *told)), evidence=(job.started, *ends))


def _no_room(jobs: Jobs) -> str | None:
    """Why no further job can be started, if none can."""
    running = jobs.running
    if len(running) < MOST_JOBS:
        return None
    those = "\n".join(f"- {job.task_id}: {job.text[:80]}" for job in running)
    return (
        f"{len(running)} background jobs are running, and there may be no more at once. End one with "
        f"TaskStop, or wait for one with TaskOutput:\n{those}"
    )


def _command(
    context: ToolContext, argv: tuple[str, ...], cwd: str, timeout_ms: int, *, full: bool = False
) -> Command:
    return Command(
        argv=argv,
        workspace=context.workspace.path,
        cwd=cwd,
        writable=not context.read_only,
        private_tmp=context.scratch,
        environment=context.workspace.beside.environment,
        shown=context.workspace.beside.shown,
        timeout_seconds=min(timeout_ms / 1000, _bound(context)),
        deadline=context.deadline,
        quota_bytes=context.workspace.quota_bytes,
        # The supervisor blames a command for growth only after a first count, which a short one escapes.
        largest_file=_LARGEST_WHEN_FULL if full else None,
        output_limit=0,  # the capture keeps what is needed of it
    )


def _bound(context: ToolContext) -> float:
    """Seconds that the budget has for a command."""
    return math.inf if context.seconds_left is None else context.seconds_left


async def _full(context: ToolContext) -> bool:
    limited = context.workspace.quota_bytes is not None
    return limited and await in_thread(context.workspace.full)


def _spill(context: ToolContext, kind: str) -> Spill:
    return Spill(context.scratch, fresh_name(kind), owner_of_outputs(context.workspace.path))


def _permitted(context: ToolContext) -> Fence:
    """The fence, looked at right before a command is started. Raises LeaseLost."""
    fence = Fence(deadline=context.deadline, confirm=context.confirm)
    fence.check()
    return fence


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
