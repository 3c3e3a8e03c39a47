"""The models that we know: what they cost, what fits into them, how hard they can think.

Prices are the published ones of 2026-11-23 (platform.claude.com, models and pricing), in whole
nano-dollars a token: one dollar per million tokens is 1000. An operator of another endpoint passes a
`known` of its own, `{**KNOWN, "qwen3": Model(…)}`: a model without a price is refused, because a run
that nobody can price has no bounded cost.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from flynn.domain.errors import InvalidInput

EFFORTS = ("low", "medium", "high", "xhigh", "max")
"""The effort levels of the API, from the least to the most."""

_SNAPSHOT = re.compile(r"-20\d{6}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Nano-dollars a token, by the class of the token."""

    input: int
    output: int
    cache_write_5m: int
    cache_write_1h: int
    cache_read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model: its prices, its window and its longest answer in tokens, its effort levels.

    Above `step` prompt tokens the whole call, its output too, is billed at `prices_above_step`.
    """

    id: str
    prices: Prices
    context: int
    max_output: int
    efforts: tuple[str, ...] = EFFORTS
    step: int | None = None
    prices_above_step: Prices | None = None


def _prices(*, input: int, output: int, read: int) -> Prices:
    """Prices whose cache writes follow the general rule: 1.25 times input for 5 minutes, 2 for an hour."""
    return Prices(
        input=input,
        output=output,
        cache_write_5m=input * 5 // 4,
        cache_write_1h=input * 2,
        cache_read=read,
    )


_MILLION = 1_000_000
_OUTPUT = 128_000

_FABLE = _prices(input=8_000, output=40_000, read=200)

_MODELS = (
    Model(
        id="claude-haiku-5-5",
        prices=_prices(input=100, output=500, read=10),
        step=100_000,
        prices_above_step=_prices(input=500, output=2_500, read=50),
        context=_MILLION,
        max_output=_OUTPUT,
    ),
    Model(
        id="claude-sonnet-5-5",
        prices=_prices(input=2_000, output=10_000, read=100),
        context=_MILLION,
        max_output=_OUTPUT,
    ),
    Model(
        id="claude-opus-5-5",
        prices=_prices(input=4_000, output=20_000, read=200),
        context=_MILLION,
        max_output=_OUTPUT,
    ),
    Model(id="claude-fable-5-2", prices=_FABLE, context=_MILLION, max_output=_OUTPUT),
    Model(id="claude-mythos-5-2", prices=_FABLE, context=_MILLION, max_output=_OUTPUT),
    Model(
        id="claude-haiku-4-5",
        prices=_prices(input=1_000, output=5_000, read=100),
        context=200_000,
        max_output=64_000,
        efforts=(),
    ),
)

KNOWN: Mapping[str, Model] = MappingProxyType({model.id: model for model in _MODELS})
"""The models by their ids."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "haiku": "claude-haiku-5-5",
        "sonnet": "claude-sonnet-5-5",
        "opus": "claude-opus-5-5",
        "fable": "claude-fable-5-2",
    }
)
"""The short names of agent files and the ids they stand for."""


def find(model: str, known: Mapping[str, Model] = KNOWN) -> Model:
    """The entry of the id `model`; a dated snapshot (`claude-haiku-4-5-20251001`) is its model's.

    Raises InvalidInput, naming the known ids, if there is none.
    """
    entry = known.get(model) or known.get(_SNAPSHOT.sub("", model))
    if entry is None:
        raise InvalidInput(f"The model {model!r} is not known. Known: {', '.join(known)}.")
    return entry


def resolve(
    name: str, aliases: Mapping[str, str] | None = None, *, known: Mapping[str, Model] = KNOWN
) -> str:
    """The full id that `name`, an alias or an id, stands for.

    `aliases` adds to the built-in ones and wins over them. Raises InvalidInput, naming the aliases and
    ids that would do, if the name is neither or its alias leads to a model that is not known.
    """
    names = {**ALIASES, **(aliases or {})}
    model = names.get(name, name)
    if model not in known and _SNAPSHOT.sub("", model) not in known:
        leads = f", which the alias {name!r} stands for," if model != name else ""
        raise InvalidInput(
            f"The model {model!r}{leads} is not known. Use an alias ({', '.join(names)}) "
            f"or an id ({', '.join(known)})."
        )
    return model
