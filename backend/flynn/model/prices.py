"""What a call costs, in whole nano-dollars: sums of integers, so they are exact.

Haiku 5.5 has a step: above 100,000 prompt tokens (uncached, read from and written to the cache, all
together) the whole call is billed at the higher prices, its output too.
"""

from collections.abc import Mapping

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


def _prices_at(model: Model, prompt_tokens: int) -> Prices:
    """The prices of a call with a prompt of this size."""
    if model.step is not None and model.prices_above_step is not None and prompt_tokens > model.step:
        return model.prices_above_step
    return model.prices
