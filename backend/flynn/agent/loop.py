"""The loop: step, query, execute, until there is a reason to stop.

It knows neither database nor socket. It reads a transcript, yields batches to commit (a batch is
committed and applied when the generator is resumed), streams words to a sink, and ends by yielding a
stop. Whatever it finds half done in the transcript it closes first, so resuming is the same as going on.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from itertools import takewhile

from flynn.agent.account import Accounts
from flynn.agent.allowance import within_allowance
from flynn.agent.budget import Budget
from flynn.agent.changes import Changes
from flynn.agent.choice import Choice, Plan
from flynn.agent.failed_call import rest, sequel
from flynn.agent.fold import Transcript
from flynn.agent.gate import Gate, Held, Passed, Refused
from flynn.agent.prompt import Prompts
from flynn.agent.query import Query
from flynn.agent.reached import day_full
from flynn.agent.reply import Reply
from flynn.agent.scope import Stopped, until
from flynn.agent.step import Call
from flynn.agent.toolbox import Toolbox, finish, finished, together
from flynn.agent.turns import (
    Answer,
    Append,
    Cancelled,
    Completed,
    DayFull,
    Failed,
    Stop,
    Turn,
    Waits,
    Words,
)
from flynn.domain import events as ev
from flynn.domain.content import text_block
from flynn.domain.tool_result import Outcome, ToolResult
from flynn.telemetry.crash_point import reach

Turns = AsyncGenerator[Turn, Answer]


class Loop:
    """One run of an agent over one transcript. `accounts` asks for that of its task, if it has one."""

    def __init__(
        self,
        *,
        transcript: Transcript,
        query: Query,
        toolbox: Toolbox,
        changes: Changes,
        gate: Gate,
        budget: Budget,
        choice: Choice,
        accounts: Accounts | None,
        prompts: Prompts,
        stop: asyncio.Event,
        sink: Callable[[Words], None],
    ) -> None:
        self.transcript = transcript
        self.query = query
        self.toolbox = toolbox
        self.changes = changes
        self.gate = gate
        self.budget = budget
        self.choice = choice
        self.accounts = accounts
        self.prompts = prompts
        self.stop = stop
        self.sink = sink
        self._full: DayFull | None = None
        """What the last call to be started was told, if the day had no room for it."""

    async def run(self) -> Turns:
        """Go on from where the transcript stands, to a stop."""
        if lost := await self._lost():
            yield Append(lost)
            reach("lost.after-commit")
        await self._rest()
        results: list[ev.EventData] = []
        while True:
            if self.stop.is_set():
                if closed := await self._closed(results):
                    reach("closed.before-commit")
                    yield Append(closed)
                    reach("closed.after-commit")
                yield self._cancelled()
                return
            calls = self._calls(results)
            # Calls that there is no time for stay open, and are made when there is.
            late = self.budget.time_up(self.transcript) if calls else None
            if calls and late is None:
                group = self._group(calls)
                if self._held(group):
                    if news := [*results, *self.gate.news(calls, self.transcript)]:
                        reach("approval.before-commit")
                        yield Append(news)
                        reach("approval.after-commit")
                        results = []
                    else:
                        yield self.gate.wait(self.transcript)
                    continue
                # Reads that a lost worker had announced are not announced again.
                if due := [*results, *self._starts(group)]:
                    reach("calls.before-commit")
                    yield Append(due)
                    reach("calls.after-commit")
                results = await self._execute(group)
            elif not isinstance(plan := late or await self._plan(results), Plan):
                asked = plan.events if isinstance(plan, Append) else ()
                if due := [*results, *asked]:
                    reach("results.before-commit")
                    yield Append(due)
                    reach("results.after-commit")
                    results = []
                if not isinstance(plan, Append):
                    yield plan
            else:
                started = self.query.start(self.transcript, results, plan)
                reach("step.before-commit")
                if not self._begun((yield Append([*results, started], after=self.transcript.seq))):
                    continue
                reach("step.after-commit")
                results = []
                yield Append(await self._ask(started))
                reach("reply.after-commit")
                await self._rest()

    # -- what was half done --------------------------------------------------------------------------

    async def _lost(self) -> list[ev.EventData]:
        """Close what a lost worker left open: its model call, and the writers it had started.

        Calls that an earlier run left behind are closed too, and never run: that run is over.
        """
        found: list[ev.EventData] = []
        writers = [call for call in self.transcript.open_calls() if self._acting(call)]
        if self.transcript.open_step:
            found.append(self.query.lost(self.transcript))
        for call in self.transcript.open_calls():
            if call in writers:
                found.append(finished(call, self.transcript.last_step, self._unknown()))
            elif call.run_id != self.transcript.run.run_id:
                found.append(finished(call, self.transcript.last_step, self._called_off(call)))
        found += await self.changes.lost(writers, self.transcript.last_step)
        if found:
            reach("lost.before-commit")
        return found

    def _acting(self, call: Call) -> bool:
        """Whether the call was begun and may have changed something."""
        return call.started and self.toolbox.writes(call.tool)

    def _unknown(self) -> ToolResult:
        advice = self.prompts.note("unknown_outcome")
        return ToolResult(content=advice, outcome=Outcome.UNKNOWN)

    def _called_off(self, call: Call) -> ToolResult:
        note = self.prompts.note("stopped_call" if call.started else "skipped_call")
        return ToolResult(content=note, outcome=Outcome.CANCELLED)

    async def _closed(self, results: list[ev.EventData]) -> list[ev.EventData]:
        """What there is to say once everything has ended that the run was doing: with `results`, and whatever
        was changed meanwhile.
        """
        await self.toolbox.end_jobs()
        begun = [call for call in self._calls(results) if self._acting(call)]
        changed = await self.changes.stopped(begun, self.transcript.last_step)
        return results + self._dangling(results) + changed

    def _dangling(self, results: list[ev.EventData]) -> list[ev.EventData]:
        """Results for calls that will not run any more."""
        step = self.transcript.last_step
        return [finished(call, step, self._called_off(call)) for call in self._calls(results)]

    def _cancelled(self) -> Cancelled:
        asked = self.transcript.interrupted
        principal, reason = (asked.principal, asked.reason) if asked else ("the service", None)
        note = self.prompts.note("interrupted")
        return Cancelled(principal, reason, [text_block(note)])

    # -- execute -------------------------------------------------------------------------------------

    def _calls(self, results: list[ev.EventData]) -> list[Call]:
        """Calls that have no result yet, neither committed nor in hand."""
        done = {r.call_id for r in results if isinstance(r, ev.ToolFinished)}
        return [c for c in self.transcript.open_calls() if c.call_id not in done]

    def _group(self, calls: list[Call]) -> list[Call]:
        """The next calls to run at once: reads as far as they go, or one writer."""
        reads = list(takewhile(lambda c: not self.toolbox.writes(c.tool), calls))
        return reads or calls[:1]

    def _starts(self, group: list[Call]) -> list[ev.EventData]:
        step = self.transcript.last_step
        return [
            ev.ToolStarted(step=step, call_id=c.call_id, tool=c.tool, input=c.input)
            for c in group
            if not c.started and isinstance(self.gate.look(c, self.transcript), Passed)
        ]

    async def _execute(self, group: list[Call]) -> list[ev.EventData]:
        """Run the group; a stop ends its calls and leaves them to be closed as cancelled."""
        if self.transcript.last_stop_reason != "tool_use":
            return [finished(call, self.transcript.last_step, self._called_off(call)) for call in group]
        found: list[ev.ToolFinished] = []
        changed: list[ev.EventData] = []
        try:
            async with until(self.stop):
                if self._acting(group[0]):
                    await self.changes.prepare()
                if len(group) == 1:
                    found = [await self._finish(group[0])]
                else:
                    found = await together(asyncio.create_task(self._finish(c)) for c in group)
        except Stopped:
            return []
        if len(found) == 1:
            # What the call did stands, also when a stop ends the look at it.
            with suppress(Stopped):
                async with until(self.stop):
                    found = [await self.toolbox.inspected(found[0], self.transcript)]
        if self._acting(group[0]):
            changed = await self.changes.after(found[0])
        later = len(self.transcript.open_calls()) - len(group)
        kept = await within_allowance(found, self.transcript, later=later, keep=self.toolbox.keep)
        return [*kept, *changed]

    def _held(self, group: list[Call]) -> bool:
        """Whether a call of the group waits for somebody's yes."""
        if self.transcript.last_stop_reason != "tool_use":
            return False
        return any(isinstance(self.gate.look(call, self.transcript), Held) for call in group)

    async def _finish(self, call: Call) -> ev.ToolFinished:
        step = self.transcript.last_step
        look = self.gate.look(call, self.transcript)
        if isinstance(look, Refused):
            return finished(call, step, look.result)

        def show(text: str) -> None:
            self.sink(Words(step, 0, "output", text, call.call_id, call.tool))

        return await finish(self.toolbox, call, step, self.transcript, show)

    # -- query ---------------------------------------------------------------------------------------

    def _begun(self, answer: Answer) -> bool:
        """Whether the start of a call is committed, so that it may be made."""
        self._full = answer if isinstance(answer, DayFull) else None
        return answer is True

    async def _plan(self, results: list[ev.EventData]) -> Plan | Append | Stop:
        """Whom to call, or why nobody: the agent is at its end, a limit is reached, the model is away.

        At the end of a task its account is asked for: by an event, then by a call.
        """
        full, self._full = self._full, None
        if end := self._end():
            if isinstance(end, Completed) and self.accounts is not None:
                return self.accounts.next(self.transcript, day_full=full is not None) or end
            return end
        if full is not None:
            return day_full(full)
        plan = self.choice.plan(self.transcript, results)
        wait = await self.budget.exceeded(
            self.transcript, results, model=plan.model, max_tokens=plan.max_tokens
        )
        return wait or self.choice.held(plan) or plan

    async def _ask(self, started: ev.StepStarted) -> Reply:
        try:
            async with until(self.stop):
                reply = await self.query.ask(self.transcript, started, self.sink)
        except Stopped:
            reply = self.query.cancelled(self.transcript)
        reach("reply.before-commit")
        return reply

    async def _rest(self) -> None:
        """Pause before the next attempt, after a failure that is tried again soon; a stop ends the pause."""
        if seconds := rest(self.transcript):
            with suppress(Stopped):
                async with until(self.stop):
                    await asyncio.sleep(seconds)

    def _end(self) -> Completed | Failed | Waits | None:
        """What the last call brings the run to, or whether the agent is at its end.

        It is when nobody waits for an answer, and it has none to give.
        """
        transcript = self.transcript
        if stop := sequel(transcript):
            return stop
        if transcript.unanswered():
            return None
        if transcript.silent:
            return Completed("end_turn")
        if transcript.last_stop_reason in (None, "tool_use", "pause_turn"):
            return None
        return Completed(transcript.last_stop_reason)
