"""A newcomer's first minutes, from the clone on: `python -m bench.bench_first_minutes [--write] [--once]`.

An empty directory, the commands of README.md and nothing else, timed step by step: as root with empty caches
of packages, as root with those it has by now, and as an ordinary user who is made for it. As an ordinary user
it measures that one alone. `--write` puts the table into docs/first-five-minutes.md; `--once` leaves out the
warm run. Everything that it starts is ended, everything that it makes is removed, the user too.

The committed state is what is cloned. Of the environment only settings of Flynn are kept away.
"""

import argparse
import os
import platform
import pty
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "first-five-minutes.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
PATIENCE = 900
"""Seconds in which the start has to have played the example."""

INSTALLED = rb"model of this demo is scripted|Play the scripted example|\?key=fly_"
WORD = rb"I'll"
"""The first word of the scripted model, examples/scenarios/update-ci.yaml."""
COMPLETED = rb"Completed"
ADDRESS = rb"http://\S+\?key=fly_[^\s\x1b]+"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

STEPS = {
    "clone": "`git clone`, from this disk",
    "installed": "`./scripts/start.sh`: all is installed, the service starts",
    "answers": "the page's address answers (`building`, until it is built)",
    "word": "first word of the example is streamed",
    "completed": "the delegated task is completed, with its report",
    "built": "the page is built and shown",
    "review": "`flynn review examples/reznet`, on its own",
    "stop": "`./scripts/stop.sh`, on its own",
}


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


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(newcomer: Newcomer, place: Path, origin: Path) -> dict[str, float]:
    """Seconds by step, from an empty directory on."""
    port = free_port()
    newcomer.variables["FLYNN_PORT"] = str(port)
    checkout = place / "flynn"
    found = {"clone": newcomer.run(["git", "clone", "--quiet", f"file://{origin}", "flynn"], place)}
    master, slave = pty.openpty()
    began = time.monotonic()
    process = newcomer.popen(["./scripts/start.sh"], checkout, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    terminal = Terminal(process, master, began)
    visitor = Visitor(port, began)
    visitor.start()
    try:
        terminal.watch({"installed": INSTALLED, "word": WORD, "completed": COMPLETED, "address": ADDRESS})
        threading.Thread(target=terminal.drain, daemon=True).start()
        visitor.join(PATIENCE)
        found |= {name: seconds for name, seconds in (terminal.seen | visitor.seen).items() if name in STEPS}
        found["review"] = newcomer.run([".venv/bin/flynn", "review", "examples/reznet"], checkout, good=(1,))
        threading.Thread(target=process.wait, daemon=True).start()
        found["stop"] = newcomer.run(["./scripts/stop.sh"], checkout)
    finally:
        visitor.over.set()
        end(process, checkout)
        os.close(master)
    return found


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
    kept["GIT_CONFIG_COUNT"], kept["GIT_CONFIG_KEY_0"] = "1", "safe.directory"
    kept["GIT_CONFIG_VALUE_0"] = "*"
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


def runs(*, once: bool) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure, one newcomer after the other."""
    with place_for() as shelf:
        origin = shelf / "origin.git"
        subprocess.run(["git", "clone", "--quiet", "--bare", str(ROOT), str(origin)], check=True)
        if os.geteuid() != 0:
            yield one("an ordinary user, cold", Path.home(), shelf / "caches", origin)
            return
        yield one("root, cold", Path.home(), shelf / "caches", origin)
        if not once:
            yield one("root, warm", Path.home(), shelf / "caches", origin)
        with ordinary_user() as user, place_for(user.pw_uid, user.pw_gid) as place:
            variables = environment(Path(user.pw_dir), None) | {
                "PATH": SYSTEM_PATH, "USER": user.pw_name, "LOGNAME": user.pw_name
            }  # fmt: skip
            newcomer = Newcomer("an ordinary user, cold", variables, user.pw_uid, user.pw_gid)
            yield newcomer.title, measure(newcomer, place, origin)


def one(title: str, home: Path, caches: Path, origin: Path) -> tuple[str, dict[str, float]]:
    """Measure as the present user, with packages kept in `caches`."""
    with place_for() as place:
        return title, measure(Newcomer(title, environment(home, caches)), place, origin)


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """The results in Markdown, a column a newcomer, in seconds."""
    lines = [f"| | {' | '.join(found)} |", f"|---|{'---:|' * len(found)}"]
    for step, words in STEPS.items():
        cells = [f"{times[step]:.1f} s" if step in times else "–" for times in found.values()]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def facts() -> str:
    """What the figures were taken on."""
    memory = psutil.virtual_memory().total / 2**30
    release = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    load = os.getloadavg()[0]
    node = shutil.which("node", path=SYSTEM_PATH)
    version = (
        subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        if node
        else ""
    )
    bubblewrap = "there already" if shutil.which("bwrap") else "to be installed"
    told = [
        f"{os.cpu_count()} processors, {memory:.0f} GiB of memory",
        f"{release}, Linux {platform.release().split('-')[0]}, {platform.machine()}",
        f"Python {platform.python_version()}, Node {version.strip().removeprefix('v') or 'from PyPI'}",
        f"bubblewrap {bubblewrap}; load of the machine at the beginning {load:.1f}",
    ]
    return f"Taken on {datetime.now(UTC):%Y-%m-%d}: {', '.join(told)}."


def main() -> None:
    """Measure, print, and write where that is asked for."""
    options = argparse.ArgumentParser(description="A newcomer's first minutes, timed.")
    options.add_argument("--write", action="store_true", help="put the table into the document")
    options.add_argument("--once", action="store_true", help="leave out the warm run")
    asked = options.parse_args()
    about = facts()
    found: dict[str, dict[str, float]] = {}
    for title, times in runs(once=asked.once):
        found[title] = times
        print(f"{title}: {', '.join(f'{step} {seconds:.1f}' for step, seconds in times.items())}", flush=True)
    text = f"{about}\n\n{table(found)}"
    print(f"\n{text}")
    if asked.write:
        before, rest = DOCUMENT.read_text().split(BEGIN)
        after = rest.split(END)[1]
        DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
