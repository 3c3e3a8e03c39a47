"""The scripted example on this instance: prepared on demand, ended when nobody needs it any longer.

A stage beside the service: workers of its own on the service's own queue and database, which have mounted
nothing but the volume of the example's copies, and whose model is a scripted one. So nobody claims the
other's work, and nothing in the service knows of a second model. What plays (the processes, the model) is
handed in; here is when it plays, on what, and which worker may be killed.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flynn.api.example import FOR_ADMINS, NotOffered, withheld
from flynn.app.cast import Cast, Player
from flynn.app.database import Address
from flynn.app.example_copy import copy_example, example_volume, known_volume, new_name
from flynn.domain.content import Json
from flynn.domain.errors import Conflict, FlynnError, NotFound, WorkspaceError
from flynn.domain.example import INSTRUCTIONS, PATIENT, ExampleCrash, ExampleTask, ExampleView, ExampleWorker
from flynn.domain.principal import Principal
from flynn.intake.examples import place_example
from flynn.live.bus import Bus
from flynn.live.relay import receive
from flynn.settings import Settings
from flynn.store import open_calls
from flynn.store.database import Database
from flynn.store.outage import OUTAGES
from flynn.store.views import Views
from flynn.telemetry.logging import get_logger
from flynn.workspace.mounts import Mounts
from flynn.workspace.volume import Volume

LOOK_SECONDS = 2.0
"""How often it looks whether anything is, once an example was played here."""

SMALL = {"concurrency": 1, "pool_size": 3, "pool_overflow": 3}
"""Settings of the workers: little to do, and one run each, so that a worker's death is one run's loss."""

RETRY_SECONDS = 60.0
"""After how long a cast that failed is tried again for a run that waits; being prepared tries it at once."""

NOT_OFFERED = NotOffered(
    "This service does not play the scripted example: FLYNN_EXAMPLE is off, or it is auto and DATABASE_URL "
    "names a database of one's own. FLYNN_EXAMPLE=on has it played."
)

_log = get_logger("flynn.example")


def offers_example(settings: Settings) -> bool:
    """Whether the settings let the example be played: unless told otherwise, on the embedded database."""
    return settings.example == "on" or (settings.example == "auto" and settings.database_url is None)


class ScriptedExample:
    """The example of this instance (see flynn.api.example.Example). An asynchronous context manager."""

    def __init__(
        self,
        settings: Settings,
        *,
        address: Address,
        database: Database,
        views: Views,
        bus: Bus,
        cast: Cast,
        by_descriptor: bool,
    ) -> None:
        """`by_descriptor`: commands are shown a workspace without walking to it (see Mounts)."""
        self._settings = settings
        self._address = address
        self._database = database
        self._views = views
        self._bus = bus
        self._cast = cast
        self._by_descriptor = by_descriptor
        self._idle_seconds = settings.example_idle_minutes * 60
        self._lock = asyncio.Lock()
        self._volume: Volume | None = None
        self._copy: tuple[UUID, str] | None = None
        self._raising: asyncio.Task[None] | None = None
        self._failure: str | None = None
        self._up = False
        self._ending = False
        self._needed_at = 0.0
        self._tried_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "ScriptedExample":
        self._volume = known_volume(self._settings.data_dir)
        self._begin(self._look_after())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.wind_down()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._cast.leave()

    async def view(self, principal: Principal) -> ExampleView:
        """See Example.view."""
        workspaces: list[UUID] = []
        held: list[open_calls.HeldRun] = []
        if self._volume is not None:
            async with self._database.statement() as connection:
                workspaces = await open_calls.workspaces_on(
                    connection, self._volume.id, principal.id, admin=principal.admin
                )
                held = await open_calls.held_runs(connection, self._volume.id)
        if not principal.admin:
            return withheld(FOR_ADMINS, workspaces)
        whose = {run.worker: run.conversation_id for run in held}
        workers = [_worker(player, whose) for player in self._cast.players()]
        failure = self._failure or self._cast.trouble()
        state, detail = "off", None
        if failure is not None:
            state, detail = "failed", failure
        elif any(worker.state != "starting" for worker in workers):
            state = "ready"
        elif self._up or self._raising is not None:
            state, detail = "preparing", "Two workers of the example's own are starting."
        return ExampleView.model_validate(
            {
                "state": state,
                "detail": detail,
                "task": self._task(),
                "workspaces": workspaces,
                "workers": workers,
                "lease_seconds": self._settings.lease_seconds,
            }
        )

    def _task(self) -> ExampleTask | None:
        if self._copy is None:
            return None
        return ExampleTask(title=INSTRUCTIONS, instructions=PATIENT, workspace=self._copy[1])

    async def prepare(self, principal: Principal) -> ExampleView:
        """See Example.prepare. Raises Unavailable when the example cannot be copied."""
        async with self._lock:
            await self._fresh_copy(principal)
            self._raise()
        return await self.view(principal)

    async def crash(self, principal: Principal, conversation_id: UUID) -> ExampleCrash:
        """See Example.crash."""
        await self._views.conversation(principal, conversation_id)
        async with self._database.statement() as connection:
            volume_id = await open_calls.volume_of(connection, conversation_id)
            if self._volume is None or volume_id != self._volume.id:
                raise NotFound("This conversation is not one of the scripted example.")
            held = await open_calls.held_runs(connection, self._volume.id)
            call = await open_calls.open_call(connection, conversation_id, "Bash")
        if call is None:
            raise Conflict("No Bash call is running here now: the crash is shown in the middle of one.")
        number = next((run.worker for run in held if run.conversation_id == conversation_id), None)
        players = self._cast.players()
        player = next((p for p in players if number is not None and p.number == number), None)
        if player is None:
            raise Conflict(
                "No worker of this instance is at this run now: it was lost already, or it is another "
                "instance's, where the crash has to be asked for."
            )
        if not any(other.number is not None for other in players if other is not player):
            raise Conflict("The other worker is not there yet; in a few seconds it can take over.")
        player.kill()
        _log.warning("a worker is killed, as asked for", pid=player.pid, principal=principal.name)
        self._need()
        return ExampleCrash(
            conversation_id=conversation_id, pid=player.pid, call_id=call, at=datetime.now(UTC)
        )

    def wind_down(self, *, urgent: bool = False) -> None:
        """The service ends: begin to end, too."""
        self._ending = True
        self._cast.wind_down(urgent=urgent)

    async def _fresh_copy(self, principal: Principal) -> None:
        """A copy in which nothing was begun, as a workspace of `principal`."""
        try:
            volume = await asyncio.to_thread(example_volume, self._settings.data_dir)
        except OSError as error:
            raise WorkspaceError(f"{error.filename} cannot be made: {error.strerror}.") from error
        self._volume = volume
        if self._copy is not None:
            async with self._database.statement() as connection:
                if not await open_calls.is_begun(connection, self._copy[0]):
                    return
        name = await asyncio.to_thread(new_name, volume.root)
        mounts = Mounts(declared=(volume,), by_descriptor=self._by_descriptor)
        async with self._database.begin() as connection:
            made = await place_example(connection, principal, volume, mounts, name=name, fill=copy_example)
        self._copy = (made, name)

    def _need(self) -> None:
        self._needed_at = asyncio.get_running_loop().time()

    def _raise(self) -> None:
        """Have the cast on, unless it is or comes already."""
        self._need()
        if self._ending or self._volume is None or (self._up and self._cast.trouble() is None):
            return
        if self._raising is None:
            self._failure = None
            self._tried_at = self._needed_at
            self._raising = self._begin(self._enter(self._volume))

    async def _enter(self, volume: Volume) -> None:
        settings = self._settings.model_copy(update={"database_url": self._address.url, **SMALL})
        try:
            if self._up:
                self._up = False
                await self._cast.leave()
            await self._cast.enter(settings, volume, self._listen)
            self._up = True
        except (FlynnError, OSError) as error:
            self._failure = error.detail if isinstance(error, FlynnError) else f"{error.strerror}."
            _log.error("the example cannot be played", reason=self._failure)
            await self._cast.leave()
        finally:
            self._raising = None

    async def _listen(self, reader: asyncio.StreamReader, other: Callable[[str, Json], None]) -> None:
        await receive(reader, self._bus, other)

    async def _answer_demand(self) -> None:
        """Come on when a run waits for it; otherwise nothing is done."""
        if self._volume is None:
            return
        try:
            async with self._database.statement() as connection:
                wanted = await open_calls.in_demand(connection, self._volume.id)
        except OUTAGES as error:
            _log.warning("whether the example is needed cannot be seen", error=str(error))
            return
        broken = self._failure is not None or self._cast.trouble() is not None
        patience = RETRY_SECONDS if broken else 0.0
        if wanted and asyncio.get_running_loop().time() >= self._tried_at + patience:
            self._raise()

    async def _look_after(self) -> None:
        """Go on with what an earlier service left behind; later, end what nobody needs."""
        while True:
            await self._answer_demand()
            await asyncio.sleep(min(LOOK_SECONDS, self._idle_seconds / 4))
            if self._is_idle():
                async with self._lock:
                    # Whoever held the lock may have needed the workers just now.
                    if self._is_idle():
                        await self._cast.leave()
                        self._up = False
                        _log.info("the example's workers end: nothing was played for a while")

    def _is_idle(self) -> bool:
        return self._up and asyncio.get_running_loop().time() - self._needed_at > self._idle_seconds

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a part of the example broke", exc_info=error)


def _worker(player: Player, whose: dict[int, UUID]) -> ExampleWorker:
    if player.number is None:
        return ExampleWorker(pid=player.pid, state="starting", conversation_id=None)
    conversation_id = whose.get(player.number)
    return ExampleWorker(
        pid=player.pid, state="working" if conversation_id else "idle", conversation_id=conversation_id
    )
