"""Redaction: known secrets and the shapes of well-known tokens are replaced by a mark.

It is a net under careful code, not a licence to log or to show secrets: a secret that was never
registered and has no known shape passes, and so does one that somebody has encoded.
"""

import json
from urllib.parse import quote, quote_plus

from flynn.telemetry import private_key
from flynn.telemetry.shapes import ANCHORS, OPEN, SHAPES, TOKEN

MARK = "⟦redacted⟧"
"""Stands where a secret stood. Its brackets are rare enough to be looked for."""

MIN_SECRET = 6
"""Shorter values are not registered: they would blank out ordinary words."""

ORDINARY = frozenset(
    [
        "admin",
        "administrator",
        "anthropic",
        "changeme",
        "change-me",
        "default",
        "docker",
        "example",
        "flynn",
        "passwd",
        "password",
        "postgres",
        "postgresql",
        "scripted",
        "secret",
        "secrets",
    ]
)
"""Values that settings of examples and tests hold, and that protect nothing. Redacting these words would
blank out every compose file, and keep nothing from anybody."""

_PASSES = 4
"""What a mark leaves beside it may be a secret by itself. Each pass is over what the one before has left."""
_LINE = 4_096
"""Characters of the last line in which the beginning of an open secret is looked for."""

Span = tuple[int, int]


class Redactor:
    """Replaces registered secrets and well-known token shapes in text."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()
        self._beginnings = {anchor[:length] for anchor in ANCHORS for length in range(1, len(anchor))}
        self._beginnings |= {"-----BEGIN"[:length] for length in range(1, 10)}
        self._longest = max(map(len, self._beginnings))

    def register(self, secret: str) -> None:
        """Redact `secret` from now on: as it is, percent-encoded, and as JSON writes it.

        Ignores values under MIN_SECRET, ORDINARY ones, and those that the mark itself holds.
        """
        secret = secret.strip()
        if len(secret) < MIN_SECRET or secret.lower() in ORDINARY or secret in MARK:
            return
        forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
        forms |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        self._secrets = tuple({*self._secrets, *forms})
        self._beginnings |= {form[:length] for form in forms for length in range(1, len(form))}
        self._longest = max(map(len, self._beginnings))

    def redact(self, text: str) -> str:
        """`text` with a mark in the place of each secret. Redacting again changes nothing."""
        return self.redact_between(text, 0, len(text))

    def redact_between(self, text: str, start: int, stop: int) -> str:
        """What stands in `text` from `start` to `stop`, redacted in the light of what stands around it."""
        spans = [
            (max(begin, start), min(end, stop))
            for begin, end in self.spans(text)
            if begin < stop and end > start
        ]
        if not spans:
            return text[start:stop]
        text = _replaced(text[:stop], spans, start)
        for _ in range(_PASSES):
            done = _replaced(text, self.spans(text), 0)
            if done == text:
                break
            text = done
        return text

    def spans(self, text: str) -> list[Span]:
        """Where secrets are in `text`, in order; those that overlap are one."""
        found = private_key.spans(text)
        for secret in self._secrets:
            place = text.find(secret)
            while place >= 0:
                found.append((place, place + len(secret)))
                place = text.find(secret, place + 1)
        for shape in SHAPES:
            found += shape.spans(text)
        return _merged(found)

    def open_from(self, text: str) -> int:
        """From where on `text` may belong to a secret that goes on behind its end; its length if nowhere.

        What stands before is final: `redact` makes of it the same, whatever follows.
        """
        place = private_key.open_from(text)
        # A token that is still being written: behind its anchor there are only characters of tokens. (One
        # anchor begins with a character that is none.)
        run = max(len(text.rstrip(TOKEN)) - 1, 0)
        anchors = [at for anchor in _TOKENS if (at := text.find(anchor, run)) >= 0]
        # One with something around it, on the last line.
        line = max(text.rfind("\n") + 1, len(text) - _LINE, 0)
        around = OPEN.search(text, line)
        if around is not None:
            anchors.append(around.start())
        place = min([place, *anchors])
        for start in range(max(len(text) - self._longest, 0), place):
            if text[start:] in self._beginnings:
                place = start
                break
        if place < len(text):
            for start, stop in self.spans(text):
                if start < place < stop:
                    return start
        return place


_TOKENS = tuple(anchor for anchor in ANCHORS if anchor != "://")
"""Anchors behind which a token is open for as long as it goes on; a URL's password has an end of its own."""

_REDACTOR = Redactor()


def register_secret(secret: str) -> None:
    """Keep `secret` out of everything that this process logs or shows. Holds until the process ends."""
    _REDACTOR.register(secret)


def process_redactor() -> Redactor:
    """The redactor that knows the secrets of this process."""
    return _REDACTOR


def redact(text: str) -> str:
    """`text` without the registered secrets of this process and without well-known tokens."""
    return _REDACTOR.redact(text)


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, stop in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def _replaced(text: str, spans: list[Span], start: int) -> str:
    pieces: list[str] = []
    for begin, stop in spans:
        pieces += text[start:begin], MARK
        start = stop
    return "".join((*pieces, text[start:]))
