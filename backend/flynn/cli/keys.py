"""`flynn keys`: keys of clients, made through the running service or in the database itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from pydantic import ValidationError

from flynn.app.database import open_database
from flynn.app.seeding import seed
from flynn.cli.client import ROOT, Client
from flynn.cli.listening import url_of
from flynn.cli.program import called_as
from flynn.cli.record import find_running, own
from flynn.domain.errors import InvalidInput
from flynn.domain.orders import KeyOrder
from flynn.domain.principal import Scope
from flynn.domain.views import KeyView, NewKey
from flynn.intake import keys
from flynn.settings import Settings
from flynn.store.database import Database
from flynn.store.views import Views
from flynn.telemetry import logging

CURL = """\
curl -sS {url}{root}/tasks \\
  -H 'Authorization: Bearer {key}' \\
  -H 'Content-Type: application/json' \\
  -d '{{"instructions": "List the files of this workspace."}}'
"""

PYTHON = """\
import json, urllib.request

URL = "{url}{root}"
KEY = "{key}"

def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {{"Authorization": "Bearer " + KEY, "Content-Type": "application/json"}}
    request = urllib.request.Request(URL + path, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=90) as response:
        return json.load(response)

task = call("POST", "/tasks", {{"instructions": "List the files of this workspace."}})
while task["state"] in ("queued", "running"):
    task = call("GET", "/tasks/" + task["id"] + "?wait=60")

print(task["state"], task["detail"] or "")
print(json.dumps(task["report"], indent=2))
"""

CLAUDE = """\
claude mcp add --transport http flynn {url}/mcp --header 'Authorization: Bearer {key}'
"""

READING = "curl -sS {url}{root}/agents -H 'Authorization: Bearer {key}'\n"


async def create(settings: Settings, name: str, scopes: list[str]) -> int:
    """Make a key for `name` and print it, this once, with what works when pasted.

    Raises InvalidInput for an unknown scope or an empty name.
    """
    try:
        order = KeyOrder(name=name, scopes=scopes)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{first['loc'][0]}: {first['msg']}.") from None
    keys.scopes_of(order.scopes)
    running = find_running(settings)
    if running is not None:
        async with Client(running.url, running.owner_key) as client:
            made = NewKey.model_validate(await client.post("/keys", order.model_dump()))
    else:
        async with _database(settings) as (database, _), database.begin() as connection:
            made = await keys.create(connection, order)
    url = running.url if running else url_of(settings.host, settings.port)
    print(shown(made, url))
    if running is None:
        print(f"No service runs on {settings.data_dir} now: start `{called_as()} serve` first.")
    return 0


def shown(made: NewKey, url: str) -> str:
    """What is printed of a new key: itself, then what to paste."""
    filled = {"url": url, "root": ROOT, "key": made.key}
    head = f"Key of {made.name} ({', '.join(made.scopes)}), shown only now:\n\n{made.key}\n\n"
    if {Scope.DELEGATE.value, Scope.ADMIN.value}.isdisjoint(made.scopes):
        return f"{head}In a shell:\n\n{READING.format(**filled)}"
    return (
        f"{head}For Claude Code:\n\n{CLAUDE.format(**filled)}\nIn a shell:\n\n{CURL.format(**filled)}\n"
        f"In Python:\n\n{PYTHON.format(**filled)}"
    )


async def show(settings: Settings) -> int:
    """Print all keys, one a line, without their secrets."""
    running = find_running(settings)
    if running is not None:
        async with Client(running.url, running.owner_key) as client:
            answer = await client.get("/keys")
        items = answer["items"] if isinstance(answer, dict) else answer
        found = [KeyView.model_validate(item) for item in items]
    else:
        async with _database(settings) as (database, owner):
            views = Views(database)
            found = await views.keys(await views.authenticate(owner))
    for key in found:
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "open"
        used = f"used {key.last_used_at:%Y-%m-%d}" if key.last_used_at else "never used"
        print(f"{key.id}  {key.name}  …{key.hint}  {', '.join(key.scopes)}  {state}, {used}")
    return 0


async def revoke(settings: Settings, key_id: str) -> int:
    """Close a key for good. Raises InvalidInput for no id, NotFound for one that is not known."""
    try:
        wanted = UUID(key_id)
    except ValueError:
        raise InvalidInput(
            f"{key_id!r} is not the id of a key; `flynn keys list` shows them in its first column."
        ) from None
    running = find_running(settings)
    if running is not None:
        async with Client(running.url, running.owner_key) as client:
            await client.delete(f"/keys/{wanted}")
    else:
        async with _database(settings) as (database, _), database.begin() as connection:
            await keys.revoke(connection, wanted)
    print(f"Key {wanted} opens nothing any more.")
    return 0


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[tuple[Database, str]]:
    """The database while no service runs, and the owner's key."""
    logging.configure("warning", settings.log_format)
    with own(settings):
        async with open_database(settings) as (database, _address, _embedded):
            yield database, await seed(settings, database)
