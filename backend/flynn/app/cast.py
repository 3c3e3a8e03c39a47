"""What plays the scripted example: the protocol of those who are handed in, since `app` may not know them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from flynn.domain.content import Json
from flynn.settings import Settings
from flynn.workspace.volume import Volume

Listen = Callable[[asyncio.StreamReader, Callable[[str, Json], None]], Awaitable[None]]
"""Publishes what comes over the stream, until it ends, and hands the rest to the function."""


class Player(Protocol):
    """A worker process of the example."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def number(self) -> int | None:
        """Its number in the queue's tables, None before it has one."""

    def kill(self) -> None:
        """Send it SIGKILL."""


class Cast(Protocol):
    """What plays: a scripted model and two workers, one in the place of each that is lost."""

    async def enter(self, settings: Settings, volume: Volume, listen: Listen) -> None:
        """Come on, with the service's own settings; workers get their numbers when they are there.

        `listen` takes in what a worker says. Raises FlynnError when they cannot.
        """

    def players(self) -> Sequence[Player]:
        """The workers that live."""

    def trouble(self) -> str | None:
        """Why no worker comes on any more."""

    def wind_down(self, *, urgent: bool = False) -> None:
        """Let the workers begin to hand back what they hold."""

    async def leave(self) -> None:
        """Go, all of them. Safe to call again, and without having entered."""
