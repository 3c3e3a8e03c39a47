"""The page at `/`: built files from memory under a strict policy, or a word on why there are none yet.

The page is built apart from the service (scripts/build-page.sh), maybe while the service runs already; a
new build is taken up with the next request for `/`.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from flynn.api.door import Door

POLICY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
"""What the page may do (W3C CSP3): scripts and styles of its own files, calls to its own service, no more."""

_WORDS = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{refresh}<title>Flynn</title>
</head>
<body>
<h1>Flynn is running</h1>
{words}
<p>The API works meanwhile: <a href="/docs">its reference</a>.</p>
</body>
</html>
"""
_BUILDING = "<p>The page is being built, which takes about half a minute. It appears here by itself.</p>"
_MISSING = (
    "<p>The page is not built. In a checkout, <code>scripts/build-page.sh</code> builds it, with Node 20.19 "
    "or newer or one that it gets itself; then load this address again.</p>"
)
_YEAR = "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A built file: `packed` is its gzip form. Files in assets/ have their digest in their name."""

    body: bytes
    packed: bytes
    media_type: str
    etag: str
    caching: str


class Page:
    """The built files of `directory`; `building` says whether a build is under way."""

    def __init__(self, directory: Path, *, building: Callable[[], bool]) -> None:
        self._directory = directory
        self._building = building
        self._files: dict[str, PageFile] = {}
        self._build: tuple[int, int] | None = None

    def index(self) -> PageFile | None:
        """The page itself, of the newest build; None while there is none."""
        try:
            stat = (self._directory / "index.html").stat()
            build = (stat.st_mtime_ns, stat.st_ino)
            if build != self._build:
                # Those of the build before stay: a page that is open may still ask for them.
                self._files |= _read(self._directory)
                self._build = build
        except OSError:
            # A build that is just being exchanged; what was read before is whole.
            pass
        return self._files.get("index.html")

    def file(self, name: str) -> PageFile | None:
        """A file of the page by its name relative to the directory, such as `assets/index-….js`."""
        if self._build is None:
            self.index()
        return self._files.get(name)

    def words(self) -> str:
        """What stands at `/` while there is no page."""
        if self._building():
            return _WORDS.format(refresh='<meta http-equiv="refresh" content="2">\n', words=_BUILDING)
        return _WORDS.format(refresh="", words=_MISSING)


def page_doors(page: Page) -> APIRouter:
    """`/`, and the files that it asks for."""
    doors = APIRouter(include_in_schema=False, route_class=Door)

    # The name is read by the page's script, which takes the key out of the address.
    async def home(request: Request, key: str | None = None) -> Response:
        del key
        found = page.index()
        if found is None:
            return Response(page.words(), media_type="text/html", headers={**POLICY, **_FRESH})
        return _answer(request, found, POLICY)

    async def file(request: Request) -> Response:
        found = page.file(request.url.path.removeprefix("/"))
        if found is None:
            raise HTTPException(404)
        return _answer(request, found, {})

    doors.add_api_route("/", home)
    doors.add_api_route("/assets/{name}", file)
    doors.add_api_route("/favicon.svg", file)
    return doors


_FRESH = {"cache-control": "no-cache"}


def _answer(request: Request, file: PageFile, more: dict[str, str]) -> Response:
    headers = {"cache-control": file.caching, "etag": file.etag, "vary": "Accept-Encoding", **more}
    if request.headers.get("if-none-match") == file.etag:
        return Response(None, 304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            file.packed, media_type=file.media_type, headers={**headers, "content-encoding": "gzip"}
        )
    return Response(file.body, media_type=file.media_type, headers=headers)


def _read(directory: Path) -> dict[str, PageFile]:
    """All files of a build. Raises OSError."""
    found: dict[str, PageFile] = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if not path.is_file() or path.name.startswith("."):
            continue
        body = path.read_bytes()
        found[name] = PageFile(
            body=body,
            packed=gzip.compress(body, 6, mtime=0),
            media_type=_TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream",
            etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            caching=_YEAR if name.startswith("assets/") else "no-cache",
        )
    return found
