"""Words on the way: counts offsets and hands deltas to the bus."""

from collections.abc import Callable
from uuid import UUID

from flynn.agent.turns import Words
from flynn.domain.delta import Delta


class Broadcast:
    """The sink of one run's loop. Offsets count code points within a step's block, or a call's output.

    A background job's output goes on while later steps are streamed; it travels under the step of the
    moment, so that nobody takes it for words of the past.
    """

    def __init__(self, publish: Callable[[Delta], None], *, conversation_id: UUID, epoch: int) -> None:
        self._publish = publish
        self._conversation_id = conversation_id
        self._epoch = epoch
        self._offsets: dict[tuple[int, str | None], int] = {}
        self._step = 0

    def __call__(self, words: Words) -> None:
        """Publish `words` behind what came before them."""
        if words.step > self._step:
            self._offsets = {place: offset for place, offset in self._offsets.items() if place[1]}
            self._step = words.step
        place = (words.block, words.call_id if words.kind == "output" else None)
        offset = self._offsets.get(place, 0)
        self._offsets[place] = offset + len(words.text)
        self._publish(
            Delta.model_construct(
                conversation_id=self._conversation_id,
                epoch=self._epoch,
                step=self._step,
                block=words.block,
                offset=offset,
                kind=words.kind,
                text=words.text,
                call_id=words.call_id,
                tool=words.tool,
            )
        )
