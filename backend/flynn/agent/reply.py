"""What a model call came to: events to commit. What follows from them is read from the transcript."""

from collections.abc import Sequence

from flynn.domain import events as ev
from flynn.model.prices import cost
from flynn.model.stream import MessageReceived

Reply = Sequence[ev.EventData]


def received(started: ev.StepStarted, message: MessageReceived) -> Reply:
    """An answer that came whole. One without a word is not adopted: the API would refuse it."""
    step = started.step
    spent = cost(started.model, message.usage)
    # The API sends empty text blocks now and then, and refuses them when they come back.
    content = [b for b in message.content if b.get("type") != "text" or b.get("text")]
    if not content:
        detail = "The model ended its turn without a word."
        return [
            ev.StepFailed(
                step=step,
                reason="empty",
                detail=detail,
                usage=message.usage,
                nanodollars=spent,
                settlement="usage",
                request_id=message.request_id,
            )
        ]
    return [
        ev.MessageCompleted(
            step=step,
            message_id=message.message_id,
            model=message.model,
            stop_reason=message.stop_reason,
            content=content,
            account=bool(started.params.get("account")),
        ),
        ev.StepCompleted(
            step=step,
            usage=message.usage,
            nanodollars=spent,
            duration_ms=message.duration_ms,
            first_token_ms=message.first_token_ms,
            request_id=message.request_id,
        ),
    ]
