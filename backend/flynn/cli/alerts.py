"""`flynn alerts`: what fires, as the running service says."""

from flynn.cli.client import Client
from flynn.cli.record import find_running
from flynn.cli.screen import safe
from flynn.domain.alert import AlertsView
from flynn.domain.errors import Unavailable
from flynn.settings import Settings


async def show(settings: Settings, *, as_json: bool) -> int:
    """Print what fires; 1 when something does. Raises Unavailable when no service runs here."""
    running = find_running(settings)
    if running is None:
        raise Unavailable(
            f"No service runs with the data directory {settings.data_dir}: start flynn serve, or name "
            "another one with --data-dir."
        )
    async with Client(running.url, running.owner_key) as client:
        found = AlertsView.model_validate(await client.get("/alerts"))
    if as_json:
        print(found.model_dump_json(indent=1))
        return 1 if found.items else 0
    if not found.items:
        print("Nothing is wrong.")
    for alert in found.items:
        print(f"{alert.severity:<8}  {alert.since:%Y-%m-%d %H:%M} UTC  {safe(alert.sentence)}")
        print(f"          {safe(alert.key)}, first seen by {safe(alert.process)}: {alert.runbook}")
    if not found.complete:
        print("The database does not answer: alerts of other processes are not among these.")
    return 1 if found.items else 0
