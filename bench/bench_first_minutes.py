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
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench.newcomer import (
    PATIENCE,
    SYSTEM_PATH,
    Newcomer,
    Terminal,
    Visitor,
    end,
    environment,
    ordinary_user,
    place_for,
)
from bench.service import free_port

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "first-five-minutes.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
INSTALLED = rb"model of this demo is scripted|Play the scripted example|\?key=fly_"
WORD = rb"I'll"
"""The first word of the scripted model, examples/scenarios/update-ci.yaml."""
COMPLETED = rb"Completed"
ADDRESS = rb"http://\S+\?key=fly_[^\s\x1b]+"

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
            # git takes nothing from a directory of somebody else's.
            subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", str(origin)], check=True)
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
