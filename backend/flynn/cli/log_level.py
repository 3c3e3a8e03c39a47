"""`flynn log-level`: how much the whole service logs, through the running one or its database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args
from urllib.parse import quote

from pydantic import ValidationError

from flynn.app.database import open_database
from flynn.cli.client import Client
from flynn.cli.record import find_running
from flynn.cli.screen import safe
from flynn.domain.errors import InvalidInput, Unavailable
from flynn.domain.log_level import LogLevel, LogLevelOrder, LogLevelView
from flynn.ops.log_levels import LogLevels
from flynn.settings import Settings
from flynn.telemetry import logging

PATH = "/log-level"
BY = "flynn log-level"
"""Who set it, where it was written into the database itself."""


def order_of(level: str, *, logger: str | None, minutes: float | None) -> LogLevelOrder:
    """What is asked for. Raises InvalidInput."""
    try:
        return LogLevelOrder.model_validate({"level": level.lower(), "logger": logger, "minutes": minutes})
    except ValidationError as error:
        allowed = {
            "level": f"one of {', '.join(get_args(LogLevel))}",
            "logger": "a logger's name, such as flynn.access",
            "minutes": "more than 0 and at most 10080",
        }
        name = str(error.errors()[0]["loc"][0])
        raise InvalidInput(f"{name} has to be {allowed[name]}.") from None


async def change(settings: Settings, order: LogLevelOrder) -> int:
    """Change a level and print how it stands."""
    running = find_running(settings)
    if running is not None:
        async with Client(running.url, running.owner_key) as client:
            answer = await client.put(PATH, order.model_dump())
        _print(LogLevelView.model_validate(answer))
    else:
        async with _database(settings) as levels:
            _print(await levels.set(order, by=BY))
    return 0


async def reset(settings: Settings, *, logger: str | None) -> int:
    """Take back the level of one logger, or all of them, and print how it stands."""
    running = find_running(settings)
    if running is not None:
        async with Client(running.url, running.owner_key) as client:
            of_one = f"?logger={quote(logger, safe='')}" if logger else ""
            answer = await client.delete(PATH + of_one)
        _print(LogLevelView.model_validate(answer))
    else:
        async with _database(settings) as levels:
            _print(await levels.reset(logger, by=BY))
    return 0


async def show(settings: Settings) -> int:
    """Print how it stands."""
    running = find_running(settings)
    if running is not None:
        async with Client(running.url, running.owner_key) as client:
            _print(LogLevelView.model_validate(await client.get(PATH)))
    else:
        async with _database(settings) as levels:
            _print(await levels.view())
    return 0


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[LogLevels]:
    """The database that several processes share. Raises Unavailable where the service has its own."""
    if settings.database_url is None:
        raise Unavailable(
            f"No service runs on {settings.data_dir} now: start it, with LOG_LEVEL as it is to log."
        )
    logging.configure("error", settings.log_format)
    async with open_database(settings) as (database, _address, _embedded):
        yield LogLevels(database, configured=settings.log_level)


def _print(view: LogLevelView) -> None:
    print(f"{view.level} (LOG_LEVEL is {view.configured})")
    for item in view.items:
        until = f"until {item.until:%Y-%m-%d %H:%M:%S} UTC" if item.until else "until it is taken back"
        print(f"{item.level}  {safe(item.logger or 'all loggers')}  {until}, set by {safe(item.set_by)}")
