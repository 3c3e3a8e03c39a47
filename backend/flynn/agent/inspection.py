"""The inspection: after a call that wrote a file, the linters look at that file, and the model is told.

It comes after the call and is no part of it: what the call did stands, whatever becomes of the inspection. It
only reads, takes seconds at most, and says what it did not do. See docs/decisions/0030.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from flynn.agent.fold import Transcript
from flynn.domain.content import Block
from flynn.domain.diff_checks import DiffFinding
from flynn.domain.errors import SandboxUnavailable, WorkspaceError
from flynn.domain.events import ToolFinished
from flynn.domain.evidence import Checked, FileChanged
from flynn.domain.finding import Finding
from flynn.domain.tool_result import Outcome
from flynn.sandbox.command import Sandbox
from flynn.sandbox.fenced import FencedSandbox
from flynn.workspace.checks.comparison import NOTHING, Look, Past, look, look_back
from flynn.workspace.root import Workspace

SECONDS: Final = 10.0
"""For all linters over one file, before and after."""
_GRACE: Final = 4.0
_MOST: Final = 15
"""Findings that the model is told, and that are kept."""
_LONGEST: Final = 300
_KEPT: Final = 200
"""Contents of which the findings are remembered, for the next change of the same file."""


class Inspection:
    """Inspects for one run. `place` is a directory of the service's own.

    `deadline` and `confirm` are those of the run's lease.
    """

    def __init__(
        self,
        *,
        workspace: Workspace,
        sandbox: Sandbox,
        place: Path,
        deadline: Callable[[], float | None],
        confirm: Callable[[], None],
    ) -> None:
        self._workspace = workspace
        self._sandbox = sandbox
        self._place = place
        self._deadline = deadline
        self._confirm = confirm
        self._pasts: OrderedDict[tuple[str, str], Past] = OrderedDict()

    def wants(self, event: ToolFinished) -> bool:
        """Whether the call wrote a file by its name, and well."""
        return event.outcome is Outcome.OK and event.tool in ("Write", "Edit") and _change(event) is not None

    async def inspected(self, event: ToolFinished, transcript: Transcript) -> ToolFinished:
        """`event` with what the linters say of the file. Raises LeaseLost; cancelled, no process is left."""
        change = _change(event)
        if change is None:
            return event
        sandbox = FencedSandbox(
            self._sandbox, deadline=self._deadline, confirm=self._confirm, seconds=SECONDS
        )
        try:
            async with asyncio.timeout(SECONDS + _GRACE):
                seen = await look(self._workspace, sandbox, (change.path,))
                if not seen.ran and not seen.not_run:
                    return event  # no linter takes such a file
                past = await self._past(change, transcript, sandbox) if seen.findings else NOTHING
        except TimeoutError:
            return _told(event, _nothing(change, f"the linters took longer than {SECONDS:g} s"))
        except (WorkspaceError, SandboxUnavailable, OSError):
            return _told(event, _nothing(change, "the file could not be looked at"))
        self._remember(change.path, change.after, seen)
        return _told(event, _evidence(change, seen, past))

    async def _past(self, change: FileChanged, transcript: Transcript, sandbox: Sandbox) -> Past | None:
        """What was found in what the file held before; None when nobody knows that."""
        if change.before is None:
            return NOTHING
        known = self._pasts.get((change.path, change.before))
        if known is not None:
            return known
        original = transcript.originals.find(change.before)
        if original is None:
            return None
        try:
            back = await look_back(self._workspace, sandbox, {change.path: original.data}, place=self._place)
        except (OSError, WorkspaceError, SandboxUnavailable):
            return None
        return back[change.path]

    def _remember(self, path: str, digest: str, seen: Look) -> None:
        self._pasts[path, digest] = seen.past(path)
        while len(self._pasts) > _KEPT:
            self._pasts.popitem(last=False)


def _change(event: ToolFinished) -> FileChanged | None:
    return next((item for item in event.evidence if isinstance(item, FileChanged)), None)


def _nothing(change: FileChanged, why: str) -> Checked:
    return Checked(path=change.path, sha256=change.after, tools=[], not_run=[why])


def _evidence(change: FileChanged, seen: Look, past: Past | None) -> Checked:
    found = seen.told_apart({change.path: past})
    mine = [item for item in found if item.path == change.path]
    fresh = [item for item in mine if item.new is not False]
    return Checked(
        path=change.path,
        sha256=change.after,
        tools=[ran.tool for ran in seen.ran],
        new=[_plain(item) for item in fresh[:_MOST]],
        more=max(0, len(fresh) - _MOST),
        old=len(mine) - len(fresh),
        known=all(item.new is not None for item in fresh),
        not_run=[f"{gap.tool}: {gap.reason}" for gap in seen.not_run],
    )


def _plain(item: DiffFinding) -> Finding:
    return Finding(**item.model_dump(exclude={"new"}))


def _told(event: ToolFinished, checked: Checked) -> ToolFinished:
    """`event` with the evidence, and with words for the model behind the result."""
    (block,) = event.content
    words = words_of(checked)
    content = block["content"]
    told: str | list[Block] = (
        f"{content}\n{words}" if isinstance(content, str) else [*content, {"type": "text", "text": words}]
    )
    return event.model_copy(
        update={"content": [{**block, "content": told}], "evidence": [*event.evidence, checked]}
    )


def words_of(checked: Checked) -> str:
    """What the model is told: in one line where there is nothing to mend."""
    tools = ", ".join(checked.tools)
    gaps = "; ".join(reason[:_LONGEST] for reason in checked.not_run)
    if not checked.tools and not checked.new:
        return f"Checks: not checked: {gaps}."
    count = len(checked.new) + checked.more
    before = (
        f", {checked.old} that {'was' if checked.old == 1 else 'were'} there before" if checked.old else ""
    )
    kind = "new " if checked.known else ""
    unknown = "" if checked.known else " (whether they are new is not known)"
    if not count:
        head = f"Checks ({tools}): no new finding{before}."
        return f"{head} Not checked: {gaps}." if gaps else head
    lines = [f"Checks ({tools}): {count} {kind}finding{'s' if count > 1 else ''}{unknown}{before}."]
    lines += [_line(item) for item in checked.new]
    if checked.more:
        lines.append(f"and {checked.more} more")
    if gaps:
        lines.append(f"Not checked: {gaps}.")
    return "\n".join(lines)


def _line(item: Finding) -> str:
    where = f"{item.path}:{item.line}" if item.line else item.path
    message = item.message if len(item.message) <= _LONGEST else f"{item.message[:_LONGEST]}…"
    return f"{where} {item.severity} {item.tool} {item.rule}: {message}"
