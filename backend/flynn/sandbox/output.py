"""Output of a command within a bound: its head and its tail are kept, the middle is counted."""

from collections import deque


class Output:
    """Keeps the first and the last `limit / 2` bytes of a stream, and how many there were."""

    def __init__(self, limit: int) -> None:
        self._head_limit = limit - limit // 2
        self._tail_limit = limit // 2
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.total = 0

    def add(self, piece: bytes) -> None:
        """Take the next bytes of the stream."""
        self.total += len(piece)
        space = self._head_limit - len(self._head)
        if space > 0:
            self._head += piece[:space]
            piece = piece[space:]
        if not piece:
            return
        self._tail.append(piece)
        self._tail_size += len(piece)
        while self._tail and self._tail_size - len(self._tail[0]) >= self._tail_limit:
            self._tail_size -= len(self._tail.popleft())

    @property
    def cut(self) -> int:
        """How many bytes were lost."""
        return max(self.total - self._head_limit - self._tail_limit, 0)

    def content(self) -> bytes:
        """What was kept, with a line in the gap that says how much is missing."""
        tail = b"".join(self._tail)
        if not self.cut:
            return bytes(self._head) + tail
        tail = tail[len(tail) - self._tail_limit :]
        return bytes(self._head) + b"\n[%d bytes cut here]\n" % self.cut + tail
