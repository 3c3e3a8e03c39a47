"""Who owns a data directory: one that runs its database alone, many on a database of somebody else."""

import json
import os
from pathlib import Path

import pytest

from flynn.app.seeding import OWNER_KEY
from flynn.cli.record import find_running, own, write_record
from flynn.domain.errors import ConfigurationError
from flynn.settings import Settings

ELSEWHERE = "postgresql://flynn:9c2f7be1@db.example/flynn"


def settings(directory: Path, database_url: str | None) -> Settings:
    return Settings.load(env_file=None, data_dir=directory, database_url=database_url)


@pytest.mark.parametrize("first", [None, ELSEWHERE])
@pytest.mark.parametrize("second", [None, ELSEWHERE])
def test_a_directory_is_shared_by_services_on_a_database_of_somebody_else(
    tmp_path: Path, first: str | None, second: str | None
) -> None:
    with own(settings(tmp_path, first)):
        if first == second == ELSEWHERE:
            with own(settings(tmp_path, second)) as record:
                assert record == tmp_path / "serve.json"
        else:
            with (
                pytest.raises(ConfigurationError, match=rf"a running service \(pid {os.getpid()}\)"),
                own(settings(tmp_path, second)),
            ):
                pass
    with own(settings(tmp_path, None)):
        pass


def test_the_record_is_removed_by_the_process_that_it_names(tmp_path: Path) -> None:
    shared = settings(tmp_path, ELSEWHERE)
    (tmp_path / OWNER_KEY).write_text("fly_key\n")
    with own(shared) as record:
        write_record(record, "http://127.0.0.1:8000")
        running = find_running(shared)
        assert running is not None
        assert (running.url, running.pid, running.owner_key) == (
            "http://127.0.0.1:8000",
            os.getpid(),
            "fly_key",
        )
    assert find_running(shared) is None
    assert not record.exists()


@pytest.mark.parametrize("field", ["pid", "started_at"])
def test_the_record_of_another_process_stays(tmp_path: Path, field: str) -> None:
    with own(settings(tmp_path, ELSEWHERE)) as record:
        write_record(record, "http://127.0.0.1:8000")
        entry = json.loads(record.read_text())
        record.write_text(json.dumps(entry | {field: entry[field] + 60}))
    assert record.exists()
