"""What the Models API says of a model: its lifecycle, its limits, what it accepts."""

from dataclasses import dataclass

from flynn.domain.content import Json
from flynn.model.catalog import EFFORTS


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model as its provider describes it. Dates are RFC 3339; None means that nothing is said."""

    id: str
    display_name: str
    line: str | None
    lifecycle: str | None
    deprecated_at: str | None
    retires_at: str | None
    max_input_tokens: int | None
    max_tokens: int | None
    efforts: tuple[str, ...]
    thinking: tuple[str, ...]
    structured_outputs: bool | None
    image_input: bool | None
    pdf_input: bool | None


def facts_of(raw: dict[str, Json]) -> ModelFacts:
    """The facts in a ModelInfo object (SDK types/model_info.py). What it leaves out is None, or empty."""
    capabilities = _object(raw.get("capabilities"))
    effort = _supported(_object(capabilities.get("effort")))
    return ModelFacts(
        id=str(raw.get("id")),
        display_name=str(raw.get("display_name") or raw.get("id")),
        line=raw.get("line"),
        lifecycle=raw.get("lifecycle"),
        deprecated_at=raw.get("deprecated_at"),
        retires_at=raw.get("retires_at"),
        max_input_tokens=raw.get("max_input_tokens"),
        max_tokens=raw.get("max_tokens"),
        efforts=tuple(level for level in EFFORTS if level in effort),
        thinking=_supported(_object(_object(capabilities.get("thinking")).get("types"))),
        structured_outputs=_object(capabilities.get("structured_outputs")).get("supported"),
        image_input=_object(capabilities.get("image_input")).get("supported"),
        pdf_input=_object(capabilities.get("pdf_input")).get("supported"),
    )


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _supported(capabilities: dict[str, Json]) -> tuple[str, ...]:
    """The names whose `{"supported": …}` is true."""
    return tuple(name for name, one in capabilities.items() if _object(one).get("supported") is True)
