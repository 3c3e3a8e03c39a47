"""Workspaces over REST: made empty or served by path, members, quota, and their files to read."""

import asyncio
import hashlib
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from flynn.workspace.mounts import find_mounts
from tests.api.served import Served, serve

EMPTY = {"name": "empty"}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    mounts = await asyncio.to_thread(find_mounts, tmp_path / "data", ())
    async with serve(tmp_path, mounts=mounts, workspaces_each=2, workspace_quota=5_000_000) as found:
        await found.key("ann", "chat")
        await found.key("bob", "delegate")
        await found.key("eve", "read")
        yield found


async def made(http: httpx2.AsyncClient, **order: Any) -> dict[str, Any]:
    answer = await http.post("/api/v1/workspaces", json={**EMPTY, **order})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/v1/workspaces/{answer.json()['id']}"
    return dict(answer.json())


async def files(http: httpx2.AsyncClient, workspace: dict[str, Any], **query: Any) -> httpx2.Response:
    return await http.get(f"/api/v1/workspaces/{workspace['id']}/files", params=query)


async def content(
    http: httpx2.AsyncClient, workspace: dict[str, Any], path: str, **headers: str
) -> httpx2.Response:
    where = f"/api/v1/workspaces/{workspace['id']}/files/content"
    return await http.get(where, params={"path": path}, headers=headers)


def looks(place: Path) -> tuple[str, list[Path]]:
    return stat.filemode(place.lstat().st_mode), list(place.iterdir())


async def test_an_ordinary_key_makes_empty_workspaces_up_to_its_limit(served: Served, tmp_path: Path) -> None:
    async with served.http("ann") as ann, served.http("eve") as eve, served.http() as admin:
        first = await made(ann)
        place = Path(first["path"])
        assert place == (tmp_path / "data" / "workspaces" / first["id"]).resolve()
        assert await asyncio.to_thread(looks, place) == ("drwx------", [])
        assert (first["made"], first["created_by"], first["quota_bytes"]) == (True, "ann", 5_000_000)
        await made(ann, name="second")
        third = await ann.post("/api/v1/workspaces", json={"name": "third"})
        assert third.status_code == 409
        assert "2 workspaces already" in third.json()["detail"]
        for name in ("third", "fourth", "fifth"):
            await made(admin, name=name)
        assert (await eve.post("/api/v1/workspaces", json={"name": "x"})).status_code == 403
        assert len(list((tmp_path / "data" / "workspaces").glob("????????-*"))) == 5


async def test_by_path_and_with_a_quota_is_for_admins(served: Served, tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "project").mkdir)
    async with served.http("ann") as ann, served.http() as admin:
        for more in ({"path": str(tmp_path / "project")}, {"quota_bytes": 10**9}):
            assert (await ann.post("/api/v1/workspaces", json={**EMPTY, **more})).status_code == 403
        found = await made(admin, name="project", path=str(tmp_path / "project"))
        assert found["quota_bytes"] is None, "a repository of the operator's own is not cut short"
        assert found["made"] is False
        again = await made(admin, name="project", path=f"{tmp_path}/./project/")
        assert again == found
        other = await admin.post(
            "/api/v1/workspaces", json={"name": "other", "path": str(tmp_path / "project")}
        )
        assert other.status_code == 409
        assert "'project'" in other.json()["detail"]
        quota = await made(admin, name="bound", quota_bytes=2_000_000)
        assert quota["quota_bytes"] == 2_000_000


async def test_names_are_names(served: Served) -> None:
    async with served.http("ann") as ann:
        for name in ("", "   ", "x" * 201, "a\nb", "a\0b", "\u202e", str(uuid4())):
            refused = await ann.post("/api/v1/workspaces", json={"name": name})
            assert refused.status_code == 422, name
            assert refused.json()["errors"][0]["field"] == "name"
        first = await made(ann, name=" spaced out ")
        assert first["name"] == "spaced out"
        taken = await ann.post("/api/v1/workspaces", json={"name": "spaced out"})
        assert taken.status_code == 409
        assert "is taken" in taken.json()["detail"]


