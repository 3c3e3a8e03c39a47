"""Workspaces of the whole service: what cannot be one, and what is done in an empty one."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.api.whole.doors import Doors

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

HOME = os.path.realpath(Path("~root").expanduser())


async def refused(doors: Doors, path: str | Path, status: int = 422) -> str:
    """The sentence with which a path is refused."""
    answer = await doors.owner.post("/api/v1/workspaces", json={"name": "refused", "path": str(path)})
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text
    return str(answer.json()["detail"])


@pytest.mark.parametrize(
    "path", ["/", "//", "/etc", "/etc/ssl", "/usr", "/usr/lib", "/var", "/var/lib", "/proc/self", "/dev/shm"]
)
async def test_the_system_is_no_workspace(doors: Doors, path: str) -> None:
    assert "belongs to the system" in await refused(doors, path)


@pytest.mark.parametrize("path", [HOME, str(Path(HOME).parent), "/home"])
async def test_homes_and_what_holds_them_are_no_workspaces(doors: Doors, path: str) -> None:
    said = await refused(doors, path)
    assert "cannot be a workspace; use a directory" in said


async def test_the_data_directory_and_what_overlaps_it_is_refused(doors: Doors, tmp_path: Path) -> None:
    data = doors.workspaces.parent / "data"
    link = tmp_path / "link"
    link.symlink_to(data)
    (data / "other").mkdir(exist_ok=True)
    for path in (data, data.parent, data / "private", data / "other", link, link / "private"):
        said = await refused(doors, path)
        assert "overlaps with" in said or "is or holds the volume" in said
    assert "is or holds the volume" in await refused(doors, data / "workspaces")
    assert "is served already" in await refused(doors, data / "workspaces" / "default", 409)
    (data / "workspaces" / "given").mkdir(exist_ok=True)
    order = {"name": "given", "path": str(data / "workspaces" / "given")}
    assert (await doors.owner.post("/api/v1/workspaces", json=order)).status_code == 201


async def test_workspaces_do_not_overlap(doors: Doors) -> None:
    outer = doors.workspaces / "outer"
    (outer / "inner" / "most").mkdir(parents=True)
    order = {"name": "inner", "path": str(outer / "inner")}
    assert (await doors.owner.post("/api/v1/workspaces", json=order)).status_code == 201
    (doors.workspaces / "alias").symlink_to(outer / "inner")
    assert "holds the workspace 'inner'" in await refused(doors, outer, 409)
    assert "lies in the workspace 'inner'" in await refused(doors, outer / "inner" / "most", 409)
    assert "is served already" in await refused(doors, doors.workspaces / "alias", 409)
    (outer / "inner-too").mkdir()
    beside = {"name": "inner-too", "path": str(outer / "inner-too")}
    assert (await doors.owner.post("/api/v1/workspaces", json=beside)).status_code == 201


async def test_what_is_no_path_of_a_directory_is_refused_in_words(doors: Doors) -> None:
    (doors.workspaces / "file").write_text("x")
    (doors.workspaces / "there").mkdir()
    for path, words in (
        ("relative", "absolute path"),
        ("~/project", "absolute path"),
        ("   ", "white space"),
        (f"{doors.workspaces}/there ", "white space"),
        (f"{doors.workspaces}/there\n", "white space"),
        (f"{doors.workspaces}/x/../there", "`..`"),
        ("/a\0b", "NUL"),
        (f"/{'x' * 256}", "255 bytes"),
        (f"{doors.workspaces}/none", "does not exist; create the directory first"),
        (f"{doors.workspaces}/file", "is not a directory"),
        (f"{doors.workspaces}/file/below", "is not a directory"),
    ):
        assert words in await refused(doors, path), path
    answer = await doors.owner.post("/api/v1/workspaces", json={"name": "x", "path": "/" + "x" * 5000})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "path"
    many = "/" + "/".join(["x" * 200] * 20)
    assert await refused(doors, many)


async def test_an_empty_workspace_is_worked_in(doors: Doors) -> None:
    key = await doors.key("maker", "chat", "delegate")
    async with doors.client(key) as maker:
        made = (await maker.post("/api/v1/workspaces", json={"name": "made"})).json()
        where = f"/api/v1/workspaces/{made['id']}"
        order = {"instructions": "make files", "workspace": "made"}
        task = (await maker.post("/api/v1/tasks", json=order)).json()
        done = (await maker.get(f"/api/v1/tasks/{task['id']}?wait=30")).json()
        assert done["state"] == "completed", done
        shown = (await maker.get(f"{where}/files/content", params={"path": "deep/made.txt"})).text
        assert shown == "made by Write"
        listed = (await maker.get(f"{where}/files")).json()["items"]
        assert [(e["name"], e["kind"]) for e in listed] == [("deep", "directory")]
        assert (await maker.get(where)).json()["used_bytes"] >= 4096
        seen = await doors.seen(task["conversation_id"])
    opening: Any = next(e for e in seen if e["type"] == "message.sent")["data"]["content"][0]["text"]
    assert made["path"] in opening


async def test_a_write_past_the_quota_is_a_sentence_to_the_model(doors: Doors) -> None:
    made = (
        await doors.owner.post("/api/v1/workspaces", json={"name": "small", "quota_bytes": 1_048_576})
    ).json()
    (Path(made["path"]) / "ballast").write_bytes(b"x" * 1_045_000)
    task = await doors.task("make files", workspace="small")
    assert (await doors.ended(task["id"]))["state"] == "completed"
    finished = [e["data"] for e in await doors.seen(task["conversation_id"]) if e["type"] == "tool.finished"]
    assert [f["outcome"] for f in finished] == ["error"]
    said = str(finished[0]["content"])
    assert "of the 1,048,576 that it may take" in said
    assert "Remove what is not needed" in said
    assert not (Path(made["path"]) / "deep" / "made.txt").exists()


async def test_readiness_names_the_volumes(doors: Doors) -> None:
    parts = {p["name"]: p for p in (await doors.owner.get("/ready")).json()["parts"]}
    assert parts["volumes"] == {"name": "volumes", "state": "ok", "detail": "2 mounted"}
