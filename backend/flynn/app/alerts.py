"""Alerts of a process, as the settings say: watched, shared, told."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from flynn.domain.destination import Destination, Destinations
from flynn.domain.errors import ConfigurationError
from flynn.live.bus import Bus
from flynn.ops.alerts.board import Board
from flynn.ops.alerts.exchange import SILENT_SECONDS, Exchange
from flynn.ops.alerts.messenger import Messenger
from flynn.ops.alerts.reading import read_samples
from flynn.ops.alerts.rules import NAMES, WATCHED, rules_for
from flynn.ops.alerts.watch import Watch
from flynn.ops.scrape import Scrape
from flynn.settings import Settings
from flynn.store.database import Database
from flynn.telemetry.metrics import Metrics
from flynn.worker.webhook import Post, Webhooks

EVERY_SECONDS = 5.0
"""Seconds between two looks, with a window of WINDOW_SECONDS; shorter in proportion with a shorter one."""

WINDOW_SECONDS = 300.0

SHORTEST_PACE = 0.02
"""By how much less than SILENT_SECONDS a silent process is believed in, at least: it may only be slow."""


def check_alerts(settings: Settings) -> None:
    """Raise ConfigurationError for settings of alerts that do not go together."""
    for name in settings.alert_limits:
        if name not in NAMES:
            raise ConfigurationError(
                f'FLYNN_ALERT_LIMITS names "{name}": allowed are the alerts {", ".join(NAMES)}'
            )
    if settings.alert_url and settings.alert_secret is None:
        raise ConfigurationError(
            "FLYNN_ALERT_URL is set, but FLYNN_ALERT_SECRET is not: allowed is whsec_ and then the base64 of "
            '24 to 64 random bytes, such as "echo whsec_$(openssl rand -base64 32)" makes'
        )


@asynccontextmanager
async def watched(
    settings: Settings,
    *,
    database: Database,
    bus: Bus,
    metrics: Metrics,
    scrape: Scrape,
    doors: bool,
    watching: bool,
) -> AsyncIterator[Board]:
    """What fires, kept true by tasks of its own until the block is left; empty without `watching`."""
    board = Board()
    if not watching:
        yield board
        return
    pace = settings.alert_window_seconds / WINDOW_SECONDS
    every = EVERY_SECONDS * min(1.0, pace)
    machine = socket.gethostname()
    process = f"{machine}:{settings.port}" if doors else f"{machine}:worker-{os.getpid()}"
    post = _poster(settings)
    messenger = (
        Messenger(post, counted=lambda outcome: metrics.alert_posts.labels(outcome).inc()) if post else None
    )
    exchange = Exchange(
        database,
        board,
        process=process,
        send=messenger.send if messenger is not None else None,
        claim=bus.claim,
        every=every,
        silent=SILENT_SECONDS * max(pace, SHORTEST_PACE),
    )
    if messenger is not None:
        messenger.on_over(exchange.over)
    watch = Watch(
        rules_for(
            settings.alert_limits,
            pace=pace,
            backup_hours=settings.backup_hours if settings.database_url is None else None,
        ),
        board,
        refresh=scrape.refresh,
        samples=partial(read_samples, scrape.registry, WATCHED),
        fired=exchange.fired,
        resolved=exchange.resolved,
        machine=machine,
        process=process,
        every=every,
        window=settings.alert_window_seconds,
    )
    parts = [watch.run(), exchange.run(), *([messenger.run()] if messenger is not None else [])]
    tasks = [asyncio.create_task(part, name="alerts") for part in parts]
    try:
        yield board
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _poster(settings: Settings) -> Callable[[str, str], Awaitable[str | None]] | None:
    """What posts one message, as callbacks of tasks are; None where nobody is to be told."""
    if settings.alert_url is None or settings.alert_secret is None:
        return None
    url, secret = settings.alert_url, settings.alert_secret.get_secret_value()
    destination = Destination.read(url)
    # The operator names it, so it may be anywhere.
    webhooks = Webhooks(Destinations(frozenset({(destination.host, destination.port)})))

    async def post(message_id: str, body: str) -> str | None:
        answer = await webhooks(Post(message_id=message_id, url=url, body=body, secret=secret))
        return None if answer.outcome == "delivered" else answer.detail

    return post
