"""The shelf: the same bytes for a reference each time, and no more media than a request can carry."""

from base64 import b64decode, b64encode
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.agent.estimate import STEP_TOKENS, tokens_of, tokens_of_media
from flynn.agent.fold import Transcript
from flynn.agent.shelf import CONVERSATION_BYTES, CONVERSATION_COUNT, Shelf
from flynn.domain import events as ev
from flynn.domain.blob import Blob, filled, references
from flynn.domain.content import text_block
from flynn.domain.errors import BlobMissing
from flynn.domain.run import Limits
from flynn.domain.tool_result import Outcome, ToolResult
from tests.media import image

PICTURE = Blob(image(40, 30), "image/png")
DOCUMENT = Blob(b"%PDF-1.7 words", "application/pdf")


def result(*blocks: Any, call_id: str = "c") -> dict[str, Any]:
    return ToolResult(content=list(blocks)).block(call_id)


def finished(content: list[Any]) -> ev.ToolFinished:
    return ev.ToolFinished(step=1, call_id="c", tool="Read", outcome=Outcome.OK, content=content)


def claim(size: int, tokens: int) -> list[Any]:
    """Content that refers to bytes of any size."""
    source = {"type": "blob", "sha256": "0" * 64, "media_type": "image/png", "bytes": size, "tokens": tokens}
    return [{"type": "image", "source": source}]


def test_a_reference_says_what_it_refers_to_and_is_filled_with_the_same_bytes() -> None:
    block = PICTURE.block(7)
    assert block == {
        "type": "image",
        "source": {
            "type": "blob",
            "sha256": PICTURE.sha256,
            "media_type": "image/png",
            "bytes": len(PICTURE.data),
            "tokens": 7,
        },
    }
    assert DOCUMENT.block(1)["type"] == "document"
    content = [result(block, text_block("words"), {**DOCUMENT.block(9), "title": "manual"})]
    shelf = Shelf()
    shelf.put(1, content, [PICTURE, DOCUMENT])
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "words"},
        {"role": "user", "content": content},
        {"role": "assistant", "content": [text_block("seen")]},
    ]
    sent = shelf.filled(messages)
    assert sent[0] is messages[0]
    assert sent[2]["content"] == messages[2]["content"]
    picture, words, document = sent[1]["content"][0]["content"]
    assert picture["source"] == {
        "type": "base64",
        "media_type": "image/png",
        "data": b64encode(PICTURE.data).decode(),
    }
    assert words == text_block("words")
    assert document["title"] == "manual"
    assert b64decode(document["source"]["data"]) == DOCUMENT.data
    # What is kept stays a reference; another worker, with the bytes of the database, sends the same.
    assert next(references(messages[1]["content"]))["type"] == "blob"
    other = Shelf()
    other.load(content, [DOCUMENT, PICTURE])
    assert other.filled(messages) == sent


def test_only_what_is_referred_to_and_new_is_to_be_saved() -> None:
    shelf = Shelf()
    assert shelf.unsaved([finished([text_block("words")])]) == []
    content = [result(PICTURE.block(1))]
    shelf.put(1, content, [PICTURE])
    shelf.put(1, [result(DOCUMENT.block(1))], [DOCUMENT])
    assert shelf.unsaved([finished(content), ev.RunQueued(reason="message")]) == [PICTURE]
    shelf.saved([PICTURE])
    shelf.put(2, content, [PICTURE])
    assert shelf.unsaved([finished(content)]) == []


def test_a_lost_blob_is_named() -> None:
    shelf = Shelf()
    shelf.load([result(PICTURE.block(1))], [])
    with pytest.raises(BlobMissing, match=PICTURE.sha256[:12]):
        shelf.filled([{"role": "user", "content": [result(PICTURE.block(1))]}])


def test_a_step_and_a_conversation_have_room_for_so_much() -> None:
    shelf = Shelf()
    half = claim(10, STEP_TOKENS // 2)
    for _ in range(2):
        assert shelf.refusal(1, half) is None
        shelf.put(1, half, [])
    assert "too much for one message" in str(shelf.refusal(1, claim(1, 1)))
    assert shelf.refusal(2, half) is None
    assert "18,874,368 bytes cannot be sent" in str(shelf.refusal(2, claim(CONVERSATION_BYTES - 19, 1)))
    assert shelf.refusal(2, claim(CONVERSATION_BYTES - 20, 1)) is None
    for _ in range(CONVERSATION_COUNT - 2):
        shelf.load(claim(0, 1), [])
    assert "holds 500 images" in str(shelf.refusal(3, claim(0, 1)))


def test_the_estimate_counts_media_by_what_they_cost() -> None:
    content = [result(*claim(5_000_000, 1_500), text_block("x" * 250))]
    assert tokens_of_media(content) == 1_500
    assert tokens_of(content) < 300


def test_the_fold_keeps_references_and_the_digest_needs_no_bytes() -> None:
    def told(shelved: bool) -> Transcript:
        transcript = Transcript(
            prefix={"system": "s"}, limits=Limits(turns=9, nanodollars=9, prompt_tokens=9)
        )
        content = [PICTURE.block(3)]
        if shelved:
            transcript.shelf.load(content, [PICTURE])
        event = ev.MessageSent(message_id=uuid4(), principal="p", text="t", content=content)
        recorded = ev.Recorded.model_validate(
            {
                "conversation_id": "00000000-0000-0000-0000-000000000001",
                "seq": 1,
                "at": "2026-11-25T00:00:00Z",
                "run_id": None,
                "event": event,
            }
        )
        transcript.apply(recorded)
        return transcript

    assert told(shelved=True).preview([]) == told(shelved=False).preview([])


@given(st.lists(st.sampled_from([PICTURE, DOCUMENT, None]), max_size=6), st.booleans())
def test_filling_changes_references_and_nothing_else(blobs: list[Blob | None], nest: bool) -> None:
    blocks: list[Any] = [blob.block(1) if blob else text_block("words") for blob in blobs]
    content = [result(*blocks)] if nest and blocks else blocks
    before = repr(content)
    whole = filled(content, lambda digest: digest[:4])
    assert repr(content) == before
    assert [source["sha256"] for source in references(content)] == [blob.sha256 for blob in blobs if blob]
    assert list(references(whole)) == []
    inner = whole[0]["content"] if nest and blocks else whole
    for blob, block in zip(blobs, inner, strict=True):
        assert block == text_block("words") if blob is None else block["source"]["data"] == blob.sha256[:4]
