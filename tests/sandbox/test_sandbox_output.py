"""Head and tail of an output within its bound."""

import re

from hypothesis import given
from hypothesis import strategies as st

from flynn.sandbox.output import Output


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(0, 200))
def test_what_is_kept_and_what_is_counted_is_the_whole(pieces: list[bytes], limit: int) -> None:
    whole = b"".join(pieces)
    output = Output(limit)
    for piece in pieces:
        output.add(piece)
    assert output.total == len(whole)
    assert output.cut == max(len(whole) - limit, 0)
    if not output.cut:
        assert output.content() == whole
        return
    head, tail = limit - limit // 2, limit // 2
    gap = b"\n[%d bytes cut here]\n" % output.cut
    assert output.content() == whole[:head] + gap + whole[len(whole) - tail :]


def test_memory_stays_near_the_limit() -> None:
    output = Output(1000)
    for _ in range(10_000):
        output.add(b"x" * 1000)
    assert len(output._tail) <= 3
    assert re.fullmatch(rb"x{500}\n\[9999000 bytes cut here\]\nx{500}", output.content())
