"""The key in the data directory: for its owner alone, read anew when it is another, sent nowhere else."""

import fcntl
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flynn.app.model import Model
from flynn.app.model_key import HeldKey
from flynn.app.stored_key import STORED_KEY, StoredKey
from flynn.domain.errors import Unavailable
from flynn.settings import Settings
from flynn.telemetry.metrics import Metrics
from flynn.telemetry.redaction import redact

HOME = "https://api.example"
KEY = "sk-plain-3f0e9a77-stored"


def test_it_is_written_for_its_owner_alone_whatever_was_there(tmp_path: Path) -> None:
    before = tmp_path / STORED_KEY
    before.write_text("sk-plain-of-before\n")
    before.chmod(0o644)
    stored = StoredKey(tmp_path, HOME)
    assert stored.read() == "sk-plain-of-before"
    assert stored.open_to_others()
    umask = os.umask(0)
    try:
        stored.write(KEY)
    finally:
        os.umask(umask)
    assert stored.read() == KEY
    assert stat.S_IMODE(before.stat().st_mode) == 0o600
    assert not stored.open_to_others()
    assert [path.name for path in tmp_path.iterdir()] == [STORED_KEY]


def test_another_process_has_it_at_once_and_loses_it_at_once(tmp_path: Path) -> None:
    here, there = StoredKey(tmp_path, HOME), StoredKey(tmp_path, HOME)
    assert there.read() is None
    assert there.stored_at() is None
    here.write(KEY)
    assert there.read() == KEY
    assert there.stored_at() is not None
    here.write("sk-plain-the-next-one")
    assert there.read() == "sk-plain-the-next-one"
    assert here.remove()
    assert there.read() is None
    assert not here.remove()


def test_it_is_sent_to_no_other_address(tmp_path: Path) -> None:
    StoredKey(tmp_path, HOME).write(KEY)
    assert StoredKey(tmp_path, "http://127.0.0.1:9").read() is None
    assert StoredKey(tmp_path, HOME).read() == KEY
    (tmp_path / STORED_KEY).write_text(f"\n  {KEY}  \n")
    assert StoredKey(tmp_path, "http://127.0.0.1:9").read() == KEY, "a person put it there, for any address"


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xff\xfe\x00"])
def test_what_is_no_key_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STORED_KEY).write_bytes(content)
    assert StoredKey(tmp_path, HOME).read() is None


def test_a_disk_that_does_not_take_it_says_so(tmp_path: Path) -> None:
    (tmp_path / STORED_KEY).mkdir()
    (tmp_path / STORED_KEY / "x").touch()
    stored = StoredKey(tmp_path, HOME)
    assert stored.read() is None
    with pytest.raises(Unavailable, match="cannot be kept") as caught:
        stored.write(KEY)
    assert KEY not in str(caught.value)
    assert str(tmp_path) not in caught.value.detail
    with pytest.raises(Unavailable, match="cannot be removed"):
        stored.remove()
    assert [path.name for path in tmp_path.iterdir()] == [STORED_KEY]


def test_many_writers_at_once_leave_one_whole_key(tmp_path: Path) -> None:
    keys = [f"sk-plain-{'x' * 40 * n}-{n}" for n in range(6)]
    stored, seen = StoredKey(tmp_path, HOME), StoredKey(tmp_path, HOME)
    stored.write(keys[0])
    with ThreadPoolExecutor(len(keys)) as writers:
        writing = [writers.submit(stored.write, key) for key in keys * 10]
        while not all(future.done() for future in writing):
            assert seen.read() in keys
    for future in writing:
        future.result()
    assert seen.read() in keys
    assert [path.name for path in tmp_path.iterdir()] == [STORED_KEY]


KILLED = """
import os, signal, sys
from pathlib import Path
from flynn.app.stored_key import StoredKey
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
StoredKey(Path(sys.argv[1]), sys.argv[2]).write(sys.argv[3])
"""


def test_what_a_killed_writer_left_goes_at_the_next_start(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, tmp_path, HOME, KEY], check=False)
    (left,) = tmp_path.iterdir()
    assert KEY in left.read_text()
    assert left.name != STORED_KEY
    assert StoredKey(tmp_path, HOME).read() is None

    settings = Settings.load(None, data_dir=tmp_path, anthropic_base_url=HOME)
    with left.open("rb") as writer:  # a writer that lives holds it
        fcntl.flock(writer, fcntl.LOCK_EX)
        Model(settings, works=False, metrics=Metrics(tools=[], version="0"))
        assert left.exists()
    Model(settings, works=False, metrics=Metrics(tools=[], version="0"))
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_forgotten_is_in_no_draft_either(tmp_path: Path) -> None:
    stored = StoredKey(tmp_path, HOME)
    stored.write(KEY)
    (tmp_path / f".{STORED_KEY}.0123").write_text(KEY)
    assert stored.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_is_kept_out_of_what_is_shown(tmp_path: Path) -> None:
    secret = "plain-words-nobody-knows-yet"
    (tmp_path / STORED_KEY).write_text(secret)
    assert secret in redact(f"it is {secret}")
    assert StoredKey(tmp_path, HOME).read() == secret
    assert secret not in redact(f"it is {secret}")


def test_the_environment_wins(tmp_path: Path) -> None:
    settings = Settings.load(None, data_dir=tmp_path, anthropic_base_url=HOME)
    held = HeldKey(settings)
    assert (held.source, held.read()) == ("none", None)
    held.stored.write(KEY)
    assert (held.source, held.read()) == ("stored", KEY)
    given = Settings.load(
        None, data_dir=tmp_path, anthropic_base_url=HOME, anthropic_api_key="sk-plain-given"
    )
    held = HeldKey(given)
    assert (held.source, held.read()) == ("environment", "sk-plain-given")
