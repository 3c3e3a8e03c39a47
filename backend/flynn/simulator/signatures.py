"""Signatures of thinking blocks: what one binds to, and how a block that comes back is judged.

A signature binds to system, tools and all earlier messages (docs: preserved-thinking; compared as
flynn.simulator.canonical says), to its own text and to the model that made it. It also names the
thinking block before it and whether that stands in the same tool round, so that a run may be taken away
from the front or the back of a conversation, but none from the middle, no part of a tool round from the
front, and none that was taken away can be put back.
"""

import hmac
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

_NONE: Final = bytes(8)
_FIXED: Final = 1 + 16 + 8 + 8


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature's content. `previous` is the id of the thinking block before it, or eight zeros."""

    context: bytes
    id: bytes
    previous: bytes
    in_round: bool
    """Whether the block before it stands in the same tool round."""
    line: str
    """The line of models that made it, such as "haiku"."""


class Signer:
    """Makes and reads signatures under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key, digest_size=32).digest()

    def sign(self, signature: Signature, text: str) -> str:
        """Sign a thinking block with this text."""
        head = bytes([signature.in_round]) + signature.context + signature.id + signature.previous
        body = head + signature.line.encode()
        return b64encode(body + self._mac(body, text)).decode()

    def read(self, signature: str, text: str) -> Signature | None:
        """Read a signature; None if it is none of ours, or its block was changed."""
        try:
            raw = b64decode(signature, validate=True)
        except (Base64Error, ValueError):
            return None
        body, mac = raw[:-16], raw[-16:]
        if len(body) < _FIXED or not hmac.compare_digest(mac, self._mac(body, text)):
            return None
        return Signature(body[1:17], body[17:25], body[25:33], bool(body[0]), body[_FIXED:].decode())

    def _mac(self, body: bytes, text: str) -> bytes:
        return blake2b(body + text.encode(), digest_size=16, key=self._key).digest()


class Pen:
    """Signs the thinking blocks of one reply, each after the one before it."""

    def __init__(
        self, signer: Signer, *, context: bytes, previous: bytes | None, in_round: bool, line: str
    ) -> None:
        self._signer = signer
        self._next = Signature(context, secrets.token_bytes(8), previous or _NONE, in_round, line)

    def sign(self, text: str) -> str:
        """The signature of the reply's next thinking block."""
        signed = self._signer.sign(self._next, text)
        self._next = replace(self._next, id=secrets.token_bytes(8), previous=self._next.id, in_round=True)
        return signed
