"""The tools of one run: they act on its workspace, in its sandbox, under its fence."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic

from flynn.agent.disclosure import disclosed
from flynn.agent.fold import Transcript
from flynn.agent.gate import Gate
from flynn.agent.inspection import Inspection
from flynn.agent.step import Call
from flynn.domain.events import ToolFinished
from flynn.domain.permission import PermissionMode
from flynn.domain.tool_result import ToolResult
from flynn.sandbox.command import Sandbox
from flynn.telemetry.crash_point import reach
from flynn.tools.job import Jobs
from flynn.tools.spill import Spill, fresh_name, owner_of_outputs
from flynn.tools.tool import ToolContext
from flynn.tools.toolset import TOOLS, execute
from flynn.workspace.root import Workspace


def _without_limit(_transcript: Transcript) -> float | None:
    return None


class Toolbox:
    """Runs calls for one run. `offered` are the tools that the conversation froze.

    `deadline` gives the CLOCK_BOOTTIME second after which nothing may act; `confirm` raises LeaseLost
    when the lease is gone. `jobs` are the run's background jobs. `inspection` looks at what calls wrote;
    None where that is turned off. `seconds_left` says how long what a call does may take, None where
    nothing but its own limit bounds it.
    """

    def __init__(
        self,
        *,
        workspace: Workspace,
        sandbox: Sandbox,
        scratch: Path,
        offered: Iterable[str],
        gate: Gate,
        deadline: Callable[[], float | None],
        confirm: Callable[[], None],
        jobs: Jobs,
        inspection: Inspection | None,
        seconds_left: Callable[[Transcript], float | None] = _without_limit,
    ) -> None:
        self._workspace = workspace
        self._sandbox = sandbox
        self._scratch = scratch
        self._offered = frozenset(offered)
        self._gate = gate
        self._deadline = deadline
        self._confirm = confirm
        self._jobs = jobs
        self._seconds_left = seconds_left
        self._inspection = inspection

    def writes(self, tool: str) -> bool:
        """Whether calls of `tool` have side effects; unknown tools only answer with an error."""
        return tool in TOOLS and TOOLS[tool].writes

    async def run(self, call: Call, transcript: Transcript, on_output: Callable[[str], None]) -> ToolResult:
        """Run one call to its result. Raises LeaseLost, and CancelledError once the call is dead."""
        if call.tool not in self._offered:
            offered = ", ".join(sorted(self._offered)) or "none"
            return ToolResult.error(f"There is no tool {call.tool} here; the tools are: {offered}.")
        self._confirm()
        context = ToolContext(
            workspace=self._workspace,
            sandbox=self._sandbox,
            scratch=self._scratch,
            seen=dict(transcript.seen),
            cwd=transcript.cwd,
            deadline=self._deadline(),
            confirm=self._confirm,
            on_output=on_output,
            read_only=self._gate.mode(transcript) is PermissionMode.PLAN,
            unreadable=self._gate.unreadable,
            # A conversation that froze its tools before there were jobs could not look after one.
            jobs=self._jobs if "TaskOutput" in self._offered else None,
            known_jobs=dict(transcript.jobs),
            seconds_left=self._seconds_left(transcript),
        )
        reach("tool.before-act")
        result = await execute(call.tool, call.input, context)
        reach("tool.after-act")
        return result

    async def inspected(self, event: ToolFinished, transcript: Transcript) -> ToolFinished:
        """`event` with what linters say of the file that the call wrote, if it wrote one.

        Raises LeaseLost. When it is cancelled, the call has ended all the same.
        """
        if self._inspection is None or not self._inspection.wants(event):
            return event
        return await self._inspection.inspected(event, transcript)

    async def keep(self, text: str) -> str:
        """Write a text to a file that the agent can read; gives the words that say where, or why not."""
        spill = Spill(self._scratch, fresh_name("r"), owner_of_outputs(self._workspace.path))
        spill.add(text)
        await spill.close()
        if spill.failure is not None:
            return f"The whole could not be kept: {spill.failure.rstrip('.')}. Make the call by itself."
        return f"The whole is in {spill.path}; read there what you need of it."

    async def end_jobs(self) -> None:
        """End the run's background jobs; nothing of them is alive when this returns."""
        await self._jobs.end("Killed: the run came to an end or a pause.")


async def finish(
    toolbox: Toolbox, call: Call, step: int, transcript: Transcript, on_output: Callable[[str], None]
) -> ToolFinished:
    """Run `call` and make the event that records how it ended; its media go on the transcript's shelf."""
    began = monotonic()
    result = await toolbox.run(call, transcript, on_output)
    if result.blobs:
        result = _shelved(transcript, step, result)
    transcript.originals.put(result.originals)
    return finished(call, step, result, round((monotonic() - began) * 1000))


def _shelved(transcript: Transcript, step: int, result: ToolResult) -> ToolResult:
    """`result`, its media on the shelf; or an error where there is no room for them."""
    if isinstance(result.content, str):
        return result
    refusal = transcript.shelf.refusal(step, result.content, beside=transcript.result_tokens)
    if refusal is not None:
        return ToolResult.error(refusal)
    transcript.shelf.put(step, result.content, result.blobs)
    return result


def finished(call: Call, step: int, result: ToolResult, duration_ms: int = 0) -> ToolFinished:
    """The event of a call's end, its content stored as it will be sent: without secrets."""
    result = disclosed(result)
    return ToolFinished(
        step=step,
        call_id=call.call_id,
        tool=call.tool,
        outcome=result.outcome,
        content=[result.block(call.call_id)],
        evidence=list(result.evidence),
        duration_ms=duration_ms,
    )


async def together(jobs: Iterable[asyncio.Task[ToolFinished]]) -> list[ToolFinished]:
    """Await all jobs in order; when one raises or we are cancelled, the others are ended first."""
    tasks = list(jobs)
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
