"""Rules on the parameters of a request: everything but system, tools and messages."""

from typing import Final

from flynn.simulator import catalog
from flynn.simulator.api_error import ApiError, invalid
from flynn.simulator.catalog import Model
from flynn.simulator.options import Options
from flynn.simulator.request import ApiRequest
from flynn.simulator.rules.finding import Unproven
from flynn.simulator.rules.shape import body_fields, field_check

_SAMPLING: Final = ("temperature", "top_p", "top_k")
_REQUIRED: Final = ("model", "messages", "max_tokens")


def check_body(request: ApiRequest) -> None:
    """The body has the required fields and no unknown ones; each has the type that the SDK gives it.

    Sampling parameters are refused whatever their value (K api-version-migration.md; Haiku 5.5: K
    model-migration.md). Messages are judged one by one elsewhere.

    Raises:
        ApiError: 400.
    """
    for name in _SAMPLING:
        if name in request.payload:
            raise invalid("sampling", f"{name}: sampling parameters are not supported; leave it out")
    for name in _REQUIRED:
        if name not in request.payload and not (name == "max_tokens" and request.counting):
            raise invalid("required-field", f"{name}: Field required")
    known = body_fields(counting=request.counting, beta=False)
    all_known = body_fields(counting=request.counting, beta=True)
    for name, value in request.payload.items():
        if name not in all_known and not (request.counting and name == "stream"):
            raise invalid("unknown-field", f"{name}: Extra inputs are not permitted")
        if name != "messages":
            beta = bool(request.betas) or name not in known
            field_check(name, counting=request.counting, beta=beta)(value, name)


def check_model(request: ApiRequest, options: Options) -> Model:
    """The model is served (docs: api/errors, 404).

    Raises:
        ApiError: 404.
    """
    model_id = request.payload["model"]
    model = catalog.find(options.models, model_id)
    if model is None:
        raise ApiError(404, "not_found_error", f"model: {model_id}", rule="model")
    return model


def check_max_tokens(request: ApiRequest, model: Model) -> None:
    """max_tokens is 1 up to the model's limit; 0 warms the cache and cannot be streamed.

    Sources: SDK types/message_create_params.py (max_tokens), K prompt-caching.md (pre-warming).

    Raises:
        ApiError: 400.
    """
    limit = request.payload["max_tokens"]
    if limit < 0:
        raise invalid("max-tokens", "max_tokens: Input should be greater than or equal to 0")
    if limit > model.max_output:
        raise invalid(
            "max-tokens",
            f"max_tokens: {limit} > {model.max_output}, the largest number of output tokens of {model.id}",
        )
    if limit == 0 and request.payload.get("stream"):
        raise invalid("max-tokens", "max_tokens: 0 (cache warming) cannot be streamed")


def check_thinking(request: ApiRequest, options: Options, unproven: Unproven) -> None:
    """Thinking is adaptive, or disabled at an effort of at most high; budgets are refused.

    Source: K model-migration.md. For `between_tools` the SDK has a type, but no source says whether Haiku
    5.5 takes it.

    Raises:
        ApiError: 400.
    """
    thinking = request.payload.get("thinking") or {}
    effort = (request.payload.get("output_config") or {}).get("effort") or "medium"
    match thinking.get("type"):
        case "enabled":
            raise invalid(
                "thinking-budget",
                'thinking: type "enabled" with budget_tokens is not supported; use {"type": "adaptive"}',
            )
        case "disabled" if not options.disabled_thinking:
            raise invalid("thinking-disabled", "thinking: this model cannot think with type disabled")
        case "disabled" if effort in {"xhigh", "max"}:
            raise invalid(
                "thinking-disabled", f"thinking: disabled is not supported at effort {effort}; at most high"
            )
        case "between_tools":
            unproven("thinking-between-tools", "thinking: between_tools may not be supported by this model")


def check_tool_choice(request: ApiRequest, model: Model, unproven: Unproven) -> None:
    """A forced call needs a model that takes it, and a tool that the request defines.

    Sources: K model-migration.md (which models refuse it), docs: define-tools.

    Raises:
        ApiError: 400.
    """
    choice = request.payload.get("tool_choice")
    if not choice:
        return
    names = [tool.get("name") for tool in request.payload.get("tools") or []]
    if choice["type"] in {"any", "tool"} and not model.forced_tool_choice:
        raise invalid("forced-tool-choice", f"tool_choice: {model.id} does not support a forced tool choice")
    if choice["type"] == "tool" and choice["name"] not in names:
        raise invalid("tool-choice", f"tool_choice.name: no tool is named {choice['name']!r}")
    if not names:
        unproven("tool-choice-without-tools", "tool_choice: given without tools")


def check_stop_sequences(request: ApiRequest) -> None:
    """Stop sequences hold something other than whitespace (github.com/BerriAI/litellm issue 3286).

    Raises:
        ApiError: 400.
    """
    for index, sequence in enumerate(request.payload.get("stop_sequences") or []):
        if not sequence.strip():
            raise invalid("stop-sequence", f"stop_sequences.{index}: must contain non-whitespace")
