"""What results say about background jobs: how they ended, and where their output is."""

from flynn.domain.evidence import CommandRan
from flynn.tools.job import Job, Jobs
from flynn.tools.spill import Spill
from flynn.workspace.output_store import LARGEST_FILE


def news(jobs: Jobs | None) -> tuple[list[str], list[CommandRan]]:
    """A line for each job that has ended since the model was last told, and the evidence of these ends."""
    lines: list[str] = []
    evidence: list[CommandRan] = []
    for job in jobs.unannounced if jobs else ():
        evidence += job.end()
        lines.append(
            f"[Background job {job.task_id} has ended. {ended_words(job)} TaskOutput shows its output.]"
        )
    return lines, evidence


def ended_words(job: Job) -> str:
    """How a job ended and how long it ran, in a sentence or two."""
    words = job.words or f"Exit code {job.exit_code}"
    return f"{words.rstrip('.')}. It ran for {job.seconds:.1f} s."


def whereabouts(spill: Spill) -> str:
    """Where the whole of an output is that was cut for the model."""
    if spill.failure is not None:
        return f"[The whole output could not be kept: {spill.failure.rstrip('.')}.]"
    what = f"first {LARGEST_FILE:,} bytes of the output are" if spill.full else "whole output is"
    return f"[The {what} in {spill.path}: Read it with offset and limit, or grep it.]"
