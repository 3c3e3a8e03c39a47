"""A service with nothing but an embedded database, for tests to kill: prints one line, then lives on."""

import asyncio
import sys
from pathlib import Path

from flynn.domain.errors import ConfigurationError
from flynn.store.embedded import EmbeddedPostgres


async def main(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    try:
        await server.start()
    except ConfigurationError as error:
        print("refused", error, flush=True)
        return
    print("ready", server.pid, server.dsn, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
