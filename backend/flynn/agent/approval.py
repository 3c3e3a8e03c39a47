"""What is asked of people and what they said: the approvals of one conversation, folded from its log."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from flynn.domain import events as ev
from flynn.domain.permission import BadRule, Rule, call_digest


@dataclass(slots=True)
class Approval:
    """One request, and what became of it."""

    seq: int
    request: ev.ApprovalRequested
    decision: ev.ApprovalDecided | None = None
    expired: ev.ExpiryReason | None = None

    @property
    def open(self) -> bool:
        """Whether somebody can still decide it, as far as the log says."""
        return self.decision is None and self.expired is None


@dataclass(slots=True)
class Approvals:
    """The requests for the calls of the last adopted message, and what was granted for good."""

    by_call: dict[str, Approval] = field(default_factory=dict)
    granted: list[Rule] = field(default_factory=list)
    remembered: set[str] = field(default_factory=set)

    def take(self, seq: int, event: ev.ApprovalRequested | ev.ApprovalDecided | ev.ApprovalExpired) -> None:
        """Take what the log says of a request."""
        match event:
            case ev.ApprovalRequested():
                self.request(seq, event)
            case ev.ApprovalDecided():
                self.decide(event)
            case ev.ApprovalExpired():
                self.expire(event)
            case _:
                assert_never(event)

    def request(self, seq: int, event: ev.ApprovalRequested) -> None:
        """Take a request."""
        self.by_call[event.call_id] = Approval(seq, event)

    def decide(self, event: ev.ApprovalDecided) -> None:
        """Take a decision. One for a call that is not asked for any more only grants what it grants."""
        approval = self.by_call.get(event.call_id)
        if approval is not None and approval.request.approval_id == event.approval_id:
            approval.decision = event
        if event.decision == "allow":
            if event.remember:
                self.remembered.add(event.call_digest)
            if event.rule is not None:
                self._grant(event.rule)

    def expire(self, event: ev.ApprovalExpired) -> None:
        """Take the end of a request that nobody decided."""
        approval = self.by_call.get(event.call_id)
        if approval is not None:
            approval.expired = event.reason

    def forget(self) -> None:
        """The calls are over: only what was granted for good stays."""
        self.by_call.clear()

    def undecided(self, now: datetime) -> list[Approval]:
        """Requests that wait for somebody and have not run out of time."""
        return [a for a in self.by_call.values() if a.open and a.request.expires_at > now]

    def of(self, call_id: str, tool: str, given: object) -> Approval | None:
        """The request for exactly this call; one for other input is none."""
        approval = self.by_call.get(call_id)
        if approval is None or approval.request.call_digest != call_digest(tool, given):
            return None
        return approval

    def _grant(self, rule: str) -> None:
        try:
            self.granted.append(Rule.parse(rule))
        except BadRule:
            # Intake took it in a version that read rules otherwise: what cannot be read grants nothing.
            return
