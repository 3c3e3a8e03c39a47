"""A run on the terminal: words as they come, one line for each tool call, and the report at the end."""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO, assert_never

from flynn.domain import events as ev
from flynn.domain.content import Json
from flynn.domain.delta import Delta
from flynn.domain.evidence import Checked, CommandRan, Evidence, FileChanged, FileRead, JobStarted, Searched
from flynn.domain.report import Report

SUMMARY_WIDTH = 100
_SPELT = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_TELLING = ("command", "file_path", "pattern", "path")
"""Fields of a tool's input of which the first that is there says most."""


def counted(count: int, what: str) -> str:
    """Such as "1 file" and "2 files"."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def safe(text: str) -> str:
    """`text` with control characters spelt out: words of a model or a command must not steer a terminal."""
    return text.replace("\r\n", "\n").translate(_SPELT)


def one_line(text: str) -> str:
    """`text` as one short line."""
    line = " ".join(safe(text).split())
    return line if len(line) <= SUMMARY_WIDTH else line[: SUMMARY_WIDTH - 1] + "…"


def seconds(milliseconds: int) -> str:
    """A duration for people."""
    return f"{milliseconds / 1000:.1f} s"


class Screen:
    """Prints what a run does. Colours on a terminal only.

    Text that a delta has shown is not printed again with its message, and what no delta brought is.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._colours = self._out.isatty()
        self._epoch = 0
        self._step = 0
        self._shown: dict[int, int] = {}
        self._fresh = True
        self._open: dict[str, str] = {}
        self._mixed = False

    def line(self, text: str = "", *, style: str | None = None) -> None:
        """Print a line of its own."""
        if not self._fresh:
            self._out.write("\n")
        if style and self._colours:
            text = f"\x1b[{style}m{text}\x1b[0m"
        self._out.write(text + "\n")
        self._out.flush()
        self._fresh = True

    def delta(self, delta: Delta) -> None:
        """Show words on the way; only the visible text."""
        if delta.kind != "text" or (delta.epoch, delta.step) < (self._epoch, self._step):
            return
        self._enter(delta.epoch, delta.step)
        shown = self._shown.get(delta.block, 0)
        if delta.offset > shown:  # something was missed: the message brings it
            return
        self._words(delta.block, delta.text[shown - delta.offset :])

    def event(self, event: ev.EventData) -> None:
        """Show an event."""
        match event:
            case ev.MessageCompleted():
                if not event.account:
                    self._message(event)
            case ev.ToolStarted():
                self._open[event.call_id] = event.tool
                self.line(f"● {event.tool}  {one_line(telling(event.input))}", style="36")
            case ev.ToolFinished():
                self._finished(event)
            case ev.StepStarted():
                self._enter(self._epoch, event.step)
            case ev.StepFailed():
                again = ", it is asked again" if event.retry_at else ""
                self.line(
                    f"  the model's answer {event.step} failed{again}: {one_line(event.detail)}", style="33"
                )
            case ev.RunStarted():
                if self._epoch and event.epoch > self._epoch:
                    self.line("  the run was taken up again", style="33")
                self._epoch, self._step = event.epoch, 0
            case ev.RunWaiting():
                until = f" until {event.retry_at:%H:%M:%S} UTC" if event.retry_at else ""
                self.line(f"  the run waits{until} ({event.reason}): {safe(event.detail)}", style="33")
            case ev.InterruptRequested():
                self.line("  interrupted", style="33")
            case ev.ApprovalDecided():
                self.line(
                    f"  {safe(event.principal)} said {'yes' if event.decision == 'allow' else 'no'}",
                    style="33",
                )
            case ev.ModeChanged():
                self.line(f"  the permission mode is {event.mode.value} now", style="33")
            case ev.UndoRequested():
                what = (
                    "a call" if isinstance(event.target, ev.UndoneCall) else f"all after {event.target.seq}"
                )
                self.line(f"  {safe(event.principal)} wants {what} to be undone", style="33")
            case (
                ev.WorkspaceChanged()
                | ev.WorkspaceReverted()
                | ev.CheckoutMade()
                | ev.CheckoutSkipped()
                | ev.TaskCommitted()
            ):
                self._files(event)
            case ev.ApprovalExpired():
                self.line("  nobody decided, so the call is not made", style="33")
            case (
                ev.MessageSent()
                | ev.ApprovalRequested()
                | ev.BudgetRaised()
                | ev.BudgetReached()
                | ev.RunQueued()
                | ev.RunCompleted()
                | ev.RunFailed()
                | ev.RunCancelled()
                | ev.StepCompleted()
                | ev.TaskReported()
                | ev.AccountRequested()
                | ev.TaskAccounted()
                | ev.TaskChecked()
            ):
                pass
            case _:
                assert_never(event)

    def _files(self, event: ev.WorkspaceEvent) -> None:
        """Show what became of files."""
        match event:
            case ev.WorkspaceChanged(missed=str(why)):
                self.line(f"  not covered by snapshots: {one_line(why)}", style="33")
            case ev.WorkspaceChanged():
                if event.tool not in ("Write", "Edit"):
                    names = ", ".join(file.path for file in event.files)
                    self.line(f"  changed: {one_line(names)}", style="2")
            case ev.WorkspaceReverted(refused=str(why)):
                self.line(f"  not undone: {one_line(why)}", style="33")
            case ev.WorkspaceReverted():
                names = ", ".join(file.path for file in event.files)
                self.line(f"  undone: {one_line(names)}", style="33")
            case ev.CheckoutMade():
                self.line(f"  at work on the branch {safe(event.branch)}", style="33")
            case ev.CheckoutSkipped():
                self.line(f"  no checkout of its own: {one_line(event.detail)}", style="33")
            case ev.TaskCommitted():
                commits = counted(len(event.commits) + event.more, "commit")
                self.line(f"  branch {safe(event.branch)}: {event.outcome}, {commits}", style="33")
            case _:
                assert_never(event)

    def report(self, report: Report) -> None:
        """Show what the log proves of a task."""
        found = report.evidence
        colour = {"completed": "32", "failed": "31", "cancelled": "33"}[report.state]
        self.line()
        because = f": {safe(report.detail)}" if report.detail else ""
        self.line(f"{report.state.capitalize()}{because}", style=colour)
        for file in found.files:
            new = " (new)" if file.before is None else ""
            self.line(f"  {safe(file.path)}{new}  +{file.lines_added} -{file.lines_removed}")
        for command in found.commands:
            code = f"exit {command.exit_code}" if command.exit_code is not None else command.outcome
            # Of one whose end nobody saw it is not known how long it took.
            took = f"{seconds(command.duration_ms)}  " if command.duration_ms else ""
            self.line(f"  {code}  {took}{one_line(command.command)}")
        self.line(
            f"  {found.steps} steps, {found.tool_calls} tool calls, {seconds(found.duration_ms)}, "
            f"{found.usage.prompt} tokens in, {found.usage.output} out, ${found.cost_dollars:.4f}"
        )

    def _enter(self, epoch: int, step: int) -> None:
        if (epoch, step) != (self._epoch, self._step):
            self._epoch, self._step, self._shown = epoch, step, {}
            if not self._fresh:
                self.line()

    def _words(self, block: int, text: str) -> None:
        if not text:
            return
        if block not in self._shown and not self._fresh:
            self.line()
        self._shown[block] = self._shown.get(block, 0) + len(text)
        self._out.write(safe(text))
        self._out.flush()
        self._fresh = text.endswith("\n")

    def _message(self, event: ev.MessageCompleted) -> None:
        self._enter(self._epoch, event.step)
        for index, block in enumerate(event.content):
            if block.get("type") == "text":
                self._words(index, str(block.get("text", ""))[self._shown.get(index, 0) :])
        if not self._fresh:
            self.line()

    def _finished(self, event: ev.ToolFinished) -> None:
        # Lines of parallel calls mix: then each says whose it is.
        self._mixed = self._mixed or len(self._open) > 1
        whose = f"{event.tool}: " if self._mixed else ""
        self._open.pop(event.call_id, None)
        self._mixed = self._mixed and bool(self._open)
        words = ", ".join(described(event.evidence)) or event.outcome
        if event.outcome not in ("ok", words) and not event.evidence:
            words = f"{event.outcome}: {one_line(_result_text(event.content))}"
        style = "2" if event.outcome == "ok" else "31"
        self.line(f"  {whose}{safe(words)} ({seconds(event.duration_ms)})", style=style)


