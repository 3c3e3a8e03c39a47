"""Two services on one database, each with volumes of its own: work goes where its volume is mounted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from flynn.app.service import Service, open_service
from flynn.domain.errors import FlynnError
from flynn.domain.orders import TaskOrder, WorkspaceOrder
from flynn.domain.principal import Principal
from flynn.domain.run import RunState
from flynn.domain.views import TaskView
from flynn.settings import Settings
from flynn.simulator import SimulatorServer, parse_scenarios
from flynn.worker import presence
from flynn.workspace.volume import MARKER, make_volume
from tests.eventually import eventually
from tests.house import prepare
from tests.postgres import TestDatabase, TestDatabases

pytestmark = pytest.mark.slow

SCRIPT = """
name: making
loop: true
turns:
  - blocks: [{tool: Write, input: {file_path: made.txt, content: made}}]
  - blocks: [{text: Made.}]
"""
_QUEUES = text("SELECT DISTINCT queue_name FROM procrastinate_jobs")


@dataclass
class Machines:
    """One database and one model for several services, each as on a machine of its own."""

    postgres: TestDatabase
    model: str
    place: Path

    @asynccontextmanager
    async def start(self, name: str, *volumes: Path, worker: bool = True) -> AsyncIterator[Service]:
        settings = Settings.load(
            None,
            data_dir=self.place / name,
            volumes=volumes,
            database_url=self.postgres.url.replace("postgresql+asyncpg", "postgresql"),
            anthropic_base_url=self.model,
            anthropic_api_key="test-key",
        )
        async with open_service(settings, worker=worker) as service:
            yield service


@pytest.fixture
async def machines(tmp_path: Path) -> AsyncIterator[Machines]:
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(TestDatabases.shared().new(prepare))
        simulator = await stack.enter_async_context(SimulatorServer(parse_scenarios(SCRIPT)))
        yield Machines(postgres, simulator.url, tmp_path)


def volume(place: Path, workspace: str) -> Path:
    """A marked volume with a directory in it."""
    (place / workspace).mkdir(parents=True)
    make_volume(place)
    return place


async def owner(service: Service) -> Principal:
    return await service.views.authenticate(service.owner_key)


async def delegate(service: Service, workspace: str) -> UUID:
    order = TaskOrder(instructions="make a file", workspace=workspace)
    task, _ = await service.intake.delegate_task(await owner(service), order, idempotency_key=None)
    return task.id


async def until(service: Service, task_id: UUID, state: RunState) -> TaskView:
    who = await owner(service)

    async def reached() -> bool:
        return (await service.views.task(who, task_id)).state is state

    await eventually(reached, what=f"{state.value} of {task_id}", seconds=30)
    return await service.views.task(who, task_id)


async def queues(service: Service) -> set[str]:
    async with service.database.statement() as connection:
        return set((await connection.execute(_QUEUES)).scalars())


async def test_work_goes_to_the_worker_that_has_the_volume(machines: Machines) -> None:
    here = await asyncio.to_thread(volume, machines.place / "mnt" / "here", "w1")
    there = await asyncio.to_thread(volume, machines.place / "mnt" / "there", "w2")
    async with machines.start("one", here) as one, machines.start("two", there) as two:
        for service, name, root in ((one, "w1", here), (two, "w2", there)):
            order = WorkspaceOrder(name=name, path=str(root / name))
            await service.intake.create_workspace(await owner(service), order)
        # Each is asked for what only the other one can do.
        tasks = [(await delegate(one, "w2"), there / "w2"), (await delegate(two, "w1"), here / "w1")]
        for task_id, place in tasks:
            await until(one, task_id, RunState.COMPLETED)
            assert await asyncio.to_thread((place / "made.txt").read_text) == "made"
        who = await owner(one)
        (theirs,) = [w.id for w in await one.intake.workspaces.list(who) if w.name == "w2"]
        with pytest.raises(FlynnError, match="has not mounted"):
            await one.intake.workspaces.open(who, theirs)


async def test_a_run_waits_for_its_volume_and_starts_when_it_comes(machines: Machines) -> None:
    there = await asyncio.to_thread(volume, machines.place / "there", "w")
    async with machines.start("one") as one:
        async with machines.start("two", there) as two:
            order = WorkspaceOrder(name="w", path=str(there / "w"))
            made = await two.intake.create_workspace(await owner(two), order)
        waiting = await delegate(one, "w")
        other = await delegate(one, "default")
        await until(one, other, RunState.COMPLETED)
        task = await one.views.task(await owner(one), waiting)
        assert task.state is RunState.QUEUED
        assert task.reason == "volume-away"
        assert str(made.volume_id) in str(task.detail)
        assert f"vol:{made.volume_id}" not in await queues(one), "it holds no slot meanwhile"
        async with machines.start("two", there):
            done = await until(one, waiting, RunState.COMPLETED)
            assert done.reason == "end_turn"
        assert await asyncio.to_thread((there / "w" / "made.txt").read_text) == "made"


async def test_each_machine_resolves_a_volume_through_its_own_mount(machines: Machines) -> None:
    first = await asyncio.to_thread(volume, machines.place / "mnt" / "first", "w")
    second = machines.place / "srv" / "second"
    await asyncio.to_thread((second / "w").mkdir, parents=True)
    await asyncio.to_thread((second / MARKER).write_bytes, (first / MARKER).read_bytes())
    async with machines.start("one", first, worker=False) as door:
        order = WorkspaceOrder(name="w", path=str(first / "w"))
        assert (await door.intake.create_workspace(await owner(door), order)).path == str(first / "w")
        async with machines.start("two", second) as worker:
            (seen,) = [w for w in await worker.intake.workspaces.list(await owner(worker)) if w.name == "w"]
            assert seen.path == str(second / "w")
            task = await until(door, await delegate(door, "w"), RunState.COMPLETED)
            log = await door.views.replay(task.conversation_id, 0)
        assert str(second / "w") in str(log[0].event), "the opening shows where the worker has it"
        assert await asyncio.to_thread((second / "w" / "made.txt").read_text) == "made"
        assert not await asyncio.to_thread((first / "w" / "made.txt").exists)


async def test_a_second_service_leaves_the_default_workspace_of_the_first_alone(machines: Machines) -> None:
    async with machines.start("one") as one:
        (mine,) = await one.intake.workspaces.list(await owner(one))
        async with machines.start("two") as two:
            (same,) = await two.intake.workspaces.list(await owner(two))
            assert same.id == mine.id
            assert same.path is None
            task = await until(two, await delegate(two, "default"), RunState.COMPLETED)
        assert task.workspace_id == mine.id
        assert await asyncio.to_thread((machines.place / "one/workspaces/default/made.txt").exists)


async def test_a_worker_that_was_silent_is_heard_again(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "BEAT_SECONDS", 0.3)
    async with machines.start("one") as one:
        async with one.database.begin() as connection:
            await connection.execute(text("UPDATE mounts SET seen_at = seen_at - interval '1 hour'"))
        task_id = await delegate(one, "default")
        await until(one, task_id, RunState.COMPLETED)
    async with machines.start("two", worker=False) as two, two.database.statement() as connection:
        left = (await connection.execute(text("SELECT count(*) FROM mounts"))).scalar_one()
        assert left == 0, "a worker that ends takes its mounts with it"
