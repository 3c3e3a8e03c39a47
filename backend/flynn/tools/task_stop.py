"""TaskStop: ends a background job, and returns when nothing of it is alive."""

from typing import ClassVar

from pydantic import BaseModel, Field

from flynn.domain.tool_result import ToolResult
from flynn.tools.job_news import ended_words, news
from flynn.tools.schema import Arguments
from flynn.tools.task_output import gone
from flynn.tools.tool import ToolContext


class TaskStopArguments(Arguments):
    """What TaskStop takes."""

    task_id: str = Field(min_length=1, max_length=100, description="The ID that Bash gave for the job")


class TaskStop:
    """Ends a background job."""

    name: ClassVar[str] = "TaskStop"
    writes: ClassVar[bool] = True
    arguments: ClassVar[type[BaseModel]] = TaskStopArguments

    async def run(self, arguments: BaseModel, context: ToolContext) -> ToolResult:
        """End the job; one that has ended already is said to have."""
        asked = TaskStopArguments.model_validate(arguments)
        job = context.jobs.find(asked.task_id) if context.jobs else None
        if job is None:
            return ToolResult.error(gone(asked.task_id, context))
        if not job.running:
            said, evidence = f"{job.task_id} had ended before. {ended_words(job)}", job.end()
        else:
            await job.stop("Stopped by TaskStop.")
            # It may have been faster than we were.
            said = f"{job.task_id}: {ended_words(job)} Nothing of it is alive."
            evidence = job.end()
        told, others = news(context.jobs)
        return ToolResult(
            content="\n".join((f"{said} Its output is in {job.capture.spill.path}.", *told)),
            evidence=(*evidence, *others),
        )
