"""The pytest side of a stand: where it lives, who it is, and how to talk to it."""

import json
import os
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import flynn
from flynn.sandbox.view import interpreter, walkable
from tests.escapes.attempt import Household

_PACKAGE: Final = Path(flynn.__file__).parent
_TESTS: Final = Path(__file__).parent
_SYSTEM_PYTHON: Final = Path("/usr/bin/python3")
_PLACES: Final = ("/srv", "/var/lib")
_MAY_READ_ALL: Final = struct.pack("<IIIII", 0x02000001, 1 << 2, 0, 0, 0)
"""struct vfs_cap_data of revision 2: CAP_DAC_READ_SEARCH, permitted and effective (capabilities(7))."""
_SLOT: Final = os.getpid() % 20_000
"""Test processes that run at once do not share uids: a trial may signal all processes of one."""
_UIDS: Final[dict[Household, int]] = {"root": 0, "owner": 20_000 + _SLOT, "user": 40_000 + _SLOT}


class Stand:
    """A running stand. `ask` it for a trial; `close` it once."""

    def __init__(self, household: Household) -> None:
        self._controls: dict[str, dict[str, Any]] = {}
        uid = _UIDS[household] if os.geteuid() == 0 else os.getuid()
        service = uid if household == "user" else 0
        # Not in /tmp where that is possible: the sandbox has another one there.
        parent = next((place for place in _PLACES if os.access(place, os.W_OK)), None)
        self._place = Path(tempfile.mkdtemp(prefix="flynn-escapes-", dir=parent))
        self._place.chmod(0o755)
        if service != os.geteuid():
            os.chown(self._place, service, service)
        if os.geteuid() == 0:
            _make_programs_of_root(self._place / "of-root")
        own = python_for(uid) if household == "user" else sys.executable
        inside = python_for(uid)
        if own is None or inside is None:
            raise LookupError(missing_interpreter(uid))
        order = {"household": household, "place": str(self._place), "uid": uid, "python": inside}
        self._code = Path(tempfile.mkdtemp(prefix="flynn-escapes-code-"))
        self._process = subprocess.Popen(
            [own, "-B", "-m", "tests.escapes.stand", json.dumps(order)],
            cwd="/",
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": ":".join(self._import_from(uid))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **({"user": uid, "group": uid, "extra_groups": []} if service != os.geteuid() else {}),  # type: ignore[call-overload]  # Popen's own keywords
        )

    def ask(self, **order: object) -> dict[str, Any]:
        """Send one order and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError(f"the stand ended while it was asked for {order}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def control(self, attempt: str) -> dict[str, Any]:
        """The trial without a sandbox, made once for both backends."""
        if attempt not in self._controls:
            self._controls[attempt] = self.ask(attempt=attempt, backend=None)
        return self._controls[attempt]

    def close(self) -> None:
        """End the stand; nothing of it is left."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            shutil.rmtree(self._place, ignore_errors=True)
            shutil.rmtree(self._code, ignore_errors=True)

    def _import_from(self, uid: int) -> list[str]:
        """Where the stand finds its code: copies, since the checkout may be closed to other users."""
        self._code.chmod(0o755)
        for source, name in ((_PACKAGE, "flynn"), (_TESTS, "tests/escapes")):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, self._code / name, ignore=ignored)
        for path in (self._code, *self._code.rglob("*")):
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        packages = Path(sysconfig.get_path("purelib"))
        if not walkable(packages / "x", (uid, uid)):
            packages = Path(shutil.copytree(packages, self._code / "packages"))
        return [str(self._code), str(packages)]


@cache
def python_for(uid: int) -> str | None:
    """An interpreter that `uid` can reach and that knows this one's packages, or None."""
    own = interpreter()
    if walkable(own, (uid, uid)) or uid == os.geteuid():
        return str(own)
    if not _SYSTEM_PYTHON.exists():
        return None
    asked = [str(_SYSTEM_PYTHON), "-I", "-S", "-c", "import sys; print(sys.version_info[:2])"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return str(_SYSTEM_PYTHON) if told == str(tuple(sys.version_info[:2])) else None


def missing_interpreter(uid: int) -> str:
    """Why there is no stand for `uid`."""
    return f"no Python {sys.version_info[0]}.{sys.version_info[1]} that uid {uid} can reach"


def _make_programs_of_root(place: Path) -> None:
    place.mkdir(mode=0o755)
    for name in ("id", "cat"):
        shutil.copyfile(f"/usr/bin/{name}", place / name)
    (place / "secret").write_text("the-secret-of-root")
    (place / "secret").chmod(0o600)
    (place / "cat").chmod(0o755)
    os.setxattr(place / "cat", "security.capability", _MAY_READ_ALL)
    (place / "id").chmod(0o4755)
