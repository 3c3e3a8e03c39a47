"""What of a tool's result may be told: all but secrets, whatever tool it was and whatever it read.

Texts and the texts inside blocks are redacted, and so is what evidence says in words. Pictures and
documents in base64 are left as they are, and so are digests: they hold no text.
"""

from flynn.domain.content import Block, Json
from flynn.domain.evidence import Evidence
from flynn.domain.tool_result import ToolResult
from flynn.telemetry.redaction import redact

_OPAQUE = frozenset({"type", "media_type", "tool_use_id"})
_WORDS = ("path", "command", "cwd", "cwd_after")
"""Fields of evidence that hold words; the others hold digests and numbers."""


def disclosed(result: ToolResult) -> ToolResult:
    """`result` without secrets."""
    content = result.content
    return result.model_copy(
        update={
            "content": redact(content) if isinstance(content, str) else [_block(b) for b in content],
            "evidence": tuple(_evidence(item) for item in result.evidence),
        }
    )


def _block(block: Block) -> Block:
    shown: Block = _plain(block)
    return shown


def _plain(value: Json) -> Json:
    match value:
        case str():
            return redact(value)
        case list():
            return [_plain(item) for item in value]
        case {"type": "base64"}:
            return value
        case dict():
            return {key: item if key in _OPAQUE else _plain(item) for key, item in value.items()}
        case _:
            return value


def _evidence(item: Evidence) -> Evidence:
    words = {name: getattr(item, name, None) for name in _WORDS}
    return item.model_copy(
        update={name: redact(said) for name, said in words.items() if isinstance(said, str)}
    )
