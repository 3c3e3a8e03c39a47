"""What of a tool's result may be told: all but secrets, whatever tool it was and whatever it read.

Texts and the texts inside blocks are redacted, and so is what evidence says in words. Pictures and
documents in base64 are left as they are, and so are digests: they hold no text.
"""

import re
from itertools import islice

from flynn.domain.content import Block, Json
from flynn.domain.evidence import Evidence
from flynn.domain.tool_result import ToolResult
from flynn.telemetry.redaction import MARK, process_redactor, redact

_OPAQUE = frozenset({"type", "media_type", "tool_use_id"})
_WORDS = ("path", "command", "cwd", "cwd_after")
"""Fields of evidence that hold words; the others hold digests and numbers."""


_CUT = re.compile(r" ?\[(?:…|\.\.\. omitted)|\n\[…")
"""Where a tool, or ripgrep, says that it left something out: what stands in front may be half a secret."""
_HALF = 8
"""Characters of a secret's beginning that are worth a mark."""
_LOOKED_AT = 1_024
"""Characters in front of a cut that are looked at."""
_CUTS = 500
"""Cuts that are looked at: no result of ours has more, but a file may hold any number of such notes."""


def disclosed(result: ToolResult) -> ToolResult:
    """`result` without secrets."""
    content = result.content
    return result.model_copy(
        update={
            "content": _words(content) if isinstance(content, str) else [_block(b) for b in content],
            "evidence": tuple(_evidence(item) for item in result.evidence),
        }
    )


def _words(text: str) -> str:
    """`text` redacted, a secret whose end was cut off included."""
    pieces: list[str] = []
    position = 0
    redactor = process_redactor()
    cuts = _CUT.finditer(text) if "[…" in text or "[..." in text else ()
    for cut in islice(cuts, _CUTS):
        line = max(text.rfind("\n", position, cut.start()) + 1, position, cut.start() - _LOOKED_AT)
        place = line + redactor.open_from(text[line : cut.start()])
        if cut.start() - place >= _HALF:
            pieces += text[position:place], MARK
            position = cut.start()
    return redact("".join((*pieces, text[position:])))


def _block(block: Block) -> Block:
    shown: Block = _plain(block)
    return shown


def _plain(value: Json) -> Json:
    match value:
        case str():
            return _words(value)
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
