"""The doors of a process: all of them, or those alone that say how it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp

from flynn.agent.agent_catalog import Catalog
from flynn.api.server import create_api, create_operations
from flynn.app.agents import views_of
from flynn.intake import Intake
from flynn.live.bus import Bus
from flynn.live.hub import Hub
from flynn.ops.readiness import Health
from flynn.ops.scrape import Scrape
from flynn.settings import Settings
from flynn.store.views import Views
from flynn.telemetry.metrics import Metrics


@asynccontextmanager
async def open_doors(
    settings: Settings,
    *,
    intake: Intake,
    views: Views,
    bus: Bus,
    agents: Catalog,
    health: Health,
    scrape: Scrape,
    metrics: Metrics,
) -> AsyncIterator[ASGIApp]:
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
        yield create_api(
            intake=intake,
            views=views,
            hub=hub,
            bus=bus,
            agents=lambda: shown,
            ready=health.ready,
            scrape=scrape.text,
            sockets_open=metrics.sockets.set,
            message_max_bytes=settings.message_max_bytes,
            allowed_origins=settings.allowed_origins,
            host=settings.host,
        )


@asynccontextmanager
async def open_operations(
    settings: Settings, *, views: Views, health: Health, scrape: Scrape
) -> AsyncIterator[ASGIApp]:
    """/health, /ready and /metrics, for a process that only works."""
    yield create_operations(views=views, ready=health.ready, scrape=scrape.text, host=settings.host)
