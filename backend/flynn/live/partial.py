"""The partial: the words so far of what is being streamed, for those who join in the middle."""

from dataclasses import dataclass, field
from typing import TypeAlias

from flynn.domain.delta import Delta
from flynn.live.subscription import Envelope

LONGEST_BLOCK = 262_144
"""Code points kept of one block. Of longer ones (a chatty command) the end is kept."""

BlockKey: TypeAlias = tuple[str, int, str | None]
"""What tells the blocks of one step apart: kind, block, call id."""

WORDS_END = frozenset({"step.started", "message.completed", "step.failed"})
"""Events after which the model's words so far are void: they are complete, or start anew."""

RUN_ENDS = frozenset({"run.waiting", "run.completed", "run.failed", "run.cancelled"})
"""Events after which nothing is being streamed."""


MOST_OUTPUTS = 8
"""Calls whose output is kept at once; of more (background jobs that went by) the latest."""


def goes_on(envelope: Envelope) -> bool:
    """Whether the output of the call that `envelope`, a tool.finished, ends goes on: it started a job."""
    return any(item["kind"] == "job_started" for item in envelope["data"].get("evidence", ()))


def key_of(delta: Delta) -> BlockKey:
    """The key of the block that `delta` is a piece of."""
    return (delta.kind, delta.block, delta.call_id)


@dataclass(slots=True)
class _Block:
    first: Delta
    pieces: list[str] = field(default_factory=list)
    start: int = 0
    length: int = 0

    def merged(self) -> Delta:
        text = "".join(self.pieces)
        self.pieces = [text]
        return self.first.model_copy(update={"offset": self.start, "text": text})


class Partial:
    """The words so far of one conversation's present step."""

    __slots__ = ("_blocks", "_place")

    def __init__(self) -> None:
        self._place = (-1, -1)
        self._blocks: dict[BlockKey, _Block] = {}

    def add(self, delta: Delta) -> bool:
        """Take a delta in; one of an older epoch or step is left out.

        True when more than an append happened, so that a copy kept elsewhere must be written anew.
        """
        place = (delta.epoch, delta.step)
        if place < self._place:
            return False
        renewed = place > self._place
        if renewed:
            self._renew(place)
        block = self._blocks.get(key_of(delta))
        if block is None or delta.offset != block.start + block.length:
            renewed = renewed or block is not None
            self._blocks[key_of(delta)] = _Block(delta, [delta.text], delta.offset, len(delta.text))
            return self._bound() or renewed
        block.pieces.append(delta.text)
        block.length += len(delta.text)
        if block.length > 2 * LONGEST_BLOCK:
            text = "".join(block.pieces)
            kept = text[-LONGEST_BLOCK:]
            block.start += len(text) - len(kept)
            block.pieces, block.length = [kept], len(kept)
            return True
        return renewed

    def _renew(self, place: tuple[int, int]) -> None:
        """Go on to a later step: its words are new, but what background jobs say goes on."""
        epoch = self._place[0]
        self._place = place
        self._blocks = {
            key: block for key, block in self._blocks.items() if key[0] == "output" and epoch == place[0]
        }
        for block in self._blocks.values():
            block.first = block.first.model_copy(update={"step": place[1]})

    def _bound(self) -> bool:
        """Drop the output that began longest ago while there are too many. True when anything was."""
        outputs = [key for key in self._blocks if key[0] == "output"]
        for key in outputs[:-MOST_OUTPUTS]:
            del self._blocks[key]
        return len(outputs) > MOST_OUTPUTS

    def note(self, envelope: Envelope) -> bool:
        """Drop what a published event completes or voids. True when anything was dropped."""
        kind = envelope["type"]
        before = len(self._blocks)
        if kind in WORDS_END:
            self._blocks = {key: block for key, block in self._blocks.items() if key[0] == "output"}
        elif kind == "tool.finished" and not goes_on(envelope):
            call_id = envelope["data"]["call_id"]
            self._blocks = {key: block for key, block in self._blocks.items() if key[2] != call_id}
        elif kind in RUN_ENDS:
            self._blocks.clear()
        return len(self._blocks) != before

    def deltas(self) -> list[Delta]:
        """One delta a block, from its first kept code point."""
        return [block.merged() for block in self._blocks.values()]

    def __bool__(self) -> bool:
        return bool(self._blocks)
