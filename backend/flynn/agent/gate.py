"""The gate before the tools: which calls pass, which are refused, which wait for somebody's yes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from flynn.agent.approval import Approval
from flynn.agent.fold import Transcript
from flynn.agent.permission import Permissions
from flynn.agent.prompt import NoteName, Prompts
from flynn.agent.step import Call
from flynn.agent.turns import Waits
from flynn.domain import events as ev
from flynn.domain.permission import PermissionMode, call_digest, strictest
from flynn.domain.tool_result import Outcome, ToolResult
from flynn.tools.toolset import acceptable

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Passed:
    """The call may act."""


@dataclass(frozen=True, slots=True)
class Held:
    """The call waits for a yes; `reason` says why one is needed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The call does not act; `result` says so to the model."""

    result: ToolResult


Look = Passed | Held | Refused


def _now() -> datetime:
    return datetime.now(UTC)


class Gate:
    """The gate of one run. `patience` is how long a request waits for a decision.

    `mode` is the one that the conversation was opened with; a later one is in the log.
    """

    def __init__(
        self,
        permissions: Permissions,
        prompts: Prompts,
        *,
        mode: PermissionMode | None,
        patience: timedelta,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._permissions = permissions
        self._prompts = prompts
        self._mode = mode
        self._patience = patience
        self._now = now

    def mode(self, transcript: Transcript) -> PermissionMode:
        """The mode that holds: the conversation's own, but never less strict than the operator's."""
        return strictest(self._permissions.mode, transcript.mode or self._mode)

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Globs of files that searches must leave out."""
        return self._permissions.unreadable

    def look(self, call: Call, transcript: Transcript) -> Look:
        """What becomes of `call` now. The same transcript at the same time gives the same answer."""
        if not acceptable(call.tool, call.input):
            return Passed()  # it will be told what is wrong with its input, and does nothing
        approvals = transcript.approvals
        verdict = self._permissions.judge(
            call.tool,
            call.input,
            mode=self.mode(transcript),
            cwd=transcript.cwd,
            granted=approvals.granted,
            remembered=approvals.remembered,
        )
        match verdict.effect:
            case "allow":
                return Passed()
            case "deny":
                return self._refused("denied_by_rule", reason=verdict.reason)
            case "ask":
                asked = approvals.of(call.call_id, call.tool, call.input)
                return self._answer(asked) if asked else Held(verdict.reason)

    def news(self, calls: Iterable[Call], transcript: Transcript) -> list[ev.EventData]:
        """What is to be committed before a run waits for `calls`: requests, and ends of overdue ones."""
        found: list[ev.EventData] = []
        for call in calls:
            look = self.look(call, transcript)
            if not isinstance(look, Held):
                continue
            asked = transcript.approvals.of(call.call_id, call.tool, call.input)
            if asked is None:
                found.append(self._request(call, transcript.last_step, look.reason))
            elif reason := self._overdue(asked, transcript):
                request = asked.request
                found.append(
                    ev.ApprovalExpired(approval_id=request.approval_id, call_id=call.call_id, reason=reason)
                )
        return found

    def wait(self, transcript: Transcript) -> Waits:
        """The wait for what was requested."""
        undecided = [approval.request for approval in transcript.approvals.undecided(self._now())]
        first = min((request.expires_at for request in undecided), default=self._now())
        return Waits("approval", _words(undecided), retry_at=first, after=transcript.seq)

    def _request(self, call: Call, step: int, reason: str) -> ev.ApprovalRequested:
        return ev.ApprovalRequested(
            approval_id=uuid4(),
            step=step,
            call_id=call.call_id,
            tool=call.tool,
            input=call.input,
            call_digest=call_digest(call.tool, call.input),
            reason=reason,
            expires_at=self._now() + self._patience,
        )

    def _overdue(self, approval: Approval, transcript: Transcript) -> ev.ExpiryReason | None:
        if transcript.unanswered(after=approval.seq):
            return "words"
        return "time" if approval.request.expires_at <= self._now() else None

    def _answer(self, approval: Approval) -> Look:
        match approval:
            case Approval(decision=ev.ApprovalDecided(decision="allow")):
                return Passed()
            case Approval(decision=ev.ApprovalDecided() as decision):
                return self._refused("denied_by_person", who=decision.principal, words=decision.message)
            case Approval(expired="words"):
                return self._refused("denied_by_words")
            case Approval(expired="time"):
                return self._refused("approval_expired")
            case _:
                return Held(approval.request.reason)

    def _refused(self, note: NoteName, **facts: object) -> Refused:
        text = self._prompts.note(note, **facts)
        return Refused(ToolResult(content=text, outcome=Outcome.DENIED))


def _words(requests: Sequence[ev.ApprovalRequested]) -> str:
    calls = "; ".join(f"{request.tool} {_telling(request.input)}"[:_SHOWN] for request in requests)
    return f"A yes is needed for: {calls}." if calls else "A yes was needed."


def _telling(given: object) -> str:
    """What a call is about, in one line."""
    if isinstance(given, dict):
        for name in ("command", "file_path", "pattern"):
            if isinstance(given.get(name), str):
                return " ".join(str(given[name]).split())
    return ""
