"""Read on PDF documents: whole when short, pages when asked, hostile ones named; always bounded."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DecodedStreamObject, NameObject, NumberObject

from flynn.domain.evidence import FileRead
from flynn.domain.tool_result import Outcome, ToolResult
from flynn.tools.document import MAX_BYTES, MAX_PAGES, MAX_TOKENS, page_range
from flynn.workspace.entry import digest
from tests.media import image, pdf
from tests.tools.conftest import Conversation

PARAGRAPH = "\n".join(["Press the green button, then wait for the light to go out."] * 40)


def shown(result: ToolResult) -> tuple[dict[str, Any], str, PdfReader]:
    """The reference, the words and the document of a result that shows one."""
    assert result.outcome is Outcome.OK, result.content
    assert isinstance(result.content, list)
    document, words = result.content
    assert document["type"] == "document"
    (blob,) = result.blobs
    assert document["source"]["sha256"] == digest(blob.data)
    assert document["source"]["media_type"] == blob.media_type == "application/pdf"
    assert document["source"]["tokens"] <= MAX_TOKENS
    assert len(blob.data) <= MAX_BYTES
    return document["source"], str(words["text"]), PdfReader(io.BytesIO(blob.data))


def said(document: PdfReader) -> list[str]:
    return [page.extract_text().strip() for page in document.pages]


@pytest.mark.needs("bubblewrap")
async def test_a_short_document_is_shown_whole_and_as_it_is(talk: Conversation) -> None:
    data = pdf(["one", "two", "three"])
    talk.file("manual.pdf", data)
    result = await talk.call("Read", file_path="manual.pdf")
    source, words, _ = shown(result)
    assert result.blobs[0].data == data
    assert words == "manual.pdf: PDF document, 3 pages"
    assert 3 * 1_600 < source["tokens"] < 3 * 1_610
    assert result.evidence == (FileRead(path="manual.pdf", sha256=digest(data), complete=True),)


@pytest.mark.slow
@pytest.mark.needs("bubblewrap")
async def test_pages_are_taken_out_as_they_were_asked_for(talk: Conversation) -> None:
    data = pdf([f"page {number}" for number in range(1, 26)])
    talk.file("book.pdf", data)
    assert (
        'of 25 pages. More than 10 are not shown at once: name up to 20 with pages, such as pages "1-20"'
        in (await talk.error("Read", file_path="book.pdf"))
    )
    result = await talk.call("Read", file_path="book.pdf", pages=" 4 - 6 ")
    _, words, document = shown(result)
    assert said(document) == ["page 4", "page 5", "page 6"]
    assert words == 'book.pdf: PDF document, pages 4 to 6 of 25; go on with pages "7-25"'
    assert result.evidence == (FileRead(path="book.pdf", sha256=digest(data), complete=False),)
    _, words, document = shown(await talk.call("Read", file_path="book.pdf", pages="24-30"))
    assert said(document) == ["page 24", "page 25"]
    assert words == "book.pdf: PDF document, pages 24 to 25 of 25"
    _, _, document = shown(await talk.call("Read", file_path="book.pdf", pages="1-20"))
    assert len(document.pages) == MAX_PAGES
    assert "has 25 pages; the pages that you named are past its end" in (
        await talk.error("Read", file_path="book.pdf", pages="26")
    )


@pytest.mark.needs("bubblewrap")
async def test_as_many_pages_as_there_is_room_for(talk: Conversation) -> None:
    talk.file("dense.pdf", pdf([PARAGRAPH] * 20))
    source, words, document = shown(await talk.call("Read", file_path="dense.pdf", pages="1-20"))
    count = len(document.pages)
    assert count * (1_600 + len(PARAGRAPH) / 2.5) <= source["tokens"] + count
    assert 10 < count < 20
    assert words.endswith(f'pages 1 to {count} of 20; go on with pages "{count + 1}-20"')
    talk.file("wall.pdf", pdf(["words " * 20_000]))
    assert "one page of it has too much text" in await talk.error("Read", file_path="wall.pdf")


@pytest.mark.slow
@pytest.mark.needs("bubblewrap")
async def test_a_document_of_many_bytes_is_shown_in_parts(talk: Conversation) -> None:
    writer = PdfWriter()
    for _ in range(4):
        page = writer.add_blank_page(100, 100)
        picture = writer._add_object(_picture_stream())
        page[NameObject("/Contents")] = picture
    file = io.BytesIO()
    writer.write(file)
    assert len(file.getvalue()) > MAX_BYTES
    talk.file("scan.pdf", file.getvalue())
    _, words, document = shown(await talk.call("Read", file_path="scan.pdf"))
    assert len(document.pages) == 2
    assert words == 'scan.pdf: PDF document, pages 1 to 2 of 4; go on with pages "3-4"'


def _picture_stream() -> Any:
    """A page's content of 1.5 MB that is no text."""
    stream = DecodedStreamObject()
    stream.set_data(b"% " + image(800, 800, noise=True).hex().encode()[:1_500_000])
    return stream


