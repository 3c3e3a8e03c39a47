"""Where the log goes: to a file unless a container's engine collects it, or as the operator says."""

import json
from pathlib import Path

import pytest

from flynn.app.log import ASIDE, file_of, in_container, log_aside
from flynn.domain.errors import ConfigurationError
from flynn.settings import Settings
from flynn.telemetry.logging import get_logger

MACHINE = (
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
)
OVERLAY = "612 580 0:59 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a:/b\n"


def root(tmp_path: Path, mounts: str | None, *marks: str) -> Path:
    for mark in marks:
        (tmp_path / mark).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / mark).write_text("")
    if mounts is not None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/mountinfo").write_text(mounts)
    return tmp_path


@pytest.mark.parametrize(
    ("mounts", "marks", "expected"),
    [
        (MACHINE, [], False),
        (None, [], False),
        ("", [], False),
        (OVERLAY, [], True),
        (MACHINE, [".dockerenv"], True),
        (MACHINE, ["run/.containerenv"], True),
        (MACHINE + "99 27 0:60 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n", [], False),
    ],
)
def test_a_container_is_told_by_its_marks_or_its_root(
    tmp_path: Path, mounts: str | None, marks: list[str], expected: bool
) -> None:
    assert in_container(root(tmp_path, mounts, *marks)) is expected


def load(tmp_path: Path, **more: object) -> Settings:
    return Settings.load(None, data_dir=tmp_path / "data", **more)


def test_auto_is_a_file_in_the_data_directory_but_not_in_a_container(tmp_path: Path) -> None:
    found = file_of(load(tmp_path))
    if in_container():
        assert found is None
    else:
        assert found is not None
        assert found.path == tmp_path / "data" / "logs" / "app.log"


def test_the_operator_may_say_where_and_how_much_or_turn_it_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = file_of(load(tmp_path, log_file="here.log", log_file_bytes=100_000, log_files=2))
    assert found is not None
    assert (found.path, found.most_bytes, found.keep) == (tmp_path / "here.log", 100_000, 2)
    assert file_of(load(tmp_path, log_file="OFF")) is None
    monkeypatch.setenv("FLYNN_LOG_FILE", "/var/log/flynn.log")
    found = file_of(load(tmp_path))
    assert found is not None
    assert found.path == Path("/var/log/flynn.log")


def test_a_log_aside_is_all_of_it_and_bounded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = load(tmp_path, log_file_bytes=65_536, log_files=2)
    settings.data_dir.mkdir()
    with log_aside(settings) as file:
        for number in range(2_000):
            get_logger("flynn.tests").info("one of many lines", number=number)
        file.write("the last words of a process\n")
    get_logger("flynn.tests").warning("behind it")
    found = sorted(path for path in settings.data_dir.iterdir() if path.suffix != ".lock")
    assert [path.name for path in found] == ["run.log", "run.log.1", "run.log.2"]
    assert all(path.stat().st_size <= 65_536 + 100 for path in found)
    assert json.loads(found[0].read_text().splitlines()[-1])["context"] == {"number": 1_999}
    said = capfd.readouterr()
    assert "one of many" not in said.out + said.err
    assert "behind it" in said.err


def test_a_log_aside_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    settings = load(tmp_path)
    (settings.data_dir / ASIDE).mkdir(parents=True)
    said = r"run\.log cannot be written: Is a directory"
    with pytest.raises(ConfigurationError, match=said), log_aside(settings):
        pass
