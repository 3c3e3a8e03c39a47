"""What one viewer has heard of the words on the way: which deltas are news to it, and which are void."""

from flynn.domain.delta import Delta
from flynn.live.partial import RUN_ENDS, BlockKey, goes_on, key_of
from flynn.live.subscription import Envelope


class Heard:
    """Follows events and deltas in the order in which a viewer gets them."""

    __slots__ = ("_finished", "_lengths", "_place", "_words_over")

    def __init__(self) -> None:
        self._place = (-1, -1)
        self._lengths: dict[BlockKey, int] = {}
        self._words_over = False
        self._finished: set[str] = set()

    def void(self, delta: Delta) -> bool:
        """Whether `delta` belongs to what is over: an older step, complete words, a finished call."""
        if (delta.epoch, delta.step) < self._place:
            return True
        if delta.kind == "output":
            return delta.call_id in self._finished
        return self._words_over

    def missing(self, delta: Delta) -> bool:
        """Whether words before `delta` were not heard."""
        if self._renews(delta):
            return delta.offset > 0
        return delta.offset > self._lengths.get(key_of(delta), 0)

    def take(self, delta: Delta) -> Delta | None:
        """Note `delta` and give what of it is new: all, its end, or None."""
        if self.void(delta):
            return None
        if (delta.epoch, delta.step) > self._place:
            self._begin(delta.epoch, delta.step)
        key = key_of(delta)
        known = self._lengths.get(key, 0)
        end = delta.offset + len(delta.text)
        if end <= known:
            return None
        self._lengths[key] = end
        if delta.offset >= known:
            return delta
        return delta.model_copy(update={"offset": known, "text": delta.text[known - delta.offset :]})

    def note(self, envelope: Envelope) -> None:
        """Note an event: it may complete words, void them, or let new ones begin."""
        kind = envelope["type"]
        if kind == "step.started":
            self._words_over = False
            self._begin(*self._place)
            self._finished.clear()
        elif kind in ("message.completed", "step.failed"):
            self._words_over = True
        elif kind == "tool.finished" and not goes_on(envelope):
            self._finished.add(envelope["data"]["call_id"])
            self._lengths.pop(("output", 0, envelope["data"]["call_id"]), None)
        elif kind == "run.started":
            self._place = max(self._place, (envelope["data"]["epoch"], -1))
        elif kind in RUN_ENDS:
            self._words_over = True
            self._lengths.clear()

    def forget(self) -> None:
        """Forget how far each block was heard: the partial is about to be read."""
        self._lengths.clear()

    def _renews(self, delta: Delta) -> bool:
        """Whether nothing was heard before of the block that `delta` belongs to, whatever its name."""
        if delta.kind == "output":  # a background job's goes on from step to step
            return delta.epoch > self._place[0]
        return (delta.epoch, delta.step) > self._place

    def _begin(self, epoch: int, step: int) -> None:
        """Go on to a step: its words are new, but what background jobs say goes on."""
        same = epoch == self._place[0]
        self._place = (epoch, step)
        self._lengths = {key: length for key, length in self._lengths.items() if same and key[0] == "output"}
