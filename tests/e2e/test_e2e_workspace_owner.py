"""A service that is root: a workspace that it makes belongs to a uid of its own, and so do its commands.

The same service as an ordinary user makes workspaces that are its own.
"""

import asyncio
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flynn.app.service import Service, open_service
from flynn.domain.orders import TaskOrder, WorkspaceOrder
from flynn.domain.run import RunState
from flynn.domain.views import WorkspaceView
from flynn.settings import Settings
from flynn.simulator import SimulatorServer, parse_scenarios
from flynn.store.workspaces import all_workspaces
from tests.house import ROOT, prepare
from tests.postgres import TestDatabases

pytestmark = pytest.mark.slow

SCRIPT = """
name: owning
loop: true
turns:
  - blocks:
      - tool: Bash
        input: {command: "id -u; echo from-bash > bash.txt; cat ../*/private-*; cat ../../owner.key"}
  - blocks: [{tool: Write, input: {file_path: write.txt, content: from-write}}]
  - blocks: [{tool: Bash, input: {command: "echo +more >> write.txt && cat write.txt"}}]
  - blocks: [{text: Done.}]
"""

BACKENDS = [
    pytest.param("bubblewrap", marks=pytest.mark.needs("bubblewrap")),
    pytest.param("landlock", marks=pytest.mark.needs("landlock")),
]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every uid may pass through, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="flynn-owner-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def url() -> Iterator[str]:
    """A database's address."""
    with TestDatabases.shared().new(prepare) as postgres:
        yield postgres.url.replace("postgresql+asyncpg", "postgresql")


@asynccontextmanager
async def serving(place: Path, sandbox: str, url: str | None = None) -> AsyncIterator[Service]:
    async with SimulatorServer(parse_scenarios(SCRIPT)) as simulator:
        settings = Settings.load(
            None,
            data_dir=place / "data",
            sandbox=sandbox,
            database_url=url,
            anthropic_base_url=simulator.url,
            anthropic_api_key="test-key",
        )
        async with open_service(settings) as service:
            yield service


async def make(service: Service, name: str) -> WorkspaceView:
    owner = await service.views.authenticate(service.owner_key)
    return await service.intake.create_workspace(owner, WorkspaceOrder(name=name))


async def results(service: Service, workspace: str) -> list[str]:
    """What the model was told by the tools of a task in `workspace`."""
    owner = await service.views.authenticate(service.owner_key)
    order = TaskOrder(instructions="go", workspace=workspace)
    delegated, _ = await service.intake.delegate_task(owner, order, idempotency_key=None)
    task = await service.views.task(owner, delegated.id)
    async with asyncio.timeout(60):
        while not task.state.final:
            await asyncio.sleep(0.05)
            task = await service.views.task(owner, task.id)
    assert task.state is RunState.COMPLETED, task
    log = await service.views.replay(task.conversation_id, 0)
    return [str(r.event.content[0]["content"]) for r in log if r.event.type == "tool.finished"]


def owners(root: Path) -> dict[str, int]:
    return {path.name: path.stat().st_uid for path in (root, *root.iterdir())}


def plant(root: Path) -> None:
    secret = root / "private-note"
    secret.write_text("a neighbour's secret")
    status = root.stat()
    os.chown(secret, status.st_uid, status.st_gid)


@pytest.mark.needs("root")
@pytest.mark.parametrize("sandbox", BACKENDS)
async def test_each_workspace_has_a_uid_that_is_its_commands_too(place: Path, sandbox: str, url: str) -> None:
    async with serving(place, sandbox, url) as service:
        first, second = await make(service, "first"), await make(service, "second")
        default = place / "data" / "workspaces" / "default"
        await asyncio.to_thread(plant, Path(str(second.path)))
        for name, root in (("default", default), ("first", Path(str(first.path)))):
            ran, wrote, changed = await results(service, name)
            seen = await asyncio.to_thread(owners, root)
            uid = seen[root.name]
            assert uid >= 20_000
            assert ran.splitlines()[1 if ran.startswith("Exit") else 0] == str(uid)
            assert "neighbour" not in ran
            assert "fly_" not in ran
            assert "write.txt" in wrote
            assert changed.strip() == "from-write+more"
            assert seen == {root.name: uid, "bash.txt": uid, "write.txt": uid}
        async with service.database.statement() as connection:
            stored = {row.name: row.owner_uid for row in await all_workspaces(connection)}
    assert sorted(stored) == ["default", "first", "second"]
    assert len(set(stored.values())) == 3
    for name, path in (("default", str(default)), ("first", first.path), ("second", second.path)):
        assert (await asyncio.to_thread(os.stat, str(path))).st_uid == stored[name]


@pytest.mark.needs("root", "landlock")
async def test_where_a_uid_could_not_walk_the_workspace_stays_roots(tmp_path: Path, url: str) -> None:
    await asyncio.to_thread(tmp_path.chmod, 0o700)
    async with serving(tmp_path, "landlock", url) as service:
        made = await make(service, "made")
        ran, *_ = await results(service, "made")
        assert (await asyncio.to_thread(os.stat, str(made.path))).st_uid == 0
        assert "from-write" in ran or "0" in ran.splitlines()


@pytest.mark.needs("root", "bubblewrap")
async def test_a_default_workspace_of_roots_is_taken_over_only_when_it_is_empty(
    place: Path, url: str
) -> None:
    default = place / "data" / "workspaces" / "default"
    await asyncio.to_thread(default.mkdir, parents=True)
    await asyncio.to_thread((default / "old").write_text, "older than uids")
    async with serving(place, "bubblewrap", url):
        assert (await asyncio.to_thread(default.stat)).st_uid == 0
    await asyncio.to_thread((default / "old").unlink)
    async with serving(place, "bubblewrap", url):
        assert (await asyncio.to_thread(default.stat)).st_uid >= 20_000


ORDINARY = """
import asyncio, os, sys
from pathlib import Path
from flynn.store.workspaces import all_workspaces
from tests.e2e.test_e2e_workspace_owner import make, owners, results, serving

async def main() -> None:
    async with serving(Path(sys.argv[1]), "none") as service:
        made = await make(service, "made")
        await results(service, "made")
        async with service.database.statement() as connection:
            (stored,) = [row for row in await all_workspaces(connection) if row.name == "made"]
        seen = owners(Path(made.path))
        names = sorted(name if name != stored.path else "made" for name in seen)
        print(sorted(set(seen.values())), oct(os.stat(made.path).st_mode & 0o777), names, stored.owner_uid)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.needs("root")
def test_an_ordinary_user_owns_what_it_makes(place: Path) -> None:
    """Without a sandbox: tests/sandbox has one as an ordinary user, over a workspace that the user owns."""
    nobody = pwd.getpwnam("nobody")
    os.chown(place, nobody.pw_uid, nobody.pw_gid)
    # The right to read lets the user have an interpreter that may lie below root's home.
    user = (
        *("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"),
        *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
    )
    done = subprocess.run(
        [*user, sys.executable, "-B", "-c", ORDINARY, str(place)],
        env={"PATH": os.environ["PATH"], "HOME": str(place), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"[{nobody.pw_uid}] 0o700 ['made', 'write.txt'] None"
