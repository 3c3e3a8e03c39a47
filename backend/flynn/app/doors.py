"""The doors of a process: all of them, or those alone that say how it is."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from flynn.agent.agent_catalog import Catalog
from flynn.api.alerts import Alerts
from flynn.api.backups import Backups
from flynn.api.example import Example
from flynn.api.server import create_api, create_operations
from flynn.app.agents import views_of
from flynn.app.model_key import ModelKeys
from flynn.app.page import open_page
from flynn.intake import Intake
from flynn.live.bus import Bus
from flynn.live.hub import Hub
from flynn.ops.readiness import Health
from flynn.ops.scrape import Scrape
from flynn.settings import Settings
from flynn.store.views import Views
from flynn.telemetry.metrics import Metrics
from flynn.telemetry.request_metrics import RequestMetrics


@dataclass(frozen=True, slots=True)
class Doors:
    """The doors, and how all who follow a conversation are told that the service ends: it waits a moment
    until they have heard it.
    """

    api: ASGIApp
    dismiss: Callable[[], Awaitable[None]]


@asynccontextmanager
async def open_doors(
    settings: Settings,
    *,
    intake: Intake,
    views: Views,
    bus: Bus,
    alerts: Alerts,
    agents: Catalog,
    model_keys: ModelKeys,
    health: Health,
    scrape: Scrape,
    metrics: Metrics,
    example: Example,
    backups: Backups,
) -> AsyncIterator[Doors]:
    """Everything that clients use, with the hub that keeps their views true."""
    shown = views_of(agents, settings)
    async with Hub(
        bus,
        marks=views.marks,
        replay=views.envelopes,
        unseen=views.unseen,
        slow=metrics.slow_clients.inc,
    ) as hub:
        scrape.watch(lambda: hub.watched)
        api = create_api(
            intake=intake,
            views=views,
            hub=hub,
            bus=bus,
            alerts=alerts,
            agents=lambda: shown,
            model_keys=model_keys,
            ready=health.ready,
            scrape=scrape.text,
            requests=RequestMetrics(metrics),
            page=open_page(),
            example=example,
            backups=backups,
            sockets_open=metrics.sockets.set,
            message_max_bytes=settings.message_max_bytes,
            allowed_origins=settings.allowed_origins,
            host=settings.host,
            socket_polling=settings.socket_polling,
        )
        yield Doors(api, hub.dismiss)


async def _nobody_follows() -> None:
    pass


@asynccontextmanager
async def open_operations(
    settings: Settings, *, views: Views, health: Health, scrape: Scrape, metrics: Metrics
) -> AsyncIterator[Doors]:
    """/health, /ready and /metrics, for a process that only works."""
    api = create_operations(
        views=views,
        ready=health.ready,
        scrape=scrape.text,
        requests=RequestMetrics(metrics),
        host=settings.host,
    )
    yield Doors(api, _nobody_follows)
