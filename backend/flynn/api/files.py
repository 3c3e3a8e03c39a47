"""Doors to the files of a workspace, for its members: to read, never to write.

What is sent are the bytes as they are, so a browser is told to run and to guess nothing.
"""

import asyncio
import base64
import binascii
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from starlette.responses import StreamingResponse

from flynn.api.door import Door, Limit, Reader, Responses, answer, declared
from flynn.domain.errors import FlynnError, InvalidInput, NotFound
from flynn.domain.views import EntryView, Page
from flynn.intake.workspaces import Workspaces
from flynn.workspace.directory import DirectoryPage, list_directory
from flynn.workspace.entry import digest
from flynn.workspace.path import PathMissing
from flynn.workspace.root import Workspace

WHOLE = 4 * 1024 * 1024
"""Bytes up to which a file is sent in one piece, with its digest; longer ones are streamed."""

_PIECE = 512 * 1024
_SNIFFED = 8192
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_HEADERS = {
    "accept-ranges": "bytes",
    "content-security-policy": "default-src 'none'; sandbox",
}
_TEXT = "text/plain; charset=utf-8"
_BYTES = "application/octet-stream"
_BODY = {kind: {"schema": {"type": "string"}} for kind in ("text/plain", _BYTES)}
_CONTENT: Responses = {
    200: {"description": "The whole file; `ETag` is the sha256 of one that is not large", "content": _BODY},
    206: {"description": "The part that `Range` asked for", "content": _BODY},
    304: {"description": "The file is the one that `If-None-Match` names", "content": _BODY},
    **declared(404, 416),
}

WherePath = Annotated[
    str, Query(min_length=1, max_length=4095, description="Relative to the workspace's root; . is the root")
]


class RangeNotSatisfiable(FlynnError):
    """The file ends before the part that was asked for."""

    code = "range-not-satisfiable"
    title = "The file has no such part"
    status = 416


def file_doors(workspaces: Workspaces) -> APIRouter:
    """The routes under /workspaces/{workspace_id}/files."""
    doors = APIRouter(prefix="/workspaces/{workspace_id}/files", tags=["workspaces"], route_class=Door)

    @doors.get("", response_model=Page[EntryView], responses=declared(404))
    async def list_files(
        principal: Reader,
        workspace_id: UUID,
        path: WherePath = ".",
        cursor: Annotated[str | None, Query(max_length=500, description="`next` of the page before")] = None,
        limit: Limit = 100,
    ) -> Response:
        """The entries of a directory of the workspace, by name."""
        after = _after(cursor)

        def look(workspace: Workspace) -> DirectoryPage:
            with workspace:
                return list_directory(workspace, path, after=after, limit=limit)

        opened = await workspaces.open(principal, workspace_id)
        try:
            page = await asyncio.to_thread(look, opened)
        except PathMissing as error:
            raise NotFound(error.detail) from error
        return answer(_page(page))

    @doors.get("/content", response_class=Response, responses=_CONTENT)
    async def get_content(
        principal: Reader,
        workspace_id: UUID,
        path: Annotated[str, Query(min_length=1, max_length=4095, description="Relative to the root")],
        range_: Annotated[
            str | None, Header(alias="range", max_length=100, description="bytes=first-last")
        ] = None,
        if_none_match: Annotated[str | None, Header(max_length=1000)] = None,
    ) -> Response:
        """A file of the workspace, byte for byte. Text is shown, anything else is for saving."""
        opened = await workspaces.open(principal, workspace_id)
        try:
            file = await asyncio.to_thread(_File.open, opened, path)
        except PathMissing as error:
            raise NotFound(error.detail) from error
        finally:
            opened.close()
        try:
            response = _sent(file, range_, if_none_match)
        except BaseException:
            file.close()
            raise
        return response

    return doors


