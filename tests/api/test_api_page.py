"""The page at `/` as it is served: built, being built, not built; its policy, its caching."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flynn.api.page import Page
from tests.api.served import Served, serve

INDEX = "<!doctype html><title>Flynn</title><script src=/assets/index-1.js></script>"


def build(directory: Path, name: str = "index-1.js", index: str = INDEX) -> None:
    (directory / "assets").mkdir(parents=True, exist_ok=True)
    (directory / "assets" / name).write_text("console.log('here')")
    (directory / "index.html").write_text(index)
    (directory / ".sources").write_text("a digest")


class Builder:
    """Whether a build is under way, as the test says."""

    busy = False


@pytest.fixture
def builder() -> Builder:
    return Builder()


@pytest.fixture
async def paged(tmp_path: Path, builder: Builder) -> AsyncIterator[tuple[Served, Path]]:
    directory = tmp_path / "page"
    page = Page(directory, building=lambda: builder.busy)
    async with serve(tmp_path, page=page) as served:
        yield served, directory


async def test_without_a_page_it_says_how_to_get_one(paged: tuple[Served, Path], builder: Builder) -> None:
    served, _ = paged
    async with served.http(None) as http:
        missing = await http.get("/")
        assert missing.status_code == 200
        assert "scripts/build-page.sh" in missing.text
        assert "http-equiv" not in missing.text
        builder.busy = True
        building = await http.get("/", params={"key": "fly_x"})
        assert 'http-equiv="refresh"' in building.text
        assert "fly_x" not in building.text
        assert building.headers["cache-control"] == "no-cache"


async def test_a_build_appears_without_a_restart_and_old_files_stay(paged: tuple[Served, Path]) -> None:
    served, directory = paged
    async with served.http(None) as http:
        assert (await http.get("/assets/index-1.js")).status_code == 404
        await asyncio.to_thread(build, directory)
        assert (await http.get("/")).text == INDEX
        script = await http.get("/assets/index-1.js")
        assert script.text == "console.log('here')"
        assert script.headers["content-type"].startswith("text/javascript")
        assert "immutable" in script.headers["cache-control"]
        later = INDEX.replace("index-1", "index-2")
        await asyncio.to_thread(build, directory, "index-2.js", later)
        assert (await http.get("/")).text == later
        assert (await http.get("/assets/index-2.js")).status_code == 200
        assert (await http.get("/assets/index-1.js")).status_code == 200


async def test_the_page_may_run_its_own_files_only_and_is_not_fetched_twice(
    paged: tuple[Served, Path],
) -> None:
    served, directory = paged
    await asyncio.to_thread(build, directory)
    async with served.http(None) as http:
        page = await http.get("/")
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "no-referrer"
        again = await http.get("/", headers={"If-None-Match": page.headers["etag"]})
        assert again.status_code == 304
        assert again.content == b""
        packed = await http.get("/assets/index-1.js", headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.text == "console.log('here')"


async def test_nothing_else_of_the_directory_is_given(paged: tuple[Served, Path]) -> None:
    served, directory = paged
    await asyncio.to_thread(build, directory)
    async with served.http(None) as http:
        assert (await http.get("/")).status_code == 200
        for path in ("/assets/..%2f.sources", "/assets/.sources", "/.sources", "/assets/%2e%2e"):
            assert (await http.get(path)).status_code == 404, path
