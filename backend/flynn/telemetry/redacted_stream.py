"""Redaction of text that comes in pieces: no secret passes because it was split over two of them."""

from collections.abc import Callable

from flynn.telemetry import private_key
from flynn.telemetry.redaction import MARK, Redactor, process_redactor
from flynn.telemetry.shapes import CONTEXT, TOKEN

MAX_HELD = 4_096
"""Characters that wait for the end of a token. A longer one becomes a mark before its end has come."""


class RedactedStream:
    """Takes pieces of one text and hands them on redacted, in order.

    It holds back only what may belong to a secret that is not complete yet: a word that begins like one, a
    private key whose last line is missing. All else goes on at once. `close` hands on what is left.
    """

    def __init__(self, hand_on: Callable[[str], None], redactor: Redactor | None = None) -> None:
        self._hand_on = hand_on
        self._redactor = redactor or process_redactor()
        self._before = ""
        """The end of what was handed on, as it came: what a secret begins with may depend on it."""
        self._shown = ""
        """The same, as it was shown."""
        self._held = ""
        self._swallowing = False

    def feed(self, piece: str) -> None:
        """Take the next piece."""
        if self._swallowing:
            piece = piece.lstrip(TOKEN)
            if not piece:
                return
            self._swallowing = False
        text = self._before + self._held + piece
        place = max(self._redactor.open_from(text), len(self._before))
        held = text[place:]
        if len(held) > private_key.LONGEST or (len(held) > MAX_HELD and not private_key.BEGIN.match(held)):
            # No secret that we know is so long. Whatever it is, none of its end shall pass.
            self._pass(text, place)
            self._before = self._shown = self._held = ""
            self._swallowing = True
            self._hand_on(MARK)
            return
        self._held = held
        self._pass(text, place)

    def close(self) -> None:
        """The text is at its end: hand on what was held back."""
        text = self._before + self._held
        self._held = ""
        self._pass(text, len(text))

    def _pass(self, text: str, stop: int) -> None:
        """Hand on what of `text` is new up to `stop`, and keep its end for what follows."""
        shown = self._redactor.redact_between(text, len(self._before), stop)
        self._before = text[max(stop - CONTEXT, 0) : stop]
        if shown:
            # Once more behind what was shown: a mark there may have set free what now follows it.
            both = self._shown + shown
            shown = self._redactor.redact_between(both, len(self._shown), len(both))
            self._shown = both[-CONTEXT:]
            self._hand_on(shown)
