"""Names of models: aliases, ids, snapshots, and those that nobody knows."""

import pytest

from flynn.domain.errors import InvalidInput
from flynn.model.catalog import ALIASES, KNOWN, find, resolve


@pytest.mark.parametrize(
    ("alias", "model"),
    [
        ("haiku", "claude-haiku-5-5"),
        ("sonnet", "claude-sonnet-5-5"),
        ("opus", "claude-opus-5-5"),
        ("fable", "claude-fable-5-2"),
    ],
)
def test_aliases_lead_to_known_models(alias: str, model: str) -> None:
    assert resolve(alias) == model
    assert find(model).id == model


def test_an_id_stands_for_itself_and_a_snapshot_is_its_models() -> None:
    assert resolve("claude-opus-5-5") == "claude-opus-5-5"
    assert resolve("claude-haiku-4-5-20251001") == "claude-haiku-4-5-20251001"
    assert find("claude-haiku-4-5-20251001") is KNOWN["claude-haiku-4-5"]


def test_the_callers_aliases_win_and_add() -> None:
    aliases = {"haiku": "claude-haiku-4-5", "house": "claude-opus-5-5"}
    assert resolve("haiku", aliases) == "claude-haiku-4-5"
    assert resolve("house", aliases) == "claude-opus-5-5"
    assert resolve("sonnet", aliases) == ALIASES["sonnet"]


def test_an_unknown_name_is_refused_with_those_that_would_do() -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve("gpt-7", {"house": "claude-opus-5-5"})
    for word in ("'gpt-7'", "haiku", "house", "claude-haiku-5-5"):
        assert word in caught.value.detail


def test_an_alias_that_leads_nowhere_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"'qwen3', which the alias 'haiku' stands for, is not known"):
        resolve("haiku", {"haiku": "qwen3"})


def test_other_endpoints_bring_their_own_models() -> None:
    known = {**KNOWN, "qwen3": KNOWN["claude-haiku-4-5"]}
    assert resolve("haiku", {"haiku": "qwen3"}, known=known) == "qwen3"


def test_only_a_date_makes_a_snapshot() -> None:
    for name in ("claude-haiku-5-5-turbo", "claude-haiku-5-5-1234", "claude-haiku-5-5-20261007-x"):
        with pytest.raises(InvalidInput):
            find(name)


def test_every_price_is_a_positive_whole_number_and_the_step_is_dearer() -> None:
    for model in KNOWN.values():
        for prices in filter(None, (model.prices, model.prices_above_step)):
            assert 0 < prices.cache_read < prices.input < prices.cache_write_5m < prices.cache_write_1h
            assert prices.input < prices.output
        assert model.max_output < model.context
    haiku = KNOWN["claude-haiku-5-5"]
    assert haiku.step == 100_000
    assert haiku.prices_above_step is not None
    assert haiku.prices_above_step.input == 5 * haiku.prices.input
