"""What calls cost, to the nano-dollar, on both sides of the price step."""

import pytest

from flynn.domain.errors import InvalidInput
from flynn.domain.usage import NANO, Usage
from flynn.model.catalog import KNOWN, Model, Prices
from flynn.model.prices import cost, worst_case

HAIKU = "claude-haiku-5-5"


@pytest.mark.parametrize(
    ("usage", "below", "above"),
    [
        (Usage(input=1), 100, 500),
        (Usage(cache_write_5m=1), 125, 625),
        (Usage(cache_write_1h=1), 200, 1_000),
        (Usage(cache_read=1), 10, 50),
        (Usage(output=1), 500, 2_500),
    ],
)
def test_each_class_of_token_on_both_sides_of_the_step(usage: Usage, below: int, above: int) -> None:
    assert cost(HAIKU, usage) == below
    filled = usage + Usage(cache_read=100_000)
    expected = above + (0 if usage.prompt == 0 else 100_000 * 50)
    if usage.prompt:
        assert cost(HAIKU, filled) == expected
    else:
        assert cost(HAIKU, filled + Usage(cache_read=1)) == above + 100_001 * 50


def test_the_step_lies_above_one_hundred_thousand() -> None:
    at, over = Usage(input=100_000, output=1_000), Usage(input=100_001, output=1_000)
    assert cost(HAIKU, at) == 100_000 * 100 + 1_000 * 500
    assert cost(HAIKU, over) == 100_001 * 500 + 1_000 * 2_500


@pytest.mark.parametrize("field", ["input", "cache_read", "cache_write_5m", "cache_write_1h"])
def test_all_prompt_tokens_count_towards_the_step(field: str) -> None:
    half = Usage(input=50_000)
    at, over = Usage(**{field: 50_000}) + half, Usage(**{field: 50_001}) + half
    assert cost(HAIKU, over) > 4 * cost(HAIKU, at)


def test_output_does_not_count_towards_the_step() -> None:
    assert cost(HAIKU, Usage(input=99_999, output=128_000)) == 99_999 * 100 + 128_000 * 500


def test_a_million_tokens_cost_what_the_price_list_says() -> None:
    million = 1_000_000
    assert cost("claude-sonnet-5-5", Usage(input=million)) == 2 * NANO
    assert cost("claude-sonnet-5-5", Usage(cache_read=million)) == NANO // 10
    assert cost("claude-opus-5-5", Usage(output=million)) == 20 * NANO
    assert cost("claude-fable-5-2", Usage(cache_write_1h=million)) == 16 * NANO
    assert cost("claude-haiku-4-5-20251001", Usage(cache_write_5m=million)) == 125 * NANO // 100


def test_the_worst_case_bounds_what_a_call_can_cost() -> None:
    for prompt in (1, 99_999, 100_000, 100_001, 250_000):
        bound = worst_case(HAIKU, prompt_tokens=prompt, max_tokens=2_000)
        for usage in (
            Usage(input=prompt, output=2_000),
            Usage(cache_write_5m=prompt, output=2_000),
            Usage(cache_read=prompt, output=2_000),
        ):
            assert cost(HAIKU, usage) <= bound
    assert worst_case(HAIKU, prompt_tokens=100_000, max_tokens=1) == 100_000 * 125 + 500
    assert worst_case(HAIKU, prompt_tokens=100_001, max_tokens=1) == 100_001 * 625 + 2_500


def test_a_model_without_a_price_is_refused() -> None:
    with pytest.raises(InvalidInput, match="claude-haiku-5-5"):
        cost("qwen3", Usage(input=1))
    with pytest.raises(InvalidInput, match="qwen3"):
        worst_case("qwen3", prompt_tokens=1, max_tokens=1)


def test_an_operator_can_price_a_model_of_its_own() -> None:
    free = Prices(input=0, output=3, cache_write_5m=0, cache_write_1h=0, cache_read=0)
    known = {**KNOWN, "qwen3": Model(id="qwen3", prices=free, context=32_000, max_output=8_000)}
    assert cost("qwen3", Usage(input=10, output=2), known=known) == 6
    assert worst_case("qwen3", prompt_tokens=10, max_tokens=4, known=known) == 12
