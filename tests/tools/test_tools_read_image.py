"""Read on images: shown within the API's limits, made smaller in the sandbox, hostile ones named."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image

from flynn.domain.evidence import FileRead
from flynn.domain.tool_result import Outcome, ToolResult
from flynn.sandbox.opening import Preference, open_sandbox
from flynn.tools.image import MAX_BYTES, MAX_EDGE
from flynn.workspace.entry import digest
from flynn.workspace.root import Workspace
from flynn.workspace.scratch import create_scratch
from tests.media import animation, image, png
from tests.tools.conftest import Conversation


def shown(result: ToolResult) -> tuple[dict[str, Any], str, Image.Image]:
    """The reference, the words and the decoded picture of a result that shows one."""
    assert result.outcome is Outcome.OK, result.content
    assert isinstance(result.content, list)
    picture, words = result.content
    assert picture["type"] == "image"
    (blob,) = result.blobs
    source = picture["source"]
    assert (source["sha256"], source["bytes"]) == (digest(blob.data), len(blob.data))
    opened = Image.open(io.BytesIO(blob.data))
    opened.load()
    assert source["media_type"] == blob.media_type == f"image/{str(opened.format).lower()}"
    return source, str(words["text"]), opened


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_a_small_image_is_shown_as_it_is_without_a_sandbox(talk: Conversation, kind: str) -> None:
    data = image(640, 480, kind)
    talk.file("shot", data)
    result = await talk.call("Read", file_path="shot")
    source, words, _ = shown(result)
    assert result.blobs[0].data == data
    assert source["tokens"] == 410
    assert words == f"shot: {kind.replace('WEBP', 'WebP')} image, 640x480 pixels"
    assert result.evidence == (FileRead(path="shot", sha256=digest(data), complete=True),)


async def test_without_a_sandbox_a_large_image_is_refused_with_what_would_do(talk: Conversation) -> None:
    talk.file("large.png", image(2_000, 900))
    words = await talk.error("Read", file_path="large.png")
    assert "large.png (PNG image, 2000x900 pixels" in words
    assert "that needs the sandbox, and there is none" in words
    assert "up to 1568x1568 pixels" in words
    talk.file("old.bmp", image(20, 20, "BMP"))
    assert "old.bmp (BMP image" in await talk.error("Read", file_path="old.bmp")
    assert talk.seen == {}


async def test_words_that_begin_like_an_image_are_words(talk: Conversation) -> None:
    for words in ("BM is a company\n", "GIF89 was a format\n", "II*\n"):
        talk.file("words", words)
        assert await talk.text("Read", file_path="words") == f"1\t{words.strip()}"


@pytest.mark.needs("bubblewrap")
@pytest.mark.parametrize(
    ("name", "made", "size", "kind", "words"),
    [
        ("wide.png", partial(image, 3_136, 200), (1_568, 100), "PNG", "(made from 3136x200)"),
        ("tall.jpg", partial(image, 100, 3_136, "JPEG"), (50, 1_568), "JPEG", "(made from 100x3136)"),
        (
            "heavy.png",
            partial(image, 1_500, 1_500, noise=True),
            (1_500, 1_500),
            "JPEG",
            "(made from 1500x1500)",
        ),
        ("clear.png", partial(image, 2_000, 100, mode="RGBA"), (1_568, 78), "PNG", "(made from 2000x100)"),
        ("old.bmp", partial(image, 40, 30, "BMP"), (40, 30), "PNG", "BMP image, 40x30 pixels"),
        ("scan.tif", partial(image, 40, 30, "TIFF", mode="CMYK"), (40, 30), "PNG", "TIFF image"),
        ("deep.tif", partial(image, 40, 30, "TIFF", mode="I;16"), (40, 30), "PNG", "TIFF image"),
        ("page.ico", partial(image, 32, 32, "ICO"), (32, 32), "PNG", "ICO image"),
        ("new.avif", partial(image, 64, 64, "AVIF"), (64, 64), "PNG", "AVIF image"),
        ("film.gif", partial(animation, 4, width=1_600), (1_568, 20), "PNG", "the first of 4 frames"),
    ],
)
async def test_what_does_not_fit_is_made_smaller(
    talk: Conversation,
    name: str,
    made: Callable[[], bytes],
    size: tuple[int, int],
    kind: str,
    words: str,
) -> None:
    data = made()
    talk.file(f"pictures/{name}", data)
    result = await talk.call("Read", file_path=f"pictures/{name}")
    source, said, picture = shown(result)
    assert picture.size == size
    assert picture.format == kind
    assert max(size) <= MAX_EDGE
    assert source["bytes"] <= MAX_BYTES
    assert words in said
    assert result.evidence == (FileRead(path=f"pictures/{name}", sha256=digest(data), complete=False),)


@pytest.mark.needs("bubblewrap")
async def test_a_turned_photograph_is_upright_and_transparency_survives(talk: Conversation) -> None:
    turned = Image.new("RGB", (2_000, 100), "red")
    turned.paste("blue", (0, 0, 1_000, 100))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise, EXIF 2.3 section 4.6.4
    file = io.BytesIO()
    turned.save(file, "JPEG", exif=exif)
    talk.file("photo.jpg", file.getvalue())
    _, _, picture = shown(await talk.call("Read", file_path="photo.jpg"))
    assert picture.size == (78, 1_568)
    top = picture.convert("RGB").getpixel((39, 10))
    assert isinstance(top, tuple)
    assert top[2] > 200 > top[0]

    clear = Image.new("RGBA", (2_000, 100), (0, 0, 0, 0))
    clear.save(talk.root / "clear.png")
    _, _, picture = shown(await talk.call("Read", file_path="clear.png"))
    assert picture.mode == "RGBA"
    assert picture.getpixel((0, 0)) == (0, 0, 0, 0)


@pytest.mark.needs("bubblewrap")
@pytest.mark.parametrize(
    ("made", "words"),
    [
        (partial(png, 65_535, 65_535, b""), "it has more than 100 megapixels"),
        (partial(png, 20_000, 20_000, b"\0" * 1_000_000), "it has more than 100 megapixels"),
        (partial(png, 9_000, 9_000, b"\0" * 1_000), "it is damaged"),
        (lambda: image(2_000, 2_000)[:-2_000], "it is damaged"),
        (lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "it is of no kind that can be shown"),
        (lambda: b"\0\0\0\x18ftypheic" + b"\0" * 100, "it is of no kind that can be shown"),
        (lambda: b"II*\0" + b"\xff" * 100, "it is"),
    ],
)
async def test_hostile_images_are_named_and_nothing_is_shown(
    talk: Conversation, made: Callable[[], bytes], words: str
) -> None:
    talk.file("evil", made())
    assert words in await talk.error("Read", file_path="evil")
    assert talk.seen == {}


async def test_images_that_fit_but_lie_are_named_without_a_sandbox(talk: Conversation) -> None:
    talk.file("evil.png", png(100, 100, b"\0" * 99))
    assert "it holds fewer pixels than its header says" in await talk.error("Read", file_path="evil.png")
    talk.file("half.jpg", image(200, 200, "JPEG")[:-300])
    assert "it is damaged: its end is missing" in await talk.error("Read", file_path="half.jpg")


async def test_pages_are_for_documents(talk: Conversation) -> None:
    talk.file("shot.png", image(9, 9))
    assert "no PDF document" in await talk.error("Read", file_path="shot.png", pages="1")


@pytest.fixture
def public() -> Iterator[Path]:
    """A workspace that every user can walk to."""
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        workspace = Path(directory) / "workspace"
        workspace.mkdir()
        yield workspace


@pytest.mark.needs("landlock")
async def test_the_landlock_backend_makes_them_smaller_too(tmp_path: Path, public: Path) -> None:
    async with talking("landlock", tmp_path, public) as talk:
        talk.file("wide.png", image(3_136, 200))
        _, _, picture = shown(await talk.call("Read", file_path="wide.png"))
        assert picture.size == (1_568, 100)
        # Its commands know the private directory by its own name.
        (talk.scratch / "wide.jpg").write_bytes(image(3_136, 200, "JPEG"))
        for path in ("/tmp/wide.jpg", str(talk.scratch / "wide.jpg")):
            result = await talk.call("Read", file_path=path)
            _, words, picture = shown(result)
            assert words.startswith("/tmp/wide.jpg: JPEG image")
            assert picture.size == (1_568, 100)
            assert result.evidence == ()


@pytest.mark.needs("root")
@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("landlock", marks=pytest.mark.needs("landlock")),
        pytest.param("bubblewrap", marks=pytest.mark.needs("bubblewrap")),
    ],
)
async def test_in_a_workspace_of_another_uid_it_works_or_says_why_not(
    tmp_path: Path, public: Path, backend: Preference
) -> None:
    async with talking(backend, tmp_path, public) as talk:
        talk.file("wide.png", image(3_136, 200))
        os.chown(talk.root, 20_123, 20_123)
        result = await talk.call("Read", file_path="wide.png")
        if result.outcome is Outcome.OK:
            assert shown(result)[2].size == (1_568, 100)
        else:  # that uid cannot walk to the interpreter
            assert "does not run in the sandbox of this machine" in str(result.content)


@asynccontextmanager
async def talking(backend: Preference, base: Path, workspace: Path) -> AsyncIterator[Conversation]:
    """A conversation over the backend."""
    sandbox = await open_sandbox(private_root=base / "private", prefer=backend)
    with Workspace.open(workspace) as opened:
        yield Conversation(opened, sandbox, create_scratch(base / "private" / "scratch", uuid4()))


@pytest.mark.slow
@pytest.mark.needs("bubblewrap")
async def test_many_at_once_are_shown_one_after_the_other_and_whatever_their_names(
    talk: Conversation,
) -> None:
    talk.file(os.fsdecode(b"\xff -x.png"), image(3_136, 200))
    for number in range(7):
        (talk.root / f"-{number}.png").symlink_to(os.fsdecode(b"\xff -x.png"))
    results = await asyncio.gather(*(talk.call("Read", file_path=f"-{number}.png") for number in range(7)))
    assert [shown(result)[2].size for result in results] == [(1_568, 100)] * 7


@pytest.mark.slow
@pytest.mark.needs("bubblewrap")
async def test_a_file_that_is_swapped_while_it_is_read_is_not_taken_for_the_other(talk: Conversation) -> None:
    one, other = image(1_600, 40), image(1_600, 41)
    path = talk.file("swapped.png", one)
    stop = False

    def swap() -> None:
        number = 0
        while not stop:
            (talk.root / "next").write_bytes((one, other)[number % 2])
            (talk.root / "next").rename(path)
            number += 1

    swapping = asyncio.create_task(asyncio.to_thread(swap))
    try:
        for _ in range(6):
            result = await talk.call("Read", file_path="swapped.png")
            if result.outcome is Outcome.OK:
                (evidence,) = result.evidence
                assert isinstance(evidence, FileRead)
                _, words, _ = shown(result)
                assert evidence.sha256 == digest(one if "1600x40" in words else other)
            else:
                assert "changed meanwhile" in str(result.content)
    finally:
        stop = True
        await swapping
