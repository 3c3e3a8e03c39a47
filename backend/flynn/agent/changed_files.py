"""The files that a conversation changed, folded from its log: for each path what was first and what is last.

Snapshots tell of every call's changes, commands' too. Where there was none, the evidence of Write and Edit
tells of theirs. What was undone is left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flynn.domain import events as ev
from flynn.domain.evidence import FileChanged
from flynn.domain.report import ReportedFile
from flynn.domain.tool_result import Outcome


@dataclass(frozen=True, slots=True)
class _Step:
    """A change of one path by the call that ended at `call_seq`, told of at `seq`."""

    seq: int
    call_id: str | None
    before: str | None
    after: str | None
    added: int
    removed: int
    mode: bool


@dataclass(frozen=True, slots=True)
class ChangedFiles:
    """`files` is what is left of all changes, in the order in which the paths were first changed. `touched`
    has every path that calls changed, and the seq that tells of its last change, which may be an undo: a
    command that passed before it says nothing of what is there now. `commands` counts the calls
    that ran a command, which may have changed what no snapshot covers.

    Directories are not files, and a change of mode alone is no change of content: neither is in `files`.
    `modes` are the paths whose mode was changed.
    """

    files: list[ReportedFile]
    touched: dict[str, int]
    commands: int
    modes: frozenset[str]


def changed_files(log: Sequence[ev.Recorded]) -> ChangedFiles:
    """What `log` tells of files, without what was undone."""
    told = {
        item.event.call_id
        for item in log
        if isinstance(item.event, ev.WorkspaceChanged) and item.event.before is not None
    }
    ended: dict[int, str] = {}
    steps: dict[str, list[_Step]] = {}
    touched: dict[str, int] = {}
    commands = 0
    for item in log:
        match item.event:
            case ev.ToolFinished() as event:
                commands += event.tool == "Bash" and event.outcome is not Outcome.DENIED
                ended[item.seq] = event.call_id
                if event.call_id not in told:
                    touched |= _take(steps, item.seq, event.call_id, _of_evidence(event))
            case ev.WorkspaceChanged() as event:
                touched |= _take(steps, item.seq, event.call_id, event.files)
            case ev.WorkspaceReverted() as event:
                _take_back(steps, event, ended)
                touched |= {file.path: item.seq for file in event.files if file.path in touched}
            case _:
                pass
    return ChangedFiles(
        files=[file for path, done in steps.items() if (file := _file(path, done)) is not None],
        touched=touched,
        commands=commands,
        modes=frozenset(path for path, done in steps.items() if any(step.mode for step in done)),
    )


def _of_evidence(event: ev.ToolFinished) -> Iterable[ev.ChangedPath]:
    for item in event.evidence:
        if isinstance(item, FileChanged):
            yield ev.ChangedPath(
                path=item.path,
                change="added" if item.before is None else "modified",
                before=item.before,
                after=item.after,
                lines_added=item.lines_added,
                lines_removed=item.lines_removed,
            )


def _take(
    steps: dict[str, list[_Step]], seq: int, call_id: str | None, files: Iterable[ev.ChangedPath]
) -> dict[str, int]:
    """Note what a call changed; the paths of it, each with `seq`."""
    taken: dict[str, int] = {}
    for file in files:
        if file.kind != "directory" or file.change == "type":
            lines = (file.lines_added, file.lines_removed)
            step = _Step(seq, call_id, file.before, file.after, *lines, mode=file.change == "mode")
            steps.setdefault(file.path, []).append(step)
            taken[file.path] = seq
    return taken


def _take_back(steps: dict[str, list[_Step]], undone: ev.WorkspaceReverted, ended: dict[int, str]) -> None:
    """Leave out what was undone, of the paths that are as they were."""
    target = undone.target
    for file in undone.files:
        done = steps.get(file.path, [])
        if isinstance(target, ev.UndoneCall):
            call_id = ended.get(target.seq, target.call_id)
            steps[file.path] = [step for step in done if step.call_id != call_id]
        else:
            steps[file.path] = [step for step in done if step.seq <= target.seq]


def _file(path: str, done: list[_Step]) -> ReportedFile | None:
    if not done or done[0].before == done[-1].after:
        return None
    return ReportedFile(
        path=path,
        before=done[0].before,
        after=done[-1].after,
        lines_added=sum(step.added for step in done),
        lines_removed=sum(step.removed for step in done),
    )
