"""The fold: from events to the API's messages, in manifest order, rendering nothing.

A `Transcript` takes recorded events one by one, in seq order, and knows at any moment what the next
request would add, which tool calls are unanswered, what the model has seen and what the run has used.
Every text that is ever sent was stored as sent; the fold only concatenates.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, assert_never
from uuid import UUID

import orjson

from flynn.agent.approval import Approvals
from flynn.agent.differences import Differences
from flynn.agent.estimate import tokens_of
from flynn.agent.open_run import (
    AccountState,
    RunTotals,
    TaskTotals,
    Undo,
    charged_tokens,
    was_charged,
)
from flynn.agent.originals import Originals
from flynn.agent.shelf import Shelf
from flynn.agent.step import Call, FailedStep, Step
from flynn.domain import events as ev
from flynn.domain.content import Block, Json
from flynn.domain.evidence import CommandRan, FileChanged, FileRead, JobStarted
from flynn.domain.permission import PermissionMode
from flynn.domain.run import Limits, TaskLimits
from flynn.domain.tool_result import Outcome

Message = dict[str, Json]
InputKind = Literal["words", "result", "note", "account"]
"""What an input is: somebody's words, a tool's result, a note of ours that waits for words, or the words that
ask for a task's account, which only the call for it sends."""


def digest(*parts: Json) -> bytes:
    """sha256 over the canonical JSON of `parts`, in order."""
    h = hashlib.sha256()
    for part in parts:
        h.update(part if isinstance(part, bytes) else orjson.dumps(part))
        h.update(b"\0")
    return h.digest()


