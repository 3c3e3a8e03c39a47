"""`flynn worker`: a process that runs the agent and opens no doors, beside others on one database."""

import sys
from contextlib import AsyncExitStack

from flynn.app.log import begin_log
from flynn.app.service import Service, open_service
from flynn.cli.listening import listen, port_of, url_of
from flynn.cli.memory import settle_memory
from flynn.cli.serve import serving
from flynn.cli.stopping import Stop, stopping
from flynn.domain.errors import ConfigurationError
from flynn.settings import Settings


def at_work(service: Service, stop: Stop) -> None:
    """The worker `service` has begun: it winds down when `stop` says so, and keeps its memory."""
    stop.tell(service.wind_down)
    settle_memory()


async def work(settings: Settings, *, port: int | None = None) -> int:
    """Run the agent until SIGINT or SIGTERM; 0 when it ended as asked. Runs in hand are handed back.

    With `port`, /health, /ready and /metrics of this process are served there, and nothing else.
    Raises ConfigurationError without DATABASE_URL: the embedded server belongs to one process.
    """
    if settings.database_url is None:
        raise ConfigurationError(
            "DATABASE_URL is not set: a worker of its own needs a database that several processes share. "
            "Set it to the one that flynn serve uses; without it, flynn serve runs the agent itself."
        )
    begin_log(settings)
    if settings.redis_url is None:
        print(
            "REDIS_URL is not set: clients see what this worker does up to 2 seconds later, whole messages "
            "only.",
            file=sys.stderr,
            flush=True,
        )
    # Handlers stand before the service is opened, so that it is closed in order whenever a signal comes.
    with stopping() as stop:
        async with AsyncExitStack() as stack:
            # The port is taken before the work begins: a wrong one stops the start.
            listener = (
                stack.enter_context(listen(settings.host, port, name="--port")) if port is not None else None
            )
            service = await stack.enter_async_context(open_service(settings, worker=True, doors=False))
            at_work(service, stop)
            if listener is not None:
                await stack.enter_async_context(serving(service, listener, urgent=stop.urgent))
            report = service.sandbox.report
            print(
                f"A worker of Flynn runs here: up to {settings.concurrency} runs at a time "
                f"(Bash: {report.backend or 'off'})"
                + (f"; {url_of(settings.host, port_of(listener))}/ready" if listener is not None else ""),
                flush=True,
            )
            await stop.asked.wait()
    return 0
