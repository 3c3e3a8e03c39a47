"""The loop of the backup service: it receives, says when it does not, and begins anew when it has to."""

import re
import shutil
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.deploy.barman_stage import PATIENCE, Stage, opened
from tests.eventually import eventually
from tests.loopback import free_port

pytestmark = [pytest.mark.slow, pytest.mark.needs("barman"), pytest.mark.timeout(1500)]


def age(port: int) -> float:
    """Of the newest base, as Prometheus is told."""
    figures = httpx2.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    (found,) = re.findall(r"^flynn_backup_age_seconds (\S+)", figures, re.MULTILINE)
    return float(found)


async def check(stage: Stage) -> str:
    _, said = await stage.command("check")
    return said


async def test_the_check_is_bad_without_a_receiver_and_good_again_with_one() -> None:
    async with opened() as stage:
        port = free_port()
        async with stage.service(BARMAN_METRICS_PORT=str(port)) as service:
            await eventually(stage.well, what="a content health check", seconds=PATIENCE, every=2)
            assert service.receivers()

            def measured() -> bool:
                figures = httpx2.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
                return bool(
                    re.search(r"^flynn_backup_age_seconds \d", figures, re.MULTILINE)
                    and re.search(r"^flynn_backup_lag_seconds \d", figures, re.MULTILINE)
                    and re.search(r"^flynn_backup_bytes [1-9]", figures, re.MULTILINE)
                    and 'flynn_backups_total{outcome="taken"} 1.0' in figures
                    and re.search(r'^flynn_disk_used_ratio\{place="backups"\} [0-9.e-]+$', figures, re.M)
                )

            await eventually(measured, what="figures of the backups", seconds=PATIENCE, every=1)
        # The service ended in order, and so did the receiver.
        assert not service.receivers()
        said = await check(stage)
        assert re.search(r"receive-wal running: FAILED", said)
        assert not await stage.well()
        # A base without its archive of workspaces is half a backup; the next tick makes it whole.
        assert "files: FAILED" not in said
        shutil.rmtree(stage.home / "files")
        assert "files: FAILED" in await check(stage)

        async with stage.service() as service:
            await eventually(stage.well, what="the receiver's return", seconds=PATIENCE, every=2)
            # Killed, it comes back by itself.
            before = {process.pid for process in service.receivers()}
            for process in service.receivers():
                process.kill()

            async def back() -> bool:
                pids = {process.pid for process in service.receivers()}
                return bool(pids) and not pids & before and await stage.well()

            await eventually(back, what="a receiver that was killed", seconds=PATIENCE, every=1)
            # No base was taken for all that: the newest is not old.
            assert service.said.count("a base was taken and verified") == 1


async def test_the_role_can_read_the_log_and_write_nothing() -> None:
    async with opened() as stage:
        async with stage.service() as service:
            await eventually(
                lambda: "the database knows the role" in service.said, seconds=PATIENCE, what="the role"
            )
            (role,) = await stage.ask("SELECT * FROM pg_roles WHERE rolname = 'barman'")
            assert role["rolreplication"]
            assert not role["rolsuper"]
            assert not role["rolcreaterole"]
            assert not role["rolcreatedb"]
            # The superuser's password goes no further than the loop itself.
            children = psutil.Process(service.process.pid).children(recursive=True)
            assert not any("POSTGRES_PASSWORD" in child.environ() for child in children)
            await eventually(stage.well, what="a content health check", seconds=PATIENCE, every=2)
        (slot,) = await stage.ask("SELECT * FROM pg_replication_slots")
        assert (slot["slot_name"], slot["slot_type"]) == ("barman", "physical")
        kept = (stage.home / "password").stat().st_mode & 0o777
        assert kept == 0o600

        # A slot that is lost breaks the line: it is said, and a base follows on another.
        await stage.ask("SELECT pg_drop_replication_slot('barman')")
        async with stage.service() as service:
            await eventually(
                lambda: service.said.count("a base was taken and verified") == 2,
                what="a base on the new line",
                seconds=PATIENCE,
                every=1,
            )
            assert "the received log breaks here" in service.said
            await eventually(stage.well, what="a content health check", seconds=PATIENCE, every=2)
        assert len((await stage.document("list"))["windows"]) == 2


async def test_bases_that_were_cut_off_go_and_the_check_is_good_again(tmp_path: Path) -> None:
    async with opened() as stage:
        held = tmp_path / "held"
        held.touch()
        # As Barman finds it, but it waits for as long as `held` is there.
        program = tmp_path / "pg_basebackup"
        real = shutil.which("pg_basebackup", path=stage.environment()["PATH"])
        program.write_text(
            "#!/bin/sh\n"
            f'case "$*" in *--version*) ;; *) while [ -e {held} ]; do sleep 0.2; done ;; esac\n'
            f'exec {real} "$@"\n'
        )
        program.chmod(0o755)
        slowed = {"PATH": f"{tmp_path}:{stage.environment()['PATH']}"}

        def statuses() -> list[str]:
            found = (stage.home / "main" / "meta").glob("*-backup.info")
            return sorted(re.findall(r"^status=(\w+)", "".join(path.read_text() for path in found), re.M))

        port = free_port()
        async with stage.service(**slowed, BARMAN_METRICS_PORT=str(port)) as service:
            await eventually(lambda: bool(service.processes(str(program))), what="a base", seconds=PATIENCE)
            assert 0 < age(port) < 1000, "while there is none it counts too, or nobody would be told"
            for process in service.processes(str(program)):
                process.kill()
            await eventually(lambda: statuses() == ["FAILED"], what="Barman's word", seconds=PATIENCE)
            await eventually(lambda: not statuses(), what="the end of that base", seconds=PATIENCE)
            assert "backups are as they should be again" not in service.said
            assert not await stage.well()
        async with stage.service(**slowed) as service:
            await eventually(lambda: bool(service.processes(str(program))), what="a base", seconds=PATIENCE)
            service.process.kill()
            for process in service.processes("barman", str(program)):
                process.kill()
        assert statuses() == ["STARTED"], "it was cut off without a word"
        held.unlink()
        async with stage.service(**slowed):
            await eventually(
                lambda: "STARTED" not in statuses(), what="the end of that too", seconds=PATIENCE
            )
        # Barman may have found no receiver yet, which the kill ended as well; a start tries at once.
        async with stage.service(**slowed):
            await eventually(stage.well, what="a content health check", seconds=PATIENCE, every=2)
            await eventually(lambda: len(statuses()) == 1, what="nothing but the base", seconds=PATIENCE)
        (whole,) = (stage.home / "main" / "base").iterdir()
        assert [base["id"] for base in (await stage.document("list"))["bases"]] == [whole.name]


async def test_another_database_is_not_backed_up_over_the_backups_of_this_one() -> None:
    async with opened() as stage:
        async with stage.service():
            await eventually(stage.well, what="a content health check", seconds=PATIENCE, every=2)
        stage.kill()
        stage.initialise(stage.directory / "another")
        await stage.start(stage.directory / "another")
        await stage.ask("CREATE DATABASE reznetai_local", database="postgres")
        port = free_port()
        async with stage.service(BARMAN_METRICS_PORT=str(port)) as service:
            await eventually(
                lambda: "this is another database" in service.said,
                what="the refusal",
                seconds=PATIENCE,
                every=1,
            )
            assert age(port) > 0, "the backups get older"
            assert not await stage.well()
        assert not await stage.ask("SELECT * FROM pg_replication_slots")
        assert len((await stage.document("list"))["bases"]) == 1
