"""The way to a service: the one that owns the data directory, or one started here for a while."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from flynn.app.log import log_aside
from flynn.app.service import Service, open_service
from flynn.cli.listening import listen, port_of, url_of
from flynn.cli.record import find_running, own
from flynn.cli.serve import serving
from flynn.settings import Settings


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the service is and its owner's key. `service` is there when it runs in this process."""

    url: str
    key: str
    service: Service | None = None


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Connection]:
    """Reach the running service of the data directory; where none runs, run one while the block lasts.

    One started here listens on a free port of the loopback and logs to `run.log` in the data directory,
    so that the terminal stays readable. Raises ConfigurationError when it cannot start.
    """
    running = find_running(settings)
    if running is not None:
        yield Connection(running.url, running.owner_key)
        return
    here = settings.model_copy(update={"host": "127.0.0.1"})
    with own(here), log_aside(here), listen(here.host, 0) as listener:
        async with open_service(here) as service, serving(service, listener):
            yield Connection(url_of(here.host, port_of(listener)), service.owner_key, service)
