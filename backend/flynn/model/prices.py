"""What a call costs, in whole nano-dollars: sums of integers, so they are exact.

Haiku 5.5 has a step: above 100,000 prompt tokens (uncached, read from and written to the cache, all
together) the whole call is billed at the higher prices, its output too.
"""

from collections.abc import Mapping
from typing import assert_never

from flynn.domain.events import Settlement
from flynn.domain.usage import Usage
from flynn.model.catalog import KNOWN, Model, Prices, find


def cost(model: str, usage: Usage, *, known: Mapping[str, Model] = KNOWN) -> int:
    """Nano-dollars of one call. `usage` is that of a single call: a sum would move the price step.

    Raises InvalidInput if the model is not known.
    """
    prices = _prices_at(find(model, known), usage.prompt)
    return (
        usage.input * prices.input
        + usage.output * prices.output
        + usage.cache_read * prices.cache_read
        + usage.cache_write_5m * prices.cache_write_5m
        + usage.cache_write_1h * prices.cache_write_1h
    )


def worst_case(model: str, *, prompt_tokens: int, max_tokens: int, known: Mapping[str, Model] = KNOWN) -> int:
    """Nano-dollars to reserve for a call before it is made.

    Nothing is found in the cache, all of the prompt is written to it (for 5 minutes, the lifetime we
    ask for) and the answer is as long as it may be. Raises InvalidInput if the model is not known.
    """
    prices = _prices_at(find(model, known), prompt_tokens)
    return prompt_tokens * max(prices.input, prices.cache_write_5m) + max_tokens * prices.output


def settled(
    model: str,
    usage: Usage,
    *,
    final: bool,
    max_tokens: int,
    reserved: int,
    known: Mapping[str, Model] = KNOWN,
) -> tuple[int, Settlement]:
    """Nano-dollars to charge for a call that did not end well, and what they follow from.

    `usage` is what the provider reported. Unless that is `final`, it is a lower bound: the prompt is
    known once the answer has begun, but nobody says how much was generated before the stream was closed
    (thinking is not shown), so the answer counts at its limit. Of a call that was never answered nothing
    is known, and its reservation stands. Raises InvalidInput if the model is not known.
    """
    if final:
        return cost(model, usage, known=known), "usage"
    if usage.prompt:
        longest = usage.model_copy(update={"output": max(usage.output, max_tokens)})
        return cost(model, longest, known=known), "prompt"
    return reserved, "worst_case"


def settled_tokens(usage: Usage, settlement: Settlement, *, max_tokens: int, reserved: int) -> int:
    """Tokens to charge for a call that did not end well, by what its money was charged by (`settled`)."""
    match settlement:
        case "usage":
            return usage.total
        case "prompt":
            return usage.prompt + max(usage.output, max_tokens)
        case "worst_case":
            return reserved
        case _:
            assert_never(settlement)


def _prices_at(model: Model, prompt_tokens: int) -> Prices:
    """The prices of a call with a prompt of this size."""
    if model.step is not None and model.prices_above_step is not None and prompt_tokens > model.step:
        return model.prices_above_step
    return model.prices
