"""`flynn run`: one task in a directory, streamed to the terminal."""

import asyncio
import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

from flynn.cli import workspaces
from flynn.cli.client import ROOT, Client
from flynn.cli.connection import Connection, connected
from flynn.cli.program import called_as
from flynn.cli.record import find_running
from flynn.cli.screen import Screen, safe
from flynn.cli.task import Ending, perform
from flynn.domain.content import Json
from flynn.domain.errors import ConfigurationError
from flynn.domain.model_key import ModelKeyMissing, ModelKeyView
from flynn.domain.readiness import Readiness
from flynn.settings import Settings

OWN_DATA = Path(".local/share/flynn")
"""Data directory below the home directory, where the usual one would lie in the workspace."""


def workspace_name(directory: Path) -> str:
    """The directory's name and eight digits of its path's sha256: short, and the same every time."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", directory.name).strip("-") or "root"
    return f"{plain[:60]}-{hashlib.sha256(str(directory).encode(errors='surrogateescape')).hexdigest()[:8]}"


def settings_outside(settings: Settings, directory: Path) -> Settings:
    """`settings` with a data directory that does not lie in `directory`, which tools may not share.

    Only one that nobody chose is moved, and not while a service runs on it.
    """
    chosen = "data_dir" in settings.model_fields_set
    if chosen or not settings.data_dir.resolve().is_relative_to(directory) or find_running(settings):
        return settings
    return settings.model_copy(update={"data_dir": Path.home() / OWN_DATA})


async def run(
    settings: Settings, instructions: str, *, agent: str, directory: Path, budget: Mapping[str, float]
) -> int:
    """Run one task in `directory` within `budget`; 0 completed, 1 failed or waiting, 130 cancelled.

    Raises FlynnError when the directory cannot be served or the service cannot be reached or started.
    """
    if not await asyncio.to_thread(directory.is_dir):
        raise ConfigurationError(f"{directory} is not a directory; name one that is with --directory.")
    settings = settings_outside(settings, directory)
    screen = Screen()
    async with connected(settings) as connection:
        async with Client(connection.url, connection.key) as client:
            workspace = await _serve(client, directory)
        order: dict[str, Json] = {"instructions": instructions, "agent": agent, "workspace": workspace}
        if budget:
            order["budget"] = dict(budget)
        ending = await perform(connection.url, connection.key, order, screen)
    conclude(ending, screen, connection, settings)
    return ending.exit_code


async def _serve(client: Client, directory: Path) -> str:
    """The name of the workspace that `directory` is; it becomes one where it is none yet.

    Raises ModelKeyMissing, and registers nothing, where the task would be refused for want of a key.
    """
    for workspace in await workspaces.served(client):
        if workspace.path == str(directory):
            return workspace.name
    # Refused before the directory is registered, which would stay under a name that nobody chose.
    if await _keyless(client):
        raise ModelKeyMissing
    made = await client.post("/workspaces", {"name": workspace_name(directory), "path": str(directory)})
    return str(made["name"])


async def _keyless(client: Client) -> bool:
    """Whether the service runs the agent itself, and has no key for it."""
    if ModelKeyView.model_validate(await client.get("/model-key")).source != "none":
        return False
    parts = Readiness.model_validate(await client.readiness()).parts
    return any(part.name == "model" and part.state != "ok" for part in parts)


def conclude(ending: Ending, screen: Screen, connection: Connection, settings: Settings) -> None:
    """Say how it ended, and how to go on where it is not over."""
    if ending.report is not None:
        screen.report(ending.report)
        return
    conversation = ending.task.conversation_id
    kept = f"Task {ending.task.id} is kept in {settings.data_dir}"
    if ending.waiting is None:
        screen.line()
        still = "; the next service on it goes on with it." if connection.service else " and goes on."
        screen.line(f"Left. {kept}{still}", style="33")
        return
    waiting = ending.waiting
    screen.line()
    screen.line(f"Waiting ({waiting.reason}): {safe(waiting.detail)}", style="33")
    if waiting.reason == "day":
        # Nobody at this door can allow more; the detail says when it goes on by itself.
        screen.line(f"  {kept}.")
        return
    screen.line(f"  {kept}. To go on:")
    address = connection.url
    if connection.service:
        screen.line(f"  FLYNN_DATA_DIR={settings.data_dir} {called_as()} serve")
        address = "http://127.0.0.1:8000"
    bodies = {f"/approvals/{r.approval_id}": _yes(r.call_digest) for r in ending.requests} or {
        "/budget": _more(ending, settings)
    }
    for path, said in bodies.items():
        screen.line(
            f"  curl -X POST {address}{ROOT}/conversations/{conversation}{path} "
            f'-H "Authorization: Bearer $(cat {settings.data_dir / "owner.key"})" '
            f"-H 'Content-Type: application/json' -d '{said}'"
        )


def _more(ending: Ending, settings: Settings) -> str:
    """The order that lets it go on: one that raises the limit which was reached."""
    reached = ending.reached
    if ending.waiting is not None and ending.waiting.reason == "model":
        return "{}"
    if reached is None:
        return json.dumps({"prompt_tokens": settings.max_prompt_tokens * 2})
    wanted = max(2 * reached.allowed, reached.used + reached.wanted)
    whole = reached.limit in ("turns", "tokens", "prompt_tokens")
    raised = {reached.limit: math.ceil(wanted) if whole else math.ceil(wanted * 100) / 100}
    return json.dumps({"task": raised} if reached.scope == "task" else raised)


def _yes(call_digest: str) -> str:
    return f'{{"decision": "allow", "call_digest": "{call_digest}"}}'
