"""A task's report, built from the log: what changed, what ran, what it cost; the model's prose apart."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from flynn.agent.delivery import delivery
from flynn.domain import events as ev
from flynn.domain.content import text_of
from flynn.domain.evidence import CommandRan, FileChanged, JobStarted
from flynn.domain.report import Evidence, Report, ReportedCommand, ReportedFile
from flynn.domain.usage import Usage, dollars


def build_report(
    task_id: UUID,
    log: Sequence[ev.Recorded],
    *,
    state: Literal["completed", "failed", "cancelled"],
    stop_reason: str,
    detail: str | None,
    began: datetime,
    ended: datetime,
) -> Report:
    """Fold `log` (the whole conversation of the task) into its report."""
    changed: dict[str, list[tuple[int, FileChanged]]] = {}
    commands: list[ReportedCommand] = []
    jobs: dict[str, int] = {}
    usage, nanodollars, steps, calls = Usage(), 0, 0, 0
    prose = ""
    started: dict[str, ev.ToolStarted] = {}
    for recorded in log:
        match recorded.event:
            case ev.ToolStarted() as event:
                started[event.call_id] = event
            case ev.ToolFinished() as event:
                calls += 1
                if event.tool == "Bash" and event.call_id in started:
                    commands.append(_command(recorded.seq, started[event.call_id], event))
                for item in event.evidence:
                    match item:
                        case FileChanged():
                            changed.setdefault(item.path, []).append((recorded.seq, item))
                        case JobStarted() if event.call_id in started:
                            jobs[item.task_id] = len(commands) - 1
                        case CommandRan(task_id=str(job)) if job in jobs:
                            commands[jobs[job]] = _ended_job(commands[jobs[job]], item, event)
                        case _:
                            pass
            case ev.WorkspaceReverted() as event if event.refused is None:
                _take_back(changed, event)
            case ev.StepCompleted() | ev.StepFailed() as event:
                usage += event.usage
                nanodollars += event.nanodollars
                steps += isinstance(event, ev.StepCompleted)
            case ev.MessageCompleted() as event:
                prose = text_of(event.content) or prose
            case _:
                pass
    return Report(
        task_id=task_id,
        state=state,
        detail=detail,
        prose=prose,
        evidence=Evidence(
            files=[
                f
                for f in (_file([item for _, item in done]) for done in changed.values() if done)
                if f.before != f.after
            ],
            commands=commands,
            steps=steps,
            tool_calls=calls,
            usage=usage,
            cost_dollars=dollars(nanodollars),
            duration_ms=round((ended - began).total_seconds() * 1000),
            stop_reason=stop_reason,
            last_seq=log[-1].seq if log else 0,
            **delivery(log),
        ),
    )


def _take_back(changed: dict[str, list[tuple[int, FileChanged]]], undone: ev.WorkspaceReverted) -> None:
    """Leave out what a call did that was undone."""
    for file in undone.files:
        done = changed.get(file.path, [])
        changed[file.path] = [(seq, item) for seq, item in done if seq != undone.target.seq]


def _file(changes: list[FileChanged]) -> ReportedFile:
    return ReportedFile(
        path=changes[0].path,
        before=changes[0].before,
        after=changes[-1].after,
        lines_added=sum(c.lines_added for c in changes),
        lines_removed=sum(c.lines_removed for c in changes),
    )


def _command(seq: int, started: ev.ToolStarted, finished: ev.ToolFinished) -> ReportedCommand:
    ran = next((e for e in finished.evidence if isinstance(e, CommandRan) and e.task_id is None), None)
    job = next((e for e in finished.evidence if isinstance(e, JobStarted)), None)
    if job is not None:
        # That it was started well says nothing about it: until somebody saw its end, that is unknown.
        return ReportedCommand(
            seq=seq, command=job.command, cwd=job.cwd, exit_code=None, outcome="unknown", duration_ms=0
        )
    return ReportedCommand(
        seq=seq,
        command=ran.command if ran else str(started.input.get("command", "")),
        cwd=ran.cwd if ran else ".",
        exit_code=ran.exit_code if ran else None,
        outcome=finished.outcome.value,
        duration_ms=finished.duration_ms,
    )


def _ended_job(job: ReportedCommand, ran: CommandRan, seen: ev.ToolFinished) -> ReportedCommand:
    """A background job whose end the call `seen` told of."""
    stopped = seen.tool == "TaskStop" and ran.exit_code is None
    outcome: Literal["ok", "error", "cancelled"] = "ok" if ran.exit_code == 0 else "error"
    return job.model_copy(
        update={
            "exit_code": ran.exit_code,
            "outcome": "cancelled" if stopped else outcome,
            "duration_ms": ran.duration_ms,
        }
    )
