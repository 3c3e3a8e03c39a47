"""`flynn workspaces`: workspaces and their members, through the service's own doors."""

from pathlib import Path
from urllib.parse import quote
from uuid import UUID

from flynn.app.example_copy import known_volume
from flynn.cli.client import Client
from flynn.cli.connection import connected
from flynn.cli.screen import safe
from flynn.domain.errors import NotFound
from flynn.domain.views import MemberView, WorkspaceView
from flynn.settings import Settings


async def show(settings: Settings) -> int:
    """Print all workspaces, one a line."""
    async with connected(settings) as connection, Client(connection.url, connection.key) as client:
        example = known_volume(settings.data_dir)
        for workspace in await served(client):
            print(_line(workspace, example.id if example else None))
    return 0


async def create(settings: Settings, name: str, path: Path | None, quota_bytes: int | None) -> int:
    """Make an empty workspace, or serve the directory `path`, and print it. Raises what is refused."""
    order: dict[str, str | int] = {"name": name}
    if path is not None:
        order["path"] = str(path)
    if quota_bytes is not None:
        order["quota_bytes"] = quota_bytes
    async with connected(settings) as connection, Client(connection.url, connection.key) as client:
        made = WorkspaceView.model_validate(await client.post("/workspaces", order))
    print(_line(made))
    return 0


async def members(settings: Settings, name: str, *, add: list[str], remove: list[str]) -> int:
    """Let principals in and shut others out, then print who the members are. Raises what is refused."""
    async with connected(settings) as connection, Client(connection.url, connection.key) as client:
        where = f"/workspaces/{await _id(client, name)}/members"
        for principal in add:
            await client.put(f"{where}/{quote(principal, safe='')}")
        for principal in remove:
            await client.delete(f"{where}/{quote(principal, safe='')}")
        answer = await client.get(where)
    for item in answer["items"] if isinstance(answer, dict) else []:
        member = MemberView.model_validate(item)
        print(f"{safe(member.name)}  created it" if member.creator else safe(member.name))
    return 0


async def served(client: Client) -> list[WorkspaceView]:
    """All workspaces that the client's key may see."""
    answer = await client.get("/workspaces")
    return [WorkspaceView.model_validate(i) for i in (answer["items"] if isinstance(answer, dict) else [])]


async def _id(client: Client, name: str) -> UUID:
    found = await served(client)
    for workspace in found:
        if name in (workspace.name, str(workspace.id)):
            return workspace.id
    known = ", ".join(workspace.name for workspace in found[:20]) or "none"
    raise NotFound(f"There is no workspace {name!r}; there are: {known}.")


def _line(workspace: WorkspaceView, example: UUID | None = None) -> str:
    """A workspace in a line; `example` is the volume of the scripted example's copies."""
    where = workspace.path or f"on volume {workspace.volume_id}, not mounted here"
    if workspace.path is None and workspace.volume_id is not None and workspace.volume_id == example:
        where = "of the scripted example"
    quota = f"at most {workspace.quota_bytes:,} bytes" if workspace.quota_bytes else "no quota"
    return f"{workspace.id}  {safe(workspace.name)}  {safe(where)}  {quota}"
