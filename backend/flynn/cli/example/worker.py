"""What a forked worker of the example does: the work of `flynn worker`, for the service it belongs to."""

import asyncio
import socket
from dataclasses import dataclass

from flynn.app.log import begin_log
from flynn.app.player import open_player
from flynn.cli.stopping import stopping
from flynn.cli.worker import at_work
from flynn.domain.errors import FlynnError
from flynn.settings import Settings
from flynn.telemetry import logging
from flynn.workspace.volume import Volume


@dataclass(frozen=True, slots=True)
class Order:
    """Work on `volume` with these settings, whose model is the scripted one; `aside` is as in `begin_log`."""

    settings: Settings
    volume: Volume
    aside: bool = False


async def work(order: Order, connection: socket.socket) -> int:
    """Work until the service closes its end of `connection`; 0 when that was all."""
    settings = order.settings
    for secret in settings.secrets():
        # Forked from a process that may never have heard of them.
        logging.register_secret(secret)
    begin_log(settings, aside=order.aside)
    try:
        with stopping() as stop:
            async with open_player(settings, order.volume, connection) as (service, over):
                at_work(service, stop)
                asked = asyncio.create_task(stop.asked.wait())
                await asyncio.wait({asked, over}, return_when=asyncio.FIRST_COMPLETED)
                asked.cancel()
                if not stop.asked.is_set():
                    stop.ask()
    except FlynnError as error:
        logging.get_logger("flynn.example").error("a worker cannot start", reason=error.detail)
        return 1
    return 0
