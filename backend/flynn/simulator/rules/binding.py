"""The rule on thinking blocks that come back: each belongs to the conversation it stands in.

Source: docs: preserved-thinking (K preserved-thinking*.md), SDK types/beta/beta_input_transformation.py
and beta_thinking_block_binding_param.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from flynn.domain.content import Json
from flynn.simulator.api_error import invalid
from flynn.simulator.catalog import Model
from flynn.simulator.options import Options
from flynn.simulator.reading import Reading, digest
from flynn.simulator.request import ApiRequest
from flynn.simulator.signatures import Signer


@dataclass(slots=True)
class Bound:
    """What the thinking blocks of a request amount to."""

    context: bytes
    """What a new thinking block at the end of this conversation binds to."""
    previous: bytes | None = None
    """The id of the last thinking block."""
    in_round: bool = False
    """Whether that block stands in the tool round that goes on at the end of the conversation."""
    dropped: set[tuple[int, int]] = field(default_factory=set)
    """Message and block index of thinking that is not shown to the model, nor billed."""
    transformations: list[Json] = field(default_factory=list)
    """The `input_transformations` to report to a request with the beta header."""


def check_binding(
    request: ApiRequest,
    readings: Sequence[Reading],
    prefix: bytes,
    model: Model,
    options: Options,
    signer: Signer,
) -> Bound:
    """Verify every thinking block against the conversation before it.

    A block of a model that this one may not read is dropped. A block whose conversation was changed, or
    that does not follow the thinking block it was made after, is an error when binding is strict or the
    request asks for the check; with `prefix_mismatch_behavior: drop_block` it is dropped, together with
    the thinking blocks behind it in the same message.

    Raises:
        ApiError: 400, no signature of this simulator, or one that is bound to a different conversation.
    """
    asked = ((request.payload.get("thinking") or {}).get("block_binding") or {}).get(
        "prefix_mismatch_behavior"
    )
    enforced = options.binding == "strict" or asked is not None
    bound = Bound(prefix)
    for index, reading in enumerate(readings):
        dropping = False
        if reading.role == "user" and not reading.results:
            bound.in_round = False
        for seen in reading.thinking:
            path = f"messages.{index}.content.{seen.index}"
            signature = signer.read(seen.signature, seen.text)
            if signature is None:
                raise invalid("signature", f"{path}: Invalid `signature` in `thinking` block")
            follows = (
                not signature.in_round if bound.previous is None else bound.previous == signature.previous
            )
            matches = signature.context == bound.context and follows
            bound.previous, bound.in_round = signature.id, True
            if signature.line and signature.line not in model.reads_thinking_of:
                _drop(bound, index, seen.index, "model_binding_mismatch")
            elif dropping or (not matches and enforced and asked == "drop_block"):
                dropping = True
                _drop(bound, index, seen.index, "prefix_binding_mismatch")
            elif not matches and enforced:
                raise invalid(
                    "binding",
                    f"{path}: this thinking block is bound to a different conversation: system, tools or "
                    "messages before it changed, or a thinking block between was taken away or put back",
                )
            elif not matches:
                reason = {
                    "type": "thinking_mismatch_allowed",
                    "path": path,
                    "reason": "prefix_binding_mismatch",
                }
                bound.transformations.append(reason)
        bound.context = digest(bound.context, reading.binding)
    return bound


def _drop(bound: Bound, message: int, block: int, reason: str) -> None:
    bound.dropped.add((message, block))
    path = f"messages.{message}.content.{block}"
    bound.transformations.append({"type": "thinking_dropped", "path": path, "reason": reason})
