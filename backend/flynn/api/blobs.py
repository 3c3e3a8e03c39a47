"""The door to what the agent looked at: the bytes of an image or document that an event refers to.

The bytes come from a workspace, so from anybody: a fixed list of types, no guessing, no scripts, no
embedding elsewhere.
"""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Header, Path, Response

from flynn.api.door import Door, Reader, Responses, declared
from flynn.domain.blob import MEDIA_TYPES, MediaType
from flynn.store.views import Views

_SUFFIX: Final[dict[MediaType, str]] = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/pdf": "pdf",
}
_BYTES: Final = {"schema": {"type": "string", "format": "binary"}}
_ANSWERS: Final[Responses] = {
    200: {"description": "The bytes", "content": dict.fromkeys(sorted(MEDIA_TYPES), _BYTES)},
    304: {"description": "What the client has is this; it never changes"},
    **declared(404),
}
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="`sha256` of the reference in the event")]


def blob_doors(*, views: Views) -> APIRouter:
    """The route to the blobs of a conversation."""
    doors = APIRouter(prefix="/conversations", tags=["conversations"], route_class=Door)

    @doors.get("/{conversation_id}/blobs/{sha256}", response_class=Response, responses=_ANSWERS)
    async def get_blob(
        principal: Reader,
        conversation_id: UUID,
        sha256: Digest,
        if_none_match: Annotated[str | None, Header(max_length=1000)] = None,
    ) -> Response:
        """An image or a PDF that the agent was shown. Images may be shown in place, a PDF is a download."""
        blob = await views.blob(principal, conversation_id, sha256)
        headers = {
            "etag": f'"{sha256}"',
            "cache-control": "private, max-age=31536000, immutable",
            "content-security-policy": "default-src 'none'; sandbox",
            "cross-origin-resource-policy": "same-origin",
        }
        if if_none_match is not None and sha256 in if_none_match:
            return Response(status_code=304, headers=headers)
        way = "attachment" if blob.media_type == "application/pdf" else "inline"
        headers["content-disposition"] = f'{way}; filename="{sha256[:12]}.{_SUFFIX[blob.media_type]}"'
        return Response(blob.data, headers=headers, media_type=blob.media_type)

    return doors
