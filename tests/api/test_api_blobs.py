"""The door to images and documents: their bytes to who sees the conversation, and nothing to anybody else."""

from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import pytest

from flynn.domain.blob import Blob, MediaType
from flynn.store import blobs
from tests.api.served import Served

SCRIPT = b"<script>alert(1)</script>"


async def keep(served: Served, conversation: str, data: bytes, media_type: MediaType) -> str:
    """Store bytes as a worker does; gives the path of the door to them."""
    blob = Blob(data, media_type)
    async with served.database.begin() as connection:
        await blobs.save(connection, UUID(conversation), [blob])
        await blobs.save(connection, UUID(conversation), [blob])
    return f"/api/v1/conversations/{conversation}/blobs/{blob.sha256}"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("media_type", "way"),
    [
        ("image/png", "inline; filename="),
        ("image/jpeg", "inline; filename="),
        ("image/gif", "inline; filename="),
        ("image/webp", "inline; filename="),
        ("application/pdf", "attachment; filename="),
    ],
)
async def test_bytes_are_served_as_what_they_are_and_as_nothing_else(
    shared: Served, media_type: MediaType, way: str
) -> None:
    async with shared.http() as http:
        path = await keep(shared, await shared.conversation(http), SCRIPT, media_type)
        answer = await http.get(path)
        assert answer.status_code == 200
        assert answer.content == SCRIPT
        headers = answer.headers
        assert headers["content-type"] == media_type
        assert headers["content-disposition"].startswith(way)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert headers.get_list("cache-control") == ["private, max-age=31536000, immutable"]
        assert headers["etag"] == f'"{path.rpartition("/")[2]}"'

        again = await http.get(path, headers={"if-none-match": f'W/"x", {headers["etag"]}'})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == headers["etag"]
        assert (await http.get(path, headers={"if-none-match": '"other"'})).status_code == 200


async def refused(http: httpx2.AsyncClient, path: str, status: int) -> str:
    """The code of the problem that a path is answered with."""
    answer = await http.get(path, headers={"if-none-match": f'"{path.rpartition("/")[2]}"'})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert SCRIPT.decode() not in answer.text
    return str(answer.json()["code"])


async def test_what_may_not_be_seen_is_not_there(served: Served, tmp_path: Path) -> None:
    await served.key("stranger", "read")
    async with served.http() as http, served.http("stranger") as stranger, served.http(None) as nobody:
        # Of the default workspace everybody is a member.
        (tmp_path / "mine").mkdir()
        made = await http.post("/api/v1/workspaces", json={"name": "mine", "path": str(tmp_path / "mine")})
        assert made.status_code == 201, made.text
        opened = await http.post("/api/v1/conversations", json={"workspace": "mine"})
        conversation, other = str(opened.json()["id"]), await served.conversation(http)
        path = await keep(served, conversation, SCRIPT, "image/png")
        digest = path.rpartition("/")[2]
        assert await refused(stranger, path, 404) == "not-found"
        assert await refused(nobody, path, 401) == "unauthenticated"
        # The same bytes exist, but not in this conversation, or in none.
        assert await refused(http, path.replace(conversation, other), 404) == "not-found"
        assert await refused(http, path.replace(conversation, str(uuid4())), 404) == "not-found"
        assert await refused(http, path.replace(digest, "0" * 64), 404) == "not-found"
        for wrong in (digest[:63], digest + "0", digest.upper(), "..%2f..%2fetc", "a" * 63 + "g"):
            answer = await http.get(path.replace(digest, wrong))
            assert answer.status_code in (404, 422), wrong
            assert SCRIPT not in answer.content
