"""The allowance of a step: how much its results may add to the conversation together.

What does not fit loses its middle and says where the whole is: in a file that the agent can read. Results are
cut as they are told, without secrets, and so is the file. Images and documents are bounded when they are made
(see `flynn.agent.shelf`); what they take is not there for texts.
"""

from collections.abc import Awaitable, Callable, Sequence

from flynn.agent.estimate import BYTES_PER_TOKEN, STEP_TOKENS, tokens_of
from flynn.agent.fold import Transcript
from flynn.domain.content import Block
from flynn.domain.events import ToolFinished
from flynn.domain.evidence import Evidence, FileRead
from flynn.tools.listing import middle_cut

RESERVE = 800
"""Tokens that are kept for each call of the step that is still to be made, up to half of what is left."""
LEAST = 160
"""Tokens that a result has in any case: enough to say where the whole is."""

Keep = Callable[[str], Awaitable[str]]
"""Writes a text to a file; gives the words that say where it is."""


async def within_allowance(
    found: Sequence[ToolFinished], transcript: Transcript, *, later: int, keep: Keep
) -> list[ToolFinished]:
    """`found`, the ends of calls made at once, cut so that the whole step fits; `later` calls are to come."""
    room = STEP_TOKENS - transcript.result_tokens - transcript.shelf.step_tokens(transcript.last_step)
    room -= min(RESERVE * later, max(room, 0) // 2)
    sizes = [tokens_of(event.content) for event in found]
    return [
        event if size <= share else await _cut(event, share, keep)
        for event, size, share in zip(found, sizes, shares(sizes, room), strict=True)
    ]


def shares(sizes: Sequence[int], room: int) -> list[int]:
    """What each of so large results may have of `room`: small ones all of it, the others the same."""
    granted = [0] * len(sizes)
    left, many = max(room, 0), len(sizes)
    for place in sorted(range(len(sizes)), key=sizes.__getitem__):
        granted[place] = min(sizes[place], max(left // many, LEAST))
        left, many = max(left - granted[place], 0), many - 1
    return granted


async def _cut(event: ToolFinished, share: int, keep: Keep) -> ToolFinished:
    (block,) = event.content
    content = block["content"]
    texts = [content] if isinstance(content, str) else [b["text"] for b in content if b["type"] == "text"]
    where = await keep("\n".join(texts))
    told = f"[The results of one step may have {STEP_TOKENS:,} tokens together, so this one was cut. {where}]"
    frame = tokens_of([{**block, "content": _filled(content, [""] * len(texts), told)}])
    rests = shares([tokens_of(text) for text in texts], share - frame)
    shown = [_shortened(text, rest) for text, rest in zip(texts, rests, strict=True)]
    return event.model_copy(
        update={
            "content": [{**block, "content": _filled(content, shown, told)}],
            "evidence": [_in_part(item) for item in event.evidence],
        }
    )


def _filled(content: str | list[Block], texts: Sequence[str], told: str) -> str | list[Block]:
    """`content` with `texts` in the place of its own, and what is to be told behind them."""
    if isinstance(content, str):
        return f"{texts[0]}\n{told}"
    ahead = iter(texts)
    blocks = [{**b, "text": next(ahead)} if b["type"] == "text" else b for b in content]
    return [*blocks, {"type": "text", "text": told}]


def _shortened(text: str, tokens: int) -> str:
    """`text` within so many tokens, its middle left out."""
    limit = int(tokens * BYTES_PER_TOKEN)
    while tokens_of(shown := middle_cut(text, limit)[0]) > tokens and limit > 1:
        limit = limit * 19 // 20
    return shown


def _in_part(item: Evidence) -> Evidence:
    return item.model_copy(update={"complete": False}) if isinstance(item, FileRead) else item
