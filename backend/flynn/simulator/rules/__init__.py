"""The rules of the Messages API: what a request must be, each rule with its source.

`judge` applies all of them. A broken rule is answered as the API does it (400, mostly); a broken rule
that no source proves only warns, unless the options refuse it.
"""

from dataclasses import dataclass

from flynn.simulator import catalog, tokens
from flynn.simulator.api_error import ApiError, invalid
from flynn.simulator.catalog import Model
from flynn.simulator.conversation import blocks_of
from flynn.simulator.options import Options
from flynn.simulator.request import ApiRequest


@dataclass(frozen=True, slots=True)
class Verdict:
    """A request that may be answered."""

    model: Model
    prompt_tokens: int


def judge(request: ApiRequest, options: Options) -> Verdict:
    """Apply every rule.

    Raises:
        ApiError: the first broken rule.
    """
    payload = request.payload
    for field in ("model", "messages") if request.counting else ("model", "messages", "max_tokens"):
        if field not in payload:
            raise invalid("required-field", f"{field}: Field required")
    model = catalog.find(options.models, payload["model"])
    if model is None:
        raise ApiError(404, "not_found_error", f"model: {payload['model']}", rule="model")
    prompt = sum(tokens.of_block(block) for message in request.messages for block in blocks_of(message))
    return Verdict(model, prompt)
