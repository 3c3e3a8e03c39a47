"""An image as the model sees it: sent as it is when it is small and whole, else made smaller first."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from flynn.domain.blob import Blob
from flynn.domain.content import Block
from flynn.domain.tool_result import ToolResult
from flynn.tools.image_body import flaw
from flynn.tools.image_header import ImageHeader, read_header
from flynn.tools.material import Material
from flynn.tools.thread import in_thread
from flynn.tools.tool import ToolContext
from flynn.tools.workshop import Made, NotMade, work

MAX_EDGE: Final = 1_568
"""Pixels on the longer side; the API shrinks larger ones to that itself (docs: vision)."""
MAX_BYTES: Final = 2 * 1024 * 1024
"""Of one image. The API takes 10 MB in base64; a conversation has room for more than one."""
MAX_PIXELS: Final = 100_000_000
"""Of an image that is to be made smaller: so many take about half a gigabyte while it is done."""
_PIXELS_PER_TOKEN: Final = 750
"""docs: vision."""
_FAILURES: Final = {
    "unknown": "it is of no kind that can be shown",
    "pixels": f"it has more than {MAX_PIXELS // 1_000_000} megapixels",
    "bytes": f"it does not fit in {MAX_BYTES:,} bytes",
    "memory": "it takes too much memory",
    "changed": "the file was changed meanwhile; read it again",
    "damaged": "it is damaged",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that can be sent."""

    blob: Blob
    header: ImageHeader

    @classmethod
    def of(cls, data: bytes) -> "Picture | str":
        """Check `data`, whoever it is from; or say in a few words why it cannot be sent.

        It may take some tens of milliseconds.
        """
        header = read_header(data)
        if header is None:
            return "it is damaged: its header makes no sense"
        if not fits(data, header):
            return f"it is too large ({header.width}x{header.height} pixels, {len(data):,} bytes)"
        wrong = flaw(data, header)
        if wrong is not None:
            return f"it is damaged: {wrong}"
        return cls(Blob(data, header.media_type), header)

    @property
    def block(self) -> Block:
        """The block, with what it costs: about one token for 750 pixels."""
        return self.blob.block(-(-self.header.width * self.header.height // _PIXELS_PER_TOKEN))


def fits(data: bytes, header: ImageHeader) -> bool:
    """Whether the image is small enough to be sent as it is."""
    return max(header.width, header.height) <= MAX_EDGE and len(data) <= MAX_BYTES


async def show_image(context: ToolContext, material: Material, what: str) -> ToolResult:
    """Show `material`, an image of the kind `what`."""
    data = material.content.data
    header = read_header(data)
    note = ""
    if header is None or not fits(data, header):
        made = await work(context, "picture", material, MAX_EDGE, MAX_BYTES, MAX_PIXELS, largest=MAX_BYTES)
        if isinstance(made, NotMade) or "failure" in made.answer:
            return ToolResult.error(_not_shown(material, what, header, made))
        note = _changes(made)
        data = made.data
    picture = await in_thread(partial(Picture.of, data))
    if isinstance(picture, str):
        return ToolResult.error(f"{material.path} ({what}) cannot be shown: {picture}.")
    said = f"{material.path}: {what}, {_size(picture.header)} pixels{note}"
    return ToolResult(
        content=[picture.block, {"type": "text", "text": said}],
        evidence=material.evidence(complete=not note),
        blobs=(picture.blob,),
    )


def _size(header: ImageHeader) -> str:
    return f"{header.width}x{header.height}"


def _changes(made: Made) -> str:
    """What was made of it, in words."""
    frames = made.number("frames")
    first = f", the first of {frames} frames" if frames > 1 else ""
    return f"{first} (made from {made.number('width')}x{made.number('height')})"


def _not_shown(material: Material, what: str, header: ImageHeader | None, made: Made | NotMade) -> str:
    size = f", {_size(header)} pixels" if header else ""
    why = f"{material.path} ({what}{size}, {len(material.content.data):,} bytes) cannot be shown"
    if isinstance(made, Made):
        return f"{why}: {_FAILURES.get(str(made.answer['failure']), 'it is damaged')}."
    advice = (
        f" PNG, JPEG, GIF and WebP images of up to {MAX_EDGE}x{MAX_EDGE} pixels and {MAX_BYTES:,} bytes can "
        "be shown without it."
        if made.closed
        else ""
    )
    return f"{why}: it has to be made into a smaller one first, and {made.reason}.{advice}"
