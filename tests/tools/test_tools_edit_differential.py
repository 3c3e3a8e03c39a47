"""Edit against Python's own replace on the decoded text: every encoding, every line ending, real files.

What Edit does to line endings is worked out here in another way than it is done there: the text is edited
with line feeds alone, and each line feed remembers what it was in the file.
"""

from dataclasses import dataclass

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flynn.domain.tool_result import Outcome
from tests.tools.conftest import Conversation

_ENCODINGS = {
    "utf-8": b"",
    "utf-8-sig": b"\xef\xbb\xbf",
    "utf-16-le": b"\xff\xfe",
    "utf-16-be": b"\xfe\xff",
    "latin-1": b"",
}
_LINE = st.text("ab \t.(*\\$é", max_size=6)
_PIECE = st.lists(_LINE, min_size=1, max_size=3).map("\n".join)


@dataclass
class Case:
    """A file: its lines, the ending of each, its encoding; and whether its last line is closed."""

    lines: list[str]
    endings: list[str]
    encoding: str
    closed: bool

    @property
    def text(self) -> str:
        """The text with line feeds."""
        return "\n".join(self.lines) + ("\n" if self.closed else "")

    @property
    def kept(self) -> list[str]:
        """What each line feed of the text is in the file."""
        return self.endings[: self.text.count("\n")]

    def data(self, text: str, endings: list[str]) -> bytes:
        """The bytes of `text` when its line feeds are `endings`."""
        pieces = text.split("\n")
        whole = "".join(piece + ending for piece, ending in zip(pieces, [*endings, ""], strict=True))
        encoding = self.encoding.removesuffix("-sig")
        return _ENCODINGS[self.encoding] + whole.encode(encoding)


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    lines = draw(st.lists(_LINE, min_size=1, max_size=8))
    style = draw(st.sampled_from(("\n", "\r\n", "mixed")))
    endings = [draw(st.sampled_from(("\n", "\r\n"))) if style == "mixed" else style for _ in lines]
    return Case(lines, endings, draw(st.sampled_from(list(_ENCODINGS))), draw(st.booleans()))


def _expected(case: Case, old: str, new: str, places: list[int]) -> bytes:
    """The file with `new` at each of `places` of its text, where `old` is."""
    kept = case.kept
    usual = "\r\n" if kept.count("\r\n") * 2 > len(kept) else "\n"
    text, endings, position, feeds = "", list[str](), 0, 0
    for place in places:
        between = case.text[position:place]
        text += between
        endings += kept[feeds : feeds + between.count("\n")]
        feeds += between.count("\n")
        replaced = kept[feeds : feeds + old.count("\n")]
        local = "\r\n" if "\r\n" in replaced else "\n" if replaced else usual
        text += new
        endings += [local] * new.count("\n")
        feeds += old.count("\n")
        position = place + len(old)
    return case.data(text + case.text[position:], endings + kept[feeds:])


def _places(text: str, old: str) -> list[int]:
    found: list[int] = []
    place = text.find(old)
    while place >= 0:
        found.append(place)
        place = text.find(old, place + len(old))
    return found


@settings(max_examples=120, deadline=None)
@given(case=_cases(), data=st.data(), new=_PIECE, everywhere=st.booleans(), windows=st.booleans())
async def test_edit_does_what_replace_does_to_the_text(
    talk: Conversation, case: Case, data: st.DataObject, new: str, everywhere: bool, windows: bool
) -> None:
    start = data.draw(st.integers(0, max(len(case.text) - 1, 0)))
    end = data.draw(st.integers(start + 1, start + 6))
    old = data.draw(st.one_of(_PIECE, st.just(case.text[start:end])))
    assume(case.encoding != "latin-1" or "é" in case.text)  # without one it is UTF-8, and stays that
    before = case.data(case.text, case.kept)
    file = talk.file("file", before)
    await talk.text("Read", file_path="file")
    given_old, given_new = (part.replace("\n", "\r\n") if windows else part for part in (old, new))
    result = await talk.call(
        "Edit", file_path="file", old_string=given_old, new_string=given_new, replace_all=everywhere
    )
    places = _places(case.text, old) if old else []
    allowed = old not in ("", new) and (len(places) == 1 or (everywhere and bool(places)))
    assert (result.outcome is Outcome.OK) is allowed, result.content
    after = file.read_bytes()
    assert after == (_expected(case, old, new, places) if allowed else before)
    if allowed:
        decoded = after[len(_ENCODINGS[case.encoding]) :].decode(case.encoding.removesuffix("-sig"))
        assert decoded.replace("\r\n", "\n") == case.text.replace(old, new), "as Python does it"
    assert [path.name for path in talk.root.iterdir()] == ["file"], "nothing is left behind"
