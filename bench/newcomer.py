"""Who comes new: a user with an environment, a terminal to read from, and the page's visitor.

What a newcomer starts is ended, and what was made for one is removed.
"""

import os
import pwd
import re
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PATIENCE = 900
"""Seconds in which the start has to have played the example, and its page has to be built."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Programs that every user finds."""


@dataclass
class Newcomer:
    """Who types: a user id, a home, and the variables that go with it."""

    title: str
    variables: dict[str, str]
    uid: int | None = None
    gid: int | None = None

    def popen(self, command: list[str], at: Path, **more: object) -> subprocess.Popen[bytes]:
        """Start a command as this user, in a session of its own."""
        who: dict[str, object] = {}
        if self.uid is not None:
            who = {"user": self.uid, "group": self.gid, "extra_groups": []}
        options = {"cwd": at, "env": self.variables, "start_new_session": True, **who, **more}
        return subprocess.Popen(command, **options)  # type: ignore[call-overload, no-any-return]  # a plain dict

    def run(self, command: list[str], at: Path, *, good: tuple[int, ...] = (0,)) -> float:
        """Run a command; gives the seconds it took. Raises SystemExit when it fails."""
        began = time.monotonic()
        process = self.popen(
            command, at, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = process.communicate(timeout=PATIENCE)
        if process.returncode not in good:
            raise SystemExit(
                f"{' '.join(command)} gave {process.returncode}:\n{said.decode(errors='replace')}"
            )
        return time.monotonic() - began


@dataclass
class Terminal:
    """A terminal in which the start runs: what it shows, and when things were first seen on it."""

    process: subprocess.Popen[bytes]
    master: int
    began: float
    shown: bytes = b""
    seen: dict[str, float] = field(default_factory=dict)

    def watch(self, patterns: Mapping[str, bytes]) -> None:
        """Read until all patterns were seen or the process has ended. Raises SystemExit."""
        while missing := [name for name in patterns if name not in self.seen]:
            if time.monotonic() - self.began > PATIENCE:
                raise SystemExit(
                    f"not seen: {', '.join(missing)}\n{self.shown[-4000:].decode(errors='replace')}"
                )
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self.master, 65_536)
                except OSError:  # the other side is closed
                    break
            for name in missing:
                if re.search(patterns[name], self.shown):
                    self.seen[name] = time.monotonic() - self.began
        if missing:
            raise SystemExit(f"the start ended:\n{self.shown[-4000:].decode(errors='replace')}")

    def drain(self) -> None:
        """Go on reading, so that what it shows later does not stop it."""
        while True:
            try:
                if not os.read(self.master, 65_536):
                    return
            except OSError:
                return


class Visitor(threading.Thread):
    """Asks for the page again and again, from the first moment on."""

    def __init__(self, port: int, began: float) -> None:
        super().__init__(daemon=True)
        self._url = f"http://127.0.0.1:{port}/"
        self._began = began
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.seen: dict[str, float] = {}
        self.over = threading.Event()

    def run(self) -> None:
        """Note when it first answers, and when it first shows the page."""
        while "built" not in self.seen and not self.over.is_set():
            try:
                with self._opener.open(self._url, timeout=5) as answer:
                    body = answer.read()
            except (urllib.error.URLError, OSError):
                body = b""
            now = time.monotonic() - self._began
            if body:
                self.seen.setdefault("answers", now)
            if b"/assets/" in body:
                self.seen["built"] = now
            self.over.wait(0.1)


def end(process: subprocess.Popen[bytes], checkout: Path) -> None:
    """End what is left of a start: its group, and whatever runs from its checkout."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            continue
    for other in psutil.process_iter(["cwd", "exe"]):
        places = [other.info["cwd"] or "", other.info["exe"] or ""]
        if any(place.startswith(f"{checkout}/") or place == str(checkout) for place in places):
            try:
                other.kill()
            except psutil.NoSuchProcess:
                continue


def environment(home: Path, caches: Path | None) -> dict[str, str]:
    """Variables of a newcomer: this machine's, without settings of Flynn. `caches` is where packages go."""
    unwanted = ("FLYNN_", "ANTHROPIC_", "VIRTUAL_ENV", "PYTHON", "COVERAGE", "PYTEST")
    names = ("DATABASE_URL", "REDIS_URL", "POSTGRES_PASSWORD", "LOG_LEVEL")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(unwanted) and k not in names}
    kept |= {"HOME": str(home), "TERM": "xterm-256color"}
    if caches is not None:
        kept |= {"PIP_CACHE_DIR": str(caches / "pip"), "npm_config_cache": str(caches / "npm")}
    return kept


@contextmanager
def ordinary_user() -> Iterator[pwd.struct_passwd]:
    """A user with a home, for the moment. Its processes end with it."""
    name = f"flynn-first-{os.getpid()}"
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", name], check=True)
    user = pwd.getpwnam(name)
    try:
        yield user
    finally:
        for process in psutil.process_iter():
            try:
                if process.uids().real == user.pw_uid:
                    process.kill()
            except psutil.NoSuchProcess:
                continue
        time.sleep(1)
        subprocess.run(["userdel", "--remove", name], check=False, stderr=subprocess.DEVNULL)


@contextmanager
def place_for(uid: int = -1, gid: int = -1) -> Iterator[Path]:
    """An empty directory that everybody may walk through, gone at the end."""
    place = Path(tempfile.mkdtemp(prefix="flynn-first-"))
    place.chmod(0o755)
    os.chown(place, uid, gid)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
