"""The choice of whom the next call asks: the frozen model, or the fallback while that one does not answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flynn.agent.budget import Budget
from flynn.agent.fold import Transcript
from flynn.agent.pause import ATTEMPTS, spread
from flynn.agent.turns import Waits
from flynn.domain import events as ev
from flynn.domain.content import Json
from flynn.model.catalog import find
from flynn.model.claude import Claude
from flynn.model.request import ModelRequest


@dataclass(frozen=True, slots=True)
class Plan:
    """Whom the next call asks, and how much room its answer has, in tokens.

    `account`: it is for the account of a task; `format` is what the answer is held to.
    """

    model: str
    max_tokens: int
    effort: str | None
    account: bool = False
    format: Json = None


class Choice:
    """Chooses for one run. `frame` names the frozen model and how hard it thinks.

    `fallback` is the id of the model that is asked when the frozen one has failed its attempts or is known
    to be away, and whom the run can pay. Each call is chosen anew, so the frozen model is asked again as
    soon as it may answer.
    `ceiling` is the largest `max_tokens` that a truncated answer is tried again with.
    """

    def __init__(
        self, model: Claude, frame: ModelRequest, budget: Budget, *, ceiling: int, fallback: str | None
    ) -> None:
        self._model = model
        self._frame = frame
        self._budget = budget
        self._ceiling = max(ceiling, frame.max_tokens)
        self._fallback = fallback if fallback != frame.model else None

    def plan(self, transcript: Transcript, results: Sequence[ev.EventData] = ()) -> Plan:
        """Whom the next call asks; `results` are added to the transcript with it."""
        fallback = self._fallback_plan(transcript)
        if fallback is None or not self._falls_back(transcript):
            return self._plan(transcript, self._frame.model, self._frame.effort)
        fits = self._budget.affords(transcript, results, model=fallback.model, max_tokens=fallback.max_tokens)
        return fallback if fits else self._plan(transcript, self._frame.model, self._frame.effort)

    def ceiling(self, model: str) -> int:
        """The most room that an answer of `model` may be given."""
        return min(self._ceiling, find(model).max_output)

    def other(self, plan: Plan) -> dict[str, Json] | None:
        """What the request of `plan` has in place of what was frozen; None when it is as frozen."""
        other: dict[str, Json] = {}
        if plan.model != self._frame.model:
            other = {"model": plan.model, "effort": plan.effort}
        return {**other, "format": plan.format} if plan.format else other or None

    def held(self, plan: Plan) -> Waits | None:
        """What the run waits for because `plan`'s model is known to be away; no attempt is used up."""
        away = self._model.refusal(plan.model)
        if away is None:
            return None
        retry_at = datetime.now(UTC) + timedelta(seconds=spread(away.retry_after or 0.0))
        return Waits("model", f"{away.detail} (the next attempt at {retry_at:%H:%M:%S} UTC)", retry_at)

    def may_fall_back(self, transcript: Transcript, model: str, *, spent: int) -> bool:
        """Whether, `model` having failed its attempts, another may be asked at once.

        `spent` are the nano-dollars of the failed call, which the transcript does not have yet.
        """
        plan = self._fallback_plan(transcript)
        if plan is None or model != self._frame.model:
            return False
        return self._budget.affords(transcript, model=plan.model, max_tokens=plan.max_tokens, spent=spent)

    def _falls_back(self, transcript: Transcript) -> bool:
        """The frozen model is away, or has just used up its attempts."""
        run = transcript.run
        spent = run.failures >= ATTEMPTS and run.failed_model == self._frame.model
        return spent or self._model.refusal(self._frame.model) is not None

    def _fallback_plan(self, transcript: Transcript) -> Plan | None:
        """The call of the fallback; None without one, and while it is away too."""
        if self._fallback is None or self._model.refusal(self._fallback):
            return None
        effort = self._frame.effort if self._frame.effort in find(self._fallback).efforts else None
        return self._plan(transcript, self._fallback, effort)

    def _plan(self, transcript: Transcript, model: str, effort: str | None) -> Plan:
        wanted = self.ceiling(model) if transcript.run.truncations else self._frame.max_tokens
        return Plan(model, min(wanted, find(model).max_output), effort)
