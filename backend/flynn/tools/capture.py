"""What a command says, on its way to everybody who is shown it.

bytes → text → without secrets → viewers, as it was written
                               → cleaned as by a terminal → head and tail for the model
                                                          → a file with all, once it is too long for the model
"""

import codecs
from collections.abc import Callable
from dataclasses import dataclass

from flynn.telemetry.redacted_stream import RedactedStream
from flynn.tools.listing import around
from flynn.tools.spill import Spill
from flynn.tools.terminal import Terminal

MAX_RESULT = 30_000
"""Characters of output that the model is shown."""
MAX_FAILURE = 10_000
"""Characters of a failed command's output: what went wrong stands at one of its ends."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is shown of an output, and how many characters are left out of it."""

    text: str
    lost: int


class Capture:
    """Takes a command's output as bytes come, on the event loop, and keeps what the model may be shown.

    What may be the beginning of a secret waits for its end, so a viewer sees it a little later.

    With `whole` the file is written from the first word on; else only when there is more than the model
    is shown. Call `close` at the end, also after a cancellation.
    """

    def __init__(self, show: Callable[[str], None], spill: Spill, *, whole: bool = False) -> None:
        self.spill = spill
        self._show = show
        self._whole = whole
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._redacted = RedactedStream(self._hand_on)
        self._terminal = Terminal()
        self._head = self._tail = ""
        self._total = 0

    def feed(self, piece: bytes) -> None:
        """Take a piece; characters that are torn apart wait for their other half."""
        if text := self._decoder.decode(piece):
            self._redacted.feed(text)

    async def close(self) -> None:
        """Take what was left incomplete, and wait until the file is written."""
        if text := self._decoder.decode(b"", final=True):
            self._redacted.feed(text)
        self._redacted.close()
        self._keep(self._terminal.close())
        await self.spill.close()

    def look(self, limit: int) -> Look:
        """What has come since `forget`, within about `limit` characters, an unfinished last line included."""
        line = self._terminal.line
        total = self._total + len(line)
        if total <= limit:
            return Look(self._head + line, 0)
        half = limit // 2
        return Look(*around((self._head + line)[:half], (self._tail + line)[-half:], total))

    def forget(self) -> None:
        """Let the next look begin here; an unfinished line is shown again when there is more of it."""
        self._head = self._tail = ""
        self._total = 0

    async def keep(self) -> None:
        """After `close`: write the file all the same that was not needed while it was written."""
        if not self.spill.begun:
            self.spill.add(self._head)
        await self.spill.close()

    @property
    def notes(self) -> list[str]:
        """What the model has to know about how the output was cleaned."""
        count = self._terminal.overwritten
        if not count:
            return []
        return [
            f"[Lines that were written over with \\r are shown in their last state ({count:,} earlier "
            "states left out); `| tr '\\r' '\\n'` shows all.]"
        ]

    def _hand_on(self, text: str) -> None:
        """The one way of a command's words to anybody, behind the redaction."""
        self._show(text)
        self._keep(self._terminal.feed(text))

    def _keep(self, text: str) -> None:
        if not text:
            return
        if self.spill.begun or self._whole:
            self.spill.add(text)
        elif self._total + len(text) > MAX_RESULT:
            self.spill.add(self._head + text)
        self._total += len(text)
        if len(self._head) < MAX_RESULT:
            self._head += text[: MAX_RESULT - len(self._head)]
        self._tail = (self._tail + text)[-MAX_RESULT:]