@pytest.mark.needs("bubblewrap")
async def test_documents_in_the_private_tmp_are_shown_without_evidence(talk: Conversation) -> None:
    (talk.scratch / "made.pdf").write_bytes(pdf(["made by a command"]))
    result = await talk.call("Read", file_path="/tmp/made.pdf")
    _, words, document = shown(result)
    assert words == "/tmp/made.pdf: PDF document, 1 page"
    assert said(document) == ["made by a command"]
    assert result.evidence == ()


def _looped() -> bytes:
    """A document whose tree of pages is its own child."""
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Count 9/Kids[2 0 R 2 0 R]>>endobj\n"
        b"trailer<</Root 1 0 R>>\n%%EOF"
    )


def _boastful() -> bytes:
    """A document that claims a page count that it does not have."""
    writer = PdfWriter(io.BytesIO(pdf(["one"])))
    pages = writer._root_object["/Pages"].get_object()
    pages[NameObject("/Count")] = NumberObject(2**31)  # type: ignore[index]  # a dictionary
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


@pytest.mark.needs("bubblewrap")
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pdf(["secret"], password="secret"), "it is encrypted; decrypt it first"),
        (pdf([]), "it has no pages"),
        (b"%PDF-1.7\n" + bytes(range(256)) * 40, "it is damaged"),
        (pdf(["one", "two"])[:300], "cannot be shown"),
        (b"%PDF-", "it is damaged"),
        (_looped(), "cannot be shown"),
    ],
)
async def test_hostile_documents_are_named(talk: Conversation, data: bytes, words: str) -> None:
    talk.file("evil.pdf", data)
    assert words in await talk.error("Read", file_path="evil.pdf")
    assert talk.seen == {}


@pytest.mark.needs("bubblewrap")
async def test_a_document_that_lies_about_its_pages_is_bounded(talk: Conversation) -> None:
    talk.file("boast.pdf", _boastful())
    result = await talk.call("Read", file_path="boast.pdf", pages="1-3")
    if result.outcome is Outcome.OK:
        assert len(shown(result)[2].pages) == 1
    else:
        assert "cannot be shown" in str(result.content)


async def test_without_a_sandbox_no_document_is_opened(talk: Conversation) -> None:
    talk.file("manual.pdf", pdf(["one"]))
    words = await talk.error("Read", file_path="manual.pdf")
    assert "to look into it a program has to read it first, and that needs the sandbox" in words


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ("", 'must be a number or a range, such as "3" or "1-5"'),
        ("all", "not 'all'"),
        ("1,2", "must be"),
        ("1-", "must be"),
        ("-3", "must be"),
        ("٣", "must be"),
        ("0", "counts from 1"),
        ("5-4", "does not"),
        ("1-21", "A call may read 20 pages, not 21"),
        ("9999999", "must be"),
    ],
)
async def test_wrong_pages_are_told_in_words(talk: Conversation, pages: str, words: str) -> None:
    talk.file("manual.pdf", pdf(["one"]))
    assert words in await talk.error("Read", file_path="manual.pdf", pages=pages)


@given(st.text(max_size=12))
def test_a_range_is_in_order_and_short_or_a_sentence(pages: str) -> None:
    found = page_range(pages)
    if isinstance(found, str):
        assert found.endswith(".")
    else:
        assert 1 <= found[0] <= found[1] < found[0] + MAX_PAGES
