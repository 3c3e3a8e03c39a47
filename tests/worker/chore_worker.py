"""A process that does a chore every second until it is killed: `python -m tests.worker.chore_worker URL`."""

import asyncio
import os
import sys
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from flynn.store.database import Database
from flynn.worker.chores import Chore, Chores

PERIOD = timedelta(seconds=0.5)
_NOTE = text("INSERT INTO slots (slot, pid) VALUES (:slot, :pid)")


async def note(connection: AsyncConnection, slot: datetime) -> None:
    """Leave a trace of the slot; slowly, so that a kill may well fall into it."""
    await connection.execute(_NOTE, {"slot": slot, "pid": os.getpid()})
    await asyncio.sleep(0.1)


async def main(url: str) -> None:
    """Do the chore for ever."""
    database = Database(url, pool_size=2)
    await Chores(database, [Chore(name="note", period=PERIOD, act=note)]).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
