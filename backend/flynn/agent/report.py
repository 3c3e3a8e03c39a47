"""A task's report, built from the log: what changed, what ran, what was found, what it cost.

Apart from it stands what the agent says, each claim with what the evidence says of that.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from flynn.agent.changed_files import changed_files
from flynn.agent.claims import Proofs, criteria_of, judge, unmentioned
from flynn.agent.delivery import delivery
from flynn.domain import events as ev
from flynn.domain.content import text_of
from flynn.domain.evidence import CommandRan, JobStarted
from flynn.domain.report import Evidence, Report, ReportedCommand
from flynn.domain.usage import Usage, dollars
from flynn.telemetry.redaction import redact

_UNSEEN: Final = "Nobody looked: nothing was changed, or there was no time for it."
"""Why there are no checks, unless something else is known."""


def build_report(
    task_id: UUID,
    log: Sequence[ev.Recorded],
    *,
    state: Literal["completed", "failed", "cancelled"],
    stop_reason: str,
    detail: str | None,
    began: datetime,
    ended: datetime,
    criteria: Sequence[str] = (),
) -> Report:
    """Fold `log` (the whole conversation of the task) into its report; `criteria` are those of its order."""
    changed = changed_files(log)
    commands: list[ReportedCommand] = []
    jobs: dict[str, int] = {}
    usage, nanodollars, steps, calls = Usage(), 0, 0, 0
    prose = ""
    account: ev.TaskAccounted | None = None
    checked: ev.TaskChecked | None = None
    missing = _UNSEEN
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
                        case JobStarted() if event.call_id in started:
                            jobs[item.task_id] = len(commands) - 1
                        case CommandRan(task_id=str(job)) if job in jobs:
                            commands[jobs[job]] = _ended_job(commands[jobs[job]], item, event)
                        case _:
                            pass
            case ev.WorkspaceReverted(refused=None):
                checked, missing = None, "Nobody has looked since something was undone."
            case ev.StepCompleted() | ev.StepFailed() as event:
                usage += event.usage
                nanodollars += event.nanodollars
                steps += isinstance(event, ev.StepCompleted)
            case ev.MessageCompleted(account=False) as event:
                prose = text_of(event.content) or prose
            case ev.StepStarted() as event if not event.params.get("account"):
                # The agent goes on: what was said and seen before was of an earlier end.
                account = checked = None
                missing = _UNSEEN
            case ev.TaskAccounted() as event:
                account = event
            case ev.TaskChecked() as event:
                checked = event
            case _:
                pass
    proofs = Proofs(
        commands=commands,
        changed={file.path: changed.touched[file.path] for file in changed.files},
        touched=changed.touched,
        modes=changed.modes,
        untouched=frozenset(checked.untouched if checked else ()),
        absent=frozenset(checked.absent if checked else ()),
        checks=checked.checks if checked else None,
    )
    said = account.account if account else None
    return Report(
        task_id=task_id,
        state=state,
        detail=detail,
        prose=prose,
        evidence=Evidence(
            files=changed.files,
            commands=commands,
            checks=proofs.checks,
            checks_missing=None if checked else missing,
            steps=steps,
            tool_calls=calls,
            usage=usage,
            cost_dollars=dollars(nanodollars),
            duration_ms=round((ended - began).total_seconds() * 1000),
            stop_reason=stop_reason,
            last_seq=log[-1].seq if log else 0,
            **delivery(log),
        ),
        criteria=criteria_of(criteria, said, proofs),
        account=said,
        account_missing=None if said else _unaccounted(account, state),
        claims=judge(said, proofs) if said else [],
        unmentioned=unmentioned(said, proofs) if said else [],
    )


def _unaccounted(account: ev.TaskAccounted | None, state: str) -> str:
    if account is not None and account.missing:
        return account.missing
    return "The agent came to no end of its own." if state != "completed" else "It was not asked for one."


def _command(seq: int, started: ev.ToolStarted, finished: ev.ToolFinished) -> ReportedCommand:
    ran = next((e for e in finished.evidence if isinstance(e, CommandRan) and e.task_id is None), None)
    job = next((e for e in finished.evidence if isinstance(e, JobStarted)), None)
    if job is not None:
        # That it was started well says nothing about it: until somebody saw its end, that is unknown.
        return ReportedCommand(
            seq=seq,
            command=job.command,
            cwd=job.cwd,
            exit_code=None,
            outcome="unknown",
            duration_ms=0,
            description=_description(started),
        )
    return ReportedCommand(
        seq=seq,
        command=ran.command if ran else str(started.input.get("command", "")),
        cwd=ran.cwd if ran else ".",
        exit_code=ran.exit_code if ran else None,
        outcome=finished.outcome.value,
        duration_ms=finished.duration_ms,
        description=_description(started),
    )


def _description(started: ev.ToolStarted) -> str | None:
    said = started.input.get("description")
    return redact(said) if isinstance(said, str) and said.strip() else None


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