async def test_members_come_and_go(served: Served) -> None:
    async with served.http("ann") as ann, served.http("bob") as bob, served.http() as admin:
        workspace = await made(ann)
        members = f"/api/v1/workspaces/{workspace['id']}/members"
        assert (await ann.get(members)).json()["items"] == [{"name": "ann", "creator": True}]
        assert (await bob.get(members)).status_code == 404
        for _ in range(2):
            put = await ann.put(f"{members}/bob")
            assert (put.status_code, put.json()) == (200, {"name": "bob", "creator": False})
        assert [m["name"] for m in (await bob.get(members)).json()["items"]] == ["ann", "bob"]
        refused = await bob.put(f"{members}/eve")
        assert refused.status_code == 403
        assert "managed by ann and admins" in refused.json()["detail"]
        assert (await bob.delete(f"{members}/ann")).status_code == 403
        unknown = await ann.put(f"{members}/nobody")
        assert unknown.status_code == 404
        assert "no principal 'nobody'" in unknown.json()["detail"]
        assert (await admin.put(f"{members}/eve")).status_code == 200
        assert (await admin.delete(f"{members}/eve")).status_code == 200
        gone = await admin.delete(f"{members}/eve")
        assert gone.status_code == 404
        assert "its members are: ann, bob" in gone.json()["detail"]
        assert (await bob.delete(f"{members}/bob")).status_code == 200, "who wants to may go"
        last = await ann.delete(f"{members}/ann")
        assert last.status_code == 409
        assert "last member" in last.json()["detail"]


async def test_a_workspace_is_renamed_and_given_a_quota(served: Served) -> None:
    async with served.http("ann") as ann, served.http() as admin:
        workspace = await made(ann)
        where = f"/api/v1/workspaces/{workspace['id']}"
        await asyncio.to_thread((Path(workspace["path"]) / "file").write_bytes, b"x" * 100_000)
        detail = (await ann.get(where)).json()
        assert 100_000 <= detail["used_bytes"] < 200_000
        assert detail["used_complete"] is True
        assert (await ann.patch(where, json={"name": "better"})).json()["name"] == "better"
        assert (await ann.patch(where, json={"quota_bytes": 10**12})).status_code == 403
        assert (await admin.patch(where, json={"quota_bytes": 10**7})).json()["quota_bytes"] == 10**7
        assert (await admin.patch(where, json={"name": "best"})).json()["quota_bytes"] == 10**7
        assert (await admin.patch(where, json={"quota_bytes": None})).json()["quota_bytes"] == 5_000_000
        for name in ("default", "better "):
            refused = await ann.patch(where, json={"name": name})
            assert refused.status_code == (409 if name == "default" else 200)
        assert (await admin.patch(where, json={"colour": "red"})).status_code == 422
        assert (await ann.patch(f"/api/v1/workspaces/{uuid4()}", json={})).status_code == 404


async def test_a_directory_is_listed_page_by_page(served: Served) -> None:
    async with served.http("ann") as ann:
        workspace = await made(ann)
        root = Path(workspace["path"])
        names = sorted((f"f{number}" for number in range(23)), key=str.encode)
        for name in names:
            (root / name).write_text("x")
        (root / "sub").mkdir()
        (root / "link").symlink_to("/etc/passwd")
        os.mkfifo(root / "pipe")
        seen: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        for _ in range(4):
            page = (await files(ann, workspace, limit=10, **cursor)).json()
            seen += page["items"]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert [entry["name"] for entry in seen] == sorted([*names, "link", "pipe", "sub"], key=str.encode)
        kinds = {entry["name"]: (entry["kind"], entry["size"]) for entry in seen}
        assert kinds["f1"] == ("file", 1)
        assert kinds["sub"] == ("directory", None)
        assert kinds["link"] == ("symbolic link", None)
        assert kinds["pipe"] == ("named pipe", None)
        (root / "sub" / "deep").write_text("")
        below = (await files(ann, workspace, path="sub")).json()
        assert [entry["path"] for entry in below["items"]] == ["sub/deep"]
        assert (await files(ann, workspace, path="none")).status_code == 404
        assert (await files(ann, workspace, path="f1")).status_code == 422
        assert (await files(ann, workspace, cursor="?")).status_code == 422


