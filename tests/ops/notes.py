"""What backups are tried with: rows, a transaction each, and moments between them."""

import asyncio
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import Any


class Notes(ABC):
    """A database with the table `notes`."""

    @abstractmethod
    async def ask(self, statement: str, *parameters: object) -> Any:
        """Ask the database."""

    async def note(self, *words: str) -> None:
        """Write rows, a transaction each."""
        for one in words:
            await self.ask("INSERT INTO notes (words) VALUES ($1)", one)

    async def notes(self) -> list[str]:
        """All that is written."""
        return [row["words"] for row in await self.ask("SELECT words FROM notes ORDER BY id")]


async def moment() -> datetime:
    """A time with no transaction within a few milliseconds of it."""
    await asyncio.sleep(0.05)
    now = datetime.now(UTC)
    await asyncio.sleep(0.05)
    return now
