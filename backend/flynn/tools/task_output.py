"""TaskOutput: what a background job has said since the last look, and whether it has ended."""

from typing import ClassVar

from pydantic import BaseModel, Field

from flynn.domain.evidence import CommandRan
from flynn.domain.tool_result import ToolResult
from flynn.tools.capture import MAX_RESULT
from flynn.tools.ending import exit_words
from flynn.tools.job import Job
from flynn.tools.job_news import ended_words, news, whereabouts
from flynn.tools.schema import Arguments
from flynn.tools.tool import ToolContext
from flynn.workspace.output_store import output_size, shown_path

DEFAULT_WAIT_MS = 30_000
MAX_WAIT_MS = 600_000


class TaskOutputArguments(Arguments):
    """What TaskOutput takes."""

    task_id: str = Field(min_length=1, max_length=100, description="The ID that Bash gave for the job")
    block: bool | None = Field(
        default=None, description="Whether to wait for the end of the job; true unless given"
    )
    timeout: int | None = Field(
        default=None,
        ge=0,
        le=MAX_WAIT_MS,
        description=f"Milliseconds to wait for it at most; {DEFAULT_WAIT_MS} unless given, at most "
        f"{MAX_WAIT_MS}",
    )


class TaskOutput:
    """Looks at a background job, and waits for its end if asked to."""

    name: ClassVar[str] = "TaskOutput"
    writes: ClassVar[bool] = False
    arguments: ClassVar[type[BaseModel]] = TaskOutputArguments

    async def run(self, arguments: BaseModel, context: ToolContext) -> ToolResult:
        """Say what is new; the first look after its end carries the evidence of it."""
        asked = TaskOutputArguments.model_validate(arguments)
        job = context.jobs.find(asked.task_id) if context.jobs else None
        if job is None:
            return ToolResult.error(gone(asked.task_id, context))
        blocks = asked.block is not False
        if blocks:
            seconds = (DEFAULT_WAIT_MS if asked.timeout is None else asked.timeout) / 1000
            if context.seconds_left is not None:
                seconds = min(seconds, context.seconds_left)
            await job.wait(seconds)
        said, evidence = _report(job, blocked=blocks), job.end()
        told, others = news(context.jobs)
        return ToolResult(content="\n".join((said, *told)), evidence=(*evidence, *others))


def gone(task_id: str, context: ToolContext) -> str:
    """What can be said of a job that is not here: it was an earlier run's, a lost worker's, or never."""
    known = context.known_jobs.get(task_id)
    if known is None:
        running = ", ".join(job.task_id for job in context.jobs.running) if context.jobs else ""
        return f"There is no background job {task_id}; running: {running or 'none'}."
    if isinstance(known, CommandRan):
        how = exit_words(known.exit_code) if known.exit_code is not None else "killed"
        end = f"The background job {task_id} ended in an earlier part of this conversation: {how}."
    else:
        end = (
            f"The background job {task_id} is gone: jobs end with their run, with its pauses, and with the "
            "worker that runs it. Nobody saw its end, so its outcome is unknown: look at the state it would "
            "have changed before you start it again."
        )
    size = output_size(context.scratch, task_id)
    kept = (
        "Nothing of its output is kept."
        if size is None
        else (f"{size:,} bytes of its output are in {shown_path(task_id)}.")
    )
    return f"{end} {kept}"


def _report(job: Job, *, blocked: bool) -> str:
    """The job's state in Claude Code's form, then what is new of its output."""
    running = job.running
    look = job.capture.look(MAX_RESULT)
    job.capture.forget()
    retrieval = "success" if not running else "timeout" if blocked else "not_ready"
    said = [
        f"<retrieval_status>{retrieval}</retrieval_status>",
        f"<task_id>{job.task_id}</task_id>",
        f"<status>{job.status}</status>",
    ]
    if job.exit_code is not None:
        said.append(f"<exit_code>{job.exit_code}</exit_code>")
    new = look.text.rstrip("\n")
    said.append(f"<output>\n{new}\n</output>" if new else "<output></output>")
    if not running:
        said.append(f"[{ended_words(job)}]")
    if look.lost:
        said.append(whereabouts(job.capture.spill))
    return "\n".join((*said, *job.capture.notes))