def telling(given: Json) -> str:
    """What a tool was asked for: its most telling field, or the description of a command of many lines."""
    if isinstance(given, dict):
        command, description = given.get("command"), given.get("description")
        if isinstance(command, str) and "\n" in command.strip() and isinstance(description, str):
            return description
        for name in _TELLING:
            if isinstance(given.get(name), str):
                return str(given[name])
    return json.dumps(given, ensure_ascii=False)


def described(evidence: Iterable[Evidence]) -> Iterator[str]:
    """What evidence says, a few words each."""
    for item in evidence:
        match item:
            case CommandRan():
                code = f"exit {item.exit_code}" if item.exit_code is not None else "killed"
                yield f"{code}, timed out" if item.timed_out else code
            case JobStarted():
                yield f"started {item.task_id}"
            case FileChanged():
                new = "new, " if item.before is None else ""
                yield f"{new}+{item.lines_added} -{item.lines_removed}"
            case FileRead():
                yield "read" if item.complete else "read in part"
            case Searched():
                more = " or more" if item.cut else ""
                yield f"{item.matches}{more} found"
            case Checked(new=[]):
                yield "no new finding"
            case Checked():
                count = len(item.new) + item.more
                yield f"{count} new finding{'s' if count > 1 else ''}"
            case _:
                assert_never(item)


def _result_text(content: list[dict[str, Json]]) -> str:
    inner = content[0].get("content") if content else None
    if isinstance(inner, list):
        return " ".join(str(b.get("text", "")) for b in inner if isinstance(b, dict))
    return str(inner or "")