class _File:
    """A regular file that is being sent: whole in `data` when it is not large, else an open descriptor."""

    def __init__(self, name: str, source: int, size: int, data: bytes | None, head: bytes) -> None:
        self.name = name
        self.size = size
        self.data = data
        self.kind = _TEXT if _is_text(head) else _BYTES
        self.etag = f'"{digest(data)}"' if data is not None else None
        self._source = source

    @classmethod
    def open(cls, workspace: Workspace, path: str) -> "_File":
        """Open `path`. Raises PathMissing and WorkspaceError. Blocks on the disk."""
        with workspace.locate(path) as entry:
            name = entry.path.rpartition("/")[2]
            if entry.status.st_size <= WHOLE:
                data = entry.read(WHOLE)
                return cls(name, -1, len(data.data), data.data, data.data[:_SNIFFED])
            source = entry.reopen()
        try:
            return cls(name, source, os.fstat(source).st_size, None, os.pread(source, _SNIFFED, 0))
        except BaseException:
            os.close(source)
            raise

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._source >= 0:
            os.close(self._source)
            self._source = -1

    def headers(self) -> dict[str, str]:
        """What every answer with this file carries."""
        disposition = "inline" if self.kind == _TEXT else "attachment"
        name = quote(os.fsencode(self.name))
        found = {**_HEADERS, "content-disposition": f"{disposition}; filename*=UTF-8''{name}"}
        return {**found, "etag": self.etag} if self.etag is not None else found

    async def pieces(self, first: int, last: int) -> AsyncIterator[bytes]:
        """The bytes from `first` to `last`, as far as the file still has them; closes it."""
        try:
            while first <= last:
                piece = await asyncio.to_thread(os.pread, self._source, min(_PIECE, last - first + 1), first)
                if not piece:
                    return
                first += len(piece)
                yield piece
        finally:
            self.close()


def _sent(file: _File, asked: str | None, known: str | None) -> Response:
    """The answer with `file`, or the part of it that was asked for. Raises RangeNotSatisfiable."""
    headers = file.headers()
    if file.etag is not None and known is not None and _names(known, file.etag):
        return Response(None, 304, headers=headers, media_type=file.kind)
    first, last = _part(asked, file.size)
    status = 200
    if (first, last) != (0, file.size - 1):
        status = 206
        headers["content-range"] = f"bytes {first}-{last}/{file.size}"
    if file.data is not None:
        return Response(file.data[first : last + 1], status, headers=headers, media_type=file.kind)
    headers["content-length"] = str(last - first + 1)
    return StreamingResponse(file.pieces(first, last), status, headers=headers, media_type=file.kind)


def _page(page: DirectoryPage) -> Page[EntryView]:
    items = [
        EntryView(
            name=entry.name,
            path=entry.path,
            kind=entry.kind,
            size=entry.size,
            modified_at=datetime.fromtimestamp(entry.modified, UTC),
        )
        for entry in page.entries
    ]
    return Page(items=items, next=page.cursor and base64.urlsafe_b64encode(page.cursor).decode())


def _after(cursor: str | None) -> bytes | None:
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(
            "The cursor is not one of ours; take `next` of the page before, or leave it out.",
            errors=[{"field": "cursor", "message": "is not one that a page gave"}],
        ) from error


def _part(asked: str | None, size: int) -> tuple[int, int]:
    """First and last byte of one range, RFC 9110 section 14.1.2; the whole file for what is not one."""
    found = _RANGE.fullmatch(asked.strip()) if asked else None
    if found is None or found[1] == found[2] == "":
        return 0, size - 1
    if found[1] == "":
        first, last = max(size - int(found[2]), 0), size - 1
    else:
        first, last = int(found[1]), min(int(found[2] or size), size - 1)
        if found[2] and int(found[2]) < first:
            return 0, size - 1
    if first >= size:
        raise RangeNotSatisfiable(f"The file has {size:,} bytes; ask for a part that lies within them.")
    return first, last


def _names(asked: str, etag: str) -> bool:
    return asked.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in asked.split(",")]


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character that the end of the sample cuts is no sign of anything.
        return len(head) == _SNIFFED and error.start >= _SNIFFED - 3
    return True