async def test_a_file_is_sent_as_it_is(served: Served) -> None:
    async with served.http("ann") as ann:
        workspace = await made(ann)
        root = Path(workspace["path"])
        text, binary = "grüß\n".encode() * 10, bytes(range(256)) * 4
        (root / "notes.txt").write_bytes(text)
        (root / "page.html").write_text("<script>alert(1)</script>")
        (root / "blob").write_bytes(binary)
        (root / "empty").write_bytes(b"")
        found = await content(ann, workspace, "notes.txt")
        assert found.content == text
        assert found.headers["content-type"] == "text/plain; charset=utf-8"
        assert found.headers["content-disposition"] == "inline; filename*=UTF-8''notes.txt"
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["etag"] == f'"{hashlib.sha256(text).hexdigest()}"'
        same = await content(ann, workspace, "notes.txt", **{"if-none-match": found.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        page = await content(ann, workspace, "page.html")
        assert page.headers["content-type"].startswith("text/plain")
        assert "sandbox" in page.headers["content-security-policy"]
        saved = await content(ann, workspace, "blob")
        assert saved.content == binary
        assert saved.headers["content-type"] == "application/octet-stream"
        assert saved.headers["content-disposition"].startswith("attachment")
        assert (await content(ann, workspace, "empty")).content == b""


async def test_a_part_of_a_file_can_be_asked_for(served: Served) -> None:
    async with served.http("ann") as ann:
        workspace = await made(ann)
        small, large = os.urandom(1000), os.urandom(6_000_000)
        (Path(workspace["path"]) / "small").write_bytes(small)
        (Path(workspace["path"]) / "large").write_bytes(large)
        for name, data in (("small", small), ("large", large)):
            whole = await content(ann, workspace, name)
            assert whole.content == data
            assert ("etag" in whole.headers) == (name == "small")
            for asked, first, last in (
                ("bytes=0-99", 0, 99),
                ("bytes=500-", 500, len(data) - 1),
                ("bytes=-10", len(data) - 10, len(data) - 1),
                ("bytes=990-99999999", 990, len(data) - 1),
            ):
                part = await content(ann, workspace, name, range=asked)
                assert part.status_code == 206
                assert part.content == data[first : last + 1]
                assert part.headers["content-range"] == f"bytes {first}-{last}/{len(data)}"
            for nonsense in ("bytes=9-1", "bytes=-", "lines=1-2", "bytes=0-1,5-6"):
                assert (await content(ann, workspace, name, range=nonsense)).status_code == 200
            beyond = await content(ann, workspace, name, range=f"bytes={len(data)}-")
            assert beyond.status_code == 416


async def test_nothing_but_regular_files_of_the_workspace_is_sent_and_nothing_blocks(
    served: Served, tmp_path: Path
) -> None:
    async with served.http("ann") as ann:
        workspace = await made(ann)
        root = Path(workspace["path"])
        (tmp_path / "secret").write_text("secret")
        (root / "out").symlink_to(tmp_path / "secret")
        (root / "up").symlink_to("../../../secret")
        (root / "inside").write_text("inside")
        (root / "alias").symlink_to("inside")
        os.mkfifo(root / "pipe")
        with socket.socket(socket.AF_UNIX) as bound:
            here = Path.cwd()
            os.chdir(root)
            try:
                bound.bind("socket")
            finally:
                os.chdir(here)
            async with asyncio.timeout(15):
                for path in ("out", "up", "../../../secret", "/etc/passwd", "pipe", "socket", ".", "a\0b"):
                    refused = await content(ann, workspace, path)
                    assert refused.status_code == 422, path
                    assert "secret\n" not in refused.text
                    assert str(tmp_path / "secret") not in refused.json()["detail"]
                assert (await content(ann, workspace, "none")).status_code == 404
                assert (await content(ann, workspace, "inside/none")).status_code == 422
                assert (await content(ann, workspace, "alias")).content == b"inside"


async def test_what_is_not_mounted_here_is_named(served: Served, tmp_path: Path) -> None:
    async with served.http("ann") as ann:
        workspace = await made(ann)
    elsewhere = await asyncio.to_thread(find_mounts, tmp_path / "elsewhere", ())
    async with (
        serve(tmp_path / "second", beside=served, mounts=elsewhere) as other,
        other.http("ann") as ann,
    ):
        found = (await ann.get(f"/api/v1/workspaces/{workspace['id']}")).json()
        assert found["path"] is None
        assert found["used_bytes"] is None
        for answer in (await files(ann, workspace), await content(ann, workspace, "x")):
            assert answer.status_code == 503
            assert workspace["volume_id"] in answer.json()["detail"]
            assert "FLYNN_VOLUMES" in answer.json()["detail"]
            assert answer.headers["retry-after"]


async def test_a_run_whose_volume_nobody_has_waits_and_says_so(served: Served) -> None:
    async with served.http("ann") as ann:
        workspace = await made(ann)
        opened = await ann.post("/api/v1/conversations", json={"workspace": workspace["name"]})
        conversation = f"/api/v1/conversations/{opened.json()['id']}"
        await ann.post(f"{conversation}/messages", json={"text": "go"})
        run = (await ann.get(conversation)).json()["run"]
    assert run["state"] == "queued"
    assert run["reason"] == "volume-away"
    assert workspace["volume_id"] in run["detail"]
