"""The models that the simulator serves, as the Models API describes them.

Sources: SDK types/model_info.py and types/model_capabilities.py (the shape); docs:
models/haiku-5-5/overview (context, output limit, thinking) and CLAUDE_PLATFORM.md section 1. For the
other models of the 5.5 generation the same numbers are assumed; nothing in the service rests on them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from flynn.domain.content import Json

Line = Literal["haiku", "sonnet", "opus", "fable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model: what it takes and what it refuses."""

    id: str
    name: str
    line: Line | None
    released: str
    context: int = 1_000_000
    max_output: int = 128_000
    cache_minimum: int = 512
    """The shortest prefix, in tokens, that is cached (docs: prompt-caching)."""
    forced_tool_choice: bool = True
    """Whether tool_choice may force a call: Opus and Sonnet 5.5, Fable 5.1+ refuse it."""
    reads_thinking_of: frozenset[Line]
    """Whose thinking blocks it may read; others are dropped without an error (docs: preserved-thinking)."""

    def info(self, *, disabled_thinking: bool) -> dict[str, Json]:
        """The ModelInfo object of the Models API."""
        yes, no = {"supported": True}, {"supported": False}
        return {
            "id": self.id,
            "type": "model",
            "display_name": self.name,
            "created_at": self.released,
            "line": self.line,
            "lifecycle": "active",
            "deprecated_at": None,
            "retires_at": None,
            "max_input_tokens": self.context,
            "max_tokens": self.max_output,
            "capabilities": {
                "batch": no,
                "citations": yes,
                "code_execution": no,
                "context_management": {"supported": False},
                "effort": {
                    "supported": True,
                    **dict.fromkeys(("low", "medium", "high", "xhigh", "max"), yes),
                },
                "image_input": yes,
                "pdf_input": yes,
                "server_tools": {"supported": False, "code_execution": no, "web_search": no},
                "structured_outputs": yes,
                "thinking": {
                    "supported": True,
                    "types": {
                        "adaptive": yes,
                        "between_tools": no,
                        "disabled": {"supported": disabled_thinking},
                        "enabled": no,
                    },
                },
            },
        }


_ALL: Final[frozenset[Line]] = frozenset({"haiku", "sonnet", "opus", "fable"})
_HAIKU: Final[frozenset[Line]] = frozenset({"haiku"})

CATALOG: Final = (
    Model(
        id="claude-haiku-5-5",
        name="Claude Haiku 5.5 (simulated)",
        line="haiku",
        released="2026-10-07T00:00:00Z",
        reads_thinking_of=_HAIKU,
    ),
    Model(
        id="claude-sonnet-5-5",
        name="Claude Sonnet 5.5 (simulated)",
        line="sonnet",
        released="1970-01-01T00:00:00Z",
        forced_tool_choice=False,
        reads_thinking_of=_ALL,
    ),
    Model(
        id="claude-opus-5-5",
        name="Claude Opus 5.5 (simulated)",
        line="opus",
        released="1970-01-01T00:00:00Z",
        forced_tool_choice=False,
        reads_thinking_of=_ALL,
    ),
    Model(
        id="claude-fable-5-2",
        name="Claude Fable 5.2 (simulated)",
        line="fable",
        released="1970-01-01T00:00:00Z",
        forced_tool_choice=False,
        reads_thinking_of=_ALL,
    ),
)
"""What is served unless the options say otherwise."""

_ECHO: Final = re.compile(r"echo(?:-(?P<tokens>\d{1,6})(?:-(?P<speed>\d{1,6})tps)?)?")


@dataclass(frozen=True, slots=True)
class Echo:
    """The load model `echo`, `echo-500`, `echo-500-80tps`: that many tokens, at that speed."""

    tokens: int | None
    tokens_per_second: float | None


def echo(model_id: str) -> Echo | None:
    """Read the id of a load model; None for any other id."""
    found = _ECHO.fullmatch(model_id)
    if found is None:
        return None
    size, speed = found["tokens"], found["speed"]
    return Echo(int(size) if size else None, float(speed) if speed else None)


def find(models: Sequence[Model], model_id: str) -> Model | None:
    """The model of that id, load models included; None if it is not served."""
    for model in models:
        if model.id == model_id:
            return model
    if echo(model_id) is None:
        return None
    return Model(
        id=model_id,
        name="Echo (simulated)",
        line=None,
        released="1970-01-01T00:00:00Z",
        reads_thinking_of=_ALL,
    )
