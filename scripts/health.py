"""How the service of this checkout is, without Docker. Called by health-check.sh, run as a module.

The service is asked; and the database and the Redis that .env names are asked beside it, so that it can be
seen who is away when it cannot start. An embedded database lives and dies with the service.
"""

import sys
from collections.abc import Iterator

import psycopg
import redis

from flynn.cli.record import find_running
from flynn.domain.errors import ConfigurationError
from flynn.settings import Settings
from scripts.probe import Row, probe

PATIENCE = 5
"""Seconds for a database or a Redis to answer."""


def rows(settings: Settings) -> Iterator[Row]:
    """What is asked, in the order in which it is needed."""
    if settings.database_url is None:
        yield "Postgres", "ok", "embedded: it runs with the service"
    else:
        yield _postgres(settings.database_url)
    if settings.redis_url is None:
        yield "Redis", "ok", "none is set: sessions are in the one process"
    else:
        yield _redis(settings.redis_url)
    running = find_running(settings)
    if running is None:
        yield "API", "down", "no service of this checkout runs; scripts/start.sh starts it"
        return
    yield from probe(running.url, running.owner_key)


def _postgres(url: str) -> Row:
    plain = "postgresql://" + url.partition("://")[2]
    try:
        with psycopg.connect(plain, connect_timeout=PATIENCE) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        return "Postgres", "down", " ".join(str(error).split())
    return "Postgres", "ok", f"answers at {connection.info.host}"


def _redis(url: str) -> Row:
    client = redis.Redis.from_url(url, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE)
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        return "Redis", "down", " ".join(str(error).split())
    finally:
        client.close()
    return "Redis", "ok", "answers"


def main() -> int:
    """Print a line each; 0 when nothing is down."""
    try:
        settings = Settings.load()
    except ConfigurationError as error:
        sys.stdout.write(f"settings\tdown\t{' '.join(error.detail.split())}\n")
        return 1
    down = False
    for what, state, words in rows(settings):
        down |= state == "down"
        sys.stdout.write(f"{what}\t{state}\t{words}\n")
    return int(down)


if __name__ == "__main__":
    sys.exit(main())