class Transcript:
    """The state of one conversation, folded from its log.

    `chain` of a step digests the frozen prefix and every message before it, so that a request's digest
    costs only what the request adds.
    """

    def __init__(self, *, prefix: Json, limits: Limits, task: TaskLimits | None = None) -> None:
        self.seq = 0
        self.steps: list[Step] = []
        self.calls: dict[str, Call] = {}
        self.pending: list[int] = []
        self.inputs: dict[int, list[Block]] = {}
        self.open_step: Step | None = None
        self.interrupted: ev.InterruptRequested | None = None
        self.interrupted_at = 0
        """The seq of the latest request to stop the run."""
        self.interrupted_since: datetime | None = None
        """When the first one was committed."""
        self.approvals = Approvals()
        self.mode: PermissionMode | None = None
        """The permission mode that the conversation was last changed to, None when it never was."""
        self.seen: dict[str, str] = {}
        self.cwd = "."
        self.jobs: dict[str, JobStarted | CommandRan] = {}
        """The last evidence of each background job that was ever started here."""
        self.context_tokens = 0
        self.result_tokens = 0
        """An estimate of what the results of the last adopted step have, media apart."""
        self.last_step = 0
        self.last_step_at = 0
        self.entered_at = 0
        """The seq of the last claim."""
        self.silent = False
        """Whether the last model call ended well but said nothing."""
        self.account = AccountState()
        """How far the account of a task is, since the agent last did anything else."""
        self.run = RunTotals(limits=limits)
        self.task = TaskTotals(limits=task or TaskLimits())
        """All runs together."""
        self.shelf = Shelf()
        """The bytes that the messages refer to."""
        self.originals = Originals()
        self.differences = Differences()
        self.tree: tuple[int, str] | None = None
        """The last snapshot that the log tells of, and the seq of its event."""
        self.undo: Undo | None = None
        """What the open run has to undo; None when it is the agent's."""
        self.checkout: ev.CheckoutMade | None = None
        self.handed_over: ev.TaskCommitted | None = None
        """What was last handed over of a task's checkout."""
        self.kinds: dict[int, InputKind] = {}
        self._messages: list[Message] = []
        self._base = digest(prefix)
        self._limits = limits

    # -- reading ------------------------------------------------------------------------------------

    def messages(self, manifest: list[int] | None = None) -> list[Message]:
        """The API's messages of the adopted steps, and of a request that adds `manifest`.

        Media are references, as they are stored; the shelf fills them in.
        """
        if not manifest:
            return list(self._messages)
        return [*self._messages, {"role": "user", "content": self.added(manifest)}]

    def added(self, manifest: list[int]) -> list[Block]:
        """The blocks that `manifest` adds, in its order."""
        return [block for seq in manifest for block in self.inputs[seq]]

    def manifest(self, *, account: bool = False) -> list[int]:
        """What the next request adds: results first, then words, each in seq order.

        What asks for an account only when that is what the request is for.
        """
        held = [seq for seq in self.pending if account or self.kinds[seq] != "account"]
        return sorted(held, key=lambda seq: (self.kinds[seq] != "result", seq))

    def preview(
        self, results: Sequence[ev.EventData], *, other: Json = None, account: bool = False
    ) -> tuple[list[int], str]:
        """The manifest and the digest of the next request, if `results` are appended right now.

        Same bytes, same digest. `results` take the next seqs; the append that carries them has to be exact.
        `other` is what the request has in place of the frozen prefix's, if anything: another model, a format.
        """
        fresh = {
            self.seq + place: event.content
            for place, event in enumerate(results, start=1)
            if isinstance(event, ev.ToolFinished)
        }
        held = self.manifest(account=account)
        cut = sum(self.kinds[seq] == "result" for seq in held)
        manifest = [*held[:cut], *fresh, *held[cut:]]
        blocks = [b for seq in manifest for b in (fresh.get(seq) or self.inputs[seq])]
        more = () if other is None else (other,)
        return manifest, digest(self._chain(), blocks, *more).hex()

    def open_calls(self) -> list[Call]:
        """Tool calls of the last adopted message that have no result yet, in call order."""
        return [c for c in self.calls.values() if not c.finished]

    def unanswered(self, after: int = 0) -> bool:
        """Whether words later than seq `after` are in no manifest.

        Words that the model was silent about have had their answer, and are sent again with the next ones.
        """
        after = max(after, self.last_step_at if self.silent else 0)
        return any(seq > after and self.kinds[seq] == "words" for seq in self.pending)

    @property
    def last_stop_reason(self) -> str | None:
        """Why the last adopted message ended."""
        return self.steps[-1].stop_reason if self.steps else None

    # -- folding ------------------------------------------------------------------------------------

    def apply(self, recorded: ev.Recorded) -> None:
        """Take the next event. Raises ValueError when it is not the next one."""
        if recorded.seq != self.seq + 1:
            raise ValueError(f"event {recorded.seq} does not follow {self.seq}")
        self.seq = recorded.seq
        event = recorded.event
        # What there is most of comes first: each case that does not match costs half a microsecond.
        match event:
            case ev.StepStarted():
                self._open(recorded.seq, event)
            case ev.MessageCompleted():
                self._adopt(event)
            case ev.StepCompleted():
                self._complete(event)
            case ev.StepFailed():
                self._fail(recorded.seq, event)
            case ev.ToolStarted():
                self.calls[event.call_id].started = True
            case ev.ToolFinished():
                self._finish(recorded.seq, event)
            case ev.MessageSent():
                self._input(recorded.seq, event.content, "words")
            case ev.InterruptRequested():
                self._interrupt(recorded, event)
            case ev.BudgetRaised():
                self._raise(event)
            case ev.ModeChanged():
                self.mode = event.mode
                self._input(recorded.seq, event.content, "note")
            case ev.UndoRequested():
                self.undo = Undo(recorded.seq, event)
            case ev.WorkspaceChanged():
                if event.after is not None:
                    self.tree = recorded.seq, event.after
            case ev.WorkspaceReverted():
                self._revert(recorded.seq, event)
            case ev.ApprovalRequested() | ev.ApprovalDecided() | ev.ApprovalExpired():
                self.approvals.take(recorded.seq, event)
            case ev.RunWaiting():
                self.run.failed = None
            case ev.AccountRequested() | ev.TaskAccounted():
                self._account(recorded.seq, event)
            case ev.CheckoutMade() | ev.CheckoutSkipped() | ev.TaskCommitted():
                self._settle_files(recorded.seq, event)
            case ev.RunQueued() | ev.BudgetReached() | ev.TaskReported() | ev.TaskChecked():
                pass
            case ev.RunStarted():
                self._enter(recorded.seq, recorded.run_id)
            case ev.RunCancelled() | ev.RunCompleted() | ev.RunFailed():
                self._leave(recorded.seq, event)
            case _:
                assert_never(event)

    def _complete(self, event: ev.StepCompleted) -> None:
        self._settle(event)
        self.context_tokens = event.usage.prompt + event.usage.output
        self.run.turns += 1
        self.run.failures = self.run.truncations = 0

    def _settle_files(self, seq: int, event: ev.CheckoutMade | ev.CheckoutSkipped | ev.TaskCommitted) -> None:
        if isinstance(event, ev.TaskCommitted):
            self.handed_over = event
            return
        if isinstance(event, ev.CheckoutMade):
            self.checkout = event
        if event.content:
            self._input(seq, event.content, "note")

    def _interrupt(self, recorded: ev.Recorded, event: ev.InterruptRequested) -> None:
        if self.interrupted is None:
            self.interrupted_since = recorded.at
        self.interrupted, self.interrupted_at = event, recorded.seq

    def _input(self, seq: int, content: list[Block], kind: InputKind) -> None:
        self.inputs[seq] = content
        self.kinds[seq] = kind
        self.pending.append(seq)

    def _account(self, seq: int, event: ev.AccountRequested | ev.TaskAccounted) -> None:
        if isinstance(event, ev.AccountRequested):
            self.account.asked = seq
            self._input(seq, event.content, "account")
        else:
            self.account.settled = True
            self._drop_request()

    def _drop_request(self) -> None:
        """What asks for an account is not sent any more."""
        self.pending = [seq for seq in self.pending if self.kinds[seq] != "account"]

    def _revert(self, seq: int, event: ev.WorkspaceReverted) -> None:
        for file in event.files:
            # What the model last saw is not there any more: it has to look before it builds on the file.
            self.seen.pop(file.path, None)
        if event.content:
            self._input(seq, event.content, "note")

    def _raise(self, event: ev.BudgetRaised) -> None:
        held = self.run.limits
        self.run.limits = Limits(
            turns=event.turns or held.turns,
            nanodollars=event.nanodollars or held.nanodollars,
            prompt_tokens=event.prompt_tokens or held.prompt_tokens,
        )
        if event.task is not None:
            given = event.task.model_dump(exclude_none=True)
            self.task.limits = self.task.limits.model_copy(update=given)

    def _enter(self, seq: int, run_id: UUID | None) -> None:
        self.entered_at = seq
        if run_id != self.run.run_id:
            self.run = RunTotals(limits=self._limits, run_id=run_id)
            # An interrupt that was meant for an earlier run has ended with it.
            self.interrupted = None
            self._drop_request()
            self.account = AccountState()

    def _leave(self, seq: int, event: ev.RunCancelled | ev.RunCompleted | ev.RunFailed) -> None:
        if isinstance(event, ev.RunCancelled) and event.content:
            self._input(seq, event.content, "note")
        self._drop_request()
        self.interrupted = self.undo = None

    def _open(self, seq: int, event: ev.StepStarted) -> None:
        self.last_step, self.last_step_at = event.step, seq
        self.silent = False
        self.run.failed = None
        self.open_step = Step(
            event.step,
            tuple(event.input_seqs),
            self._chain(),
            event.reserved_nanodollars,
            event.model,
            event.params.get("max_tokens", 0),
            event.reserved_tokens,
            account=bool(event.params.get("account")),
        )
        if self.open_step.account:
            self.account.calls += 1
        else:
            self._drop_request()
            self.account = AccountState()
        taken = set(event.input_seqs)
        self.pending = [s for s in self.pending if s not in taken]
        self.run.steps += 1

    def _adopt(self, event: ev.MessageCompleted) -> None:
        step = self._close(event.step)
        step.content, step.stop_reason = event.content, event.stop_reason
        self.steps.append(step)
        if step.manifest:
            self._messages.append({"role": "user", "content": self.added(list(step.manifest))})
        self._messages.append({"role": "assistant", "content": event.content})
        self.result_tokens = 0
        self.approvals.forget()
        self.calls = {
            b["id"]: Call(b["id"], b["name"], b["input"], self.run.run_id)
            for b in event.content
            if b.get("type") == "tool_use"
        }

    def _fail(self, seq: int, event: ev.StepFailed) -> None:
        step = self._close(event.step)
        self._settle(event)
        self.run.failed = FailedStep(event, seq, step.max_tokens)
        match event.reason:
            case "retry" | "broken_stream":
                self.run.failures += 1
                self.run.failed_model = step.model
            case "truncated":
                self.run.truncations += 1
            case "empty":
                self.silent = not step.account
            case "permanent" | "refused" | "cancelled" | "worker_lost" | "held" | "unfit":
                pass
            case _:
                assert_never(event.reason)
        restored = list(step.manifest)
        for number in event.withdrawn_steps:
            restored = self._withdraw(number, restored)
        dropped = set(event.dropped_seqs)
        self.pending = sorted(s for s in {*self.pending, *restored} if s not in dropped)
        if event.content:
            self._input(seq, event.content, "note")

    def _withdraw(self, number: int, restored: list[int]) -> list[int]:
        """Take back the last adopted step: its results go, what its own manifest added is pending again."""
        step = self.steps.pop()
        if step.number != number:
            raise ValueError(f"step {number} is not the last adopted one")
        del self._messages[-2 if step.manifest else -1 :]
        gone = {seq for seq in restored if self.kinds[seq] == "result"}
        self.calls = {}
        self.approvals.forget()
        return [*step.manifest, *(s for s in restored if s not in gone)]

    def _close(self, number: int) -> Step:
        step = self.open_step
        if step is None or step.number != number:
            raise ValueError(f"step {number} is not open")
        self.open_step = None
        return step

    def _settle(self, event: ev.StepCompleted | ev.StepFailed) -> None:
        tokens, calls = charged_tokens(event), int(was_charged(event))
        self.run.usage += event.usage
        self.run.nanodollars += event.nanodollars
        self.run.tokens += tokens
        self.run.calls += calls
        self.task.nanodollars += event.nanodollars
        self.task.tokens += tokens
        self.task.turns += calls

    def _finish(self, seq: int, event: ev.ToolFinished) -> None:
        self.calls[event.call_id].started = self.calls[event.call_id].finished = True
        self._input(seq, event.content, "result")
        self.result_tokens += tokens_of(event.content)
        if event.outcome is Outcome.UNKNOWN:
            # Nobody knows what it left behind: whatever was seen has to be looked at again.
            self.seen.clear()
        for item in event.evidence:
            match item:
                case FileRead():
                    self.seen[item.path] = item.sha256
                case FileChanged():
                    self.seen[item.path] = item.after
                case CommandRan(task_id=str(job)) | JobStarted(task_id=job):
                    self.jobs[job] = item
                case CommandRan():
                    self.cwd = item.cwd_after or self.cwd
                case _:
                    pass

    def _chain(self) -> bytes:
        """Digest of the prefix and of every adopted message."""
        if not self.steps:
            return self._base
        last = self.steps[-1]
        return digest(last.chain, self.added(list(last.manifest)), last.content)
