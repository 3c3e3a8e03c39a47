"""The shelf: the bytes of a conversation's media while a run is under way, and how much of it there may be.

The transcript holds references; whoever makes a request takes the bytes from here. What a tool has just
made stands here until the journal has committed it with the event that refers to it.
"""

from base64 import b64encode
from collections.abc import Iterable, Sequence

from flynn.agent.estimate import STEP_TOKENS
from flynn.domain.blob import Blob, filled, references
from flynn.domain.content import Block, Json
from flynn.domain.errors import BlobMissing
from flynn.domain.events import EventData, ToolFinished

CONVERSATION_BYTES = 18 * 1024 * 1024
"""Bytes that all media of a conversation may have: 25 MB in base64, of the 32 MB of a request's body."""
CONVERSATION_COUNT = 500
"""Images and documents of a conversation; a request may have 600 (docs: vision)."""

_DOCUMENT = "application/pdf"


class Shelf:
    """Blobs by digest, as base64. What is referred to twice counts twice: it is sent twice."""

    def __init__(self) -> None:
        self._base64: dict[str, str] = {}
        self._unsaved: dict[str, Blob] = {}
        self._bytes = 0
        self._count = 0
        self._step = 0
        self._step_tokens = 0

    def step_tokens(self, step: int) -> int:
        """The tokens of the media that were made in `step`."""
        return self._step_tokens if step == self._step else 0

    def refusal(self, step: int, content: Sequence[Block], *, beside: int = 0) -> str | None:
        """Why media of `content`, made in `step`, cannot be added; None when they can.

        `beside` are the tokens that other results of the step have.
        """
        wanted = list(references(content))
        taken = beside + self.step_tokens(step)
        if wanted and taken + sum(source["tokens"] for source in wanted) > STEP_TOKENS:
            return (
                "The images and documents that were read in this step are too much for one message. "
                "Read this one again, by itself, or fewer pages of it."
            )
        total = self._bytes + sum(source["bytes"] for source in wanted)
        if total > CONVERSATION_BYTES or self._count + len(wanted) > CONVERSATION_COUNT:
            return (
                f"This conversation holds {self._count} images and documents of {self._bytes:,} bytes, and "
                f"more than {CONVERSATION_COUNT} or {CONVERSATION_BYTES:,} bytes cannot be sent. Work from "
                "what you have seen, or take the rest to a new conversation."
            )
        return None

    def put(self, step: int, content: Sequence[Block], blobs: Iterable[Blob]) -> None:
        """Take what a call of `step` has made: `content` refers to `blobs`."""
        if step != self._step:
            self._step, self._step_tokens = step, 0
        for source in references(content):
            self._step_tokens += source["tokens"]
            self._count_in(source)
        for blob in blobs:
            if blob.sha256 not in self._base64:
                self._base64[blob.sha256] = b64encode(blob.data).decode()
                self._unsaved[blob.sha256] = blob

    def load(self, content: Sequence[Block], blobs: Iterable[Blob]) -> None:
        """Take what the log's `content` refers to, as the store has it."""
        for source in references(content):
            self._count_in(source)
        for blob in blobs:
            self._base64[blob.sha256] = b64encode(blob.data).decode()

    def unsaved(self, events: Iterable[EventData]) -> list[Blob]:
        """The blobs that `events` refer to and that nobody has committed yet."""
        if not self._unsaved:
            return []
        wanted = {source["sha256"] for event in events for source in references(media_of(event))}
        return [blob for digest, blob in self._unsaved.items() if digest in wanted]

    def saved(self, blobs: Iterable[Blob]) -> None:
        """Note that `blobs` are committed."""
        for blob in blobs:
            self._unsaved.pop(blob.sha256, None)

    def filled(self, messages: list[dict[str, Json]]) -> list[dict[str, Json]]:
        """`messages` as they are sent, with base64 for references. Raises BlobMissing."""
        if not self._count:
            return messages
        return [
            {**message, "content": filled(message["content"], self._data)}
            if isinstance(message["content"], list)
            else message
            for message in messages
        ]

    def _data(self, digest: str) -> str:
        try:
            return self._base64[digest]
        except KeyError:
            raise BlobMissing(
                f"The bytes of an image or document of this conversation ({digest[:12]}) are lost."
            ) from None

    def _count_in(self, source: dict[str, Json]) -> None:
        self._bytes += source["bytes"]
        self._count += 1


def media_of(event: EventData) -> list[Block]:
    """The blocks of `event` that may refer to blobs: only results of tools do."""
    return event.content if isinstance(event, ToolFinished) else []
