"""Ends the service that the data directory's serve.json names. Called by stop.sh.

serve.json holds `pid`, `started_at` (when that process was created, in seconds since 1970) and `url`. A
pid alone proves nothing: numbers are used again. Only a process with this pid, created at this time,
whose command is flynn, is signalled.
"""

import json
import sys
from pathlib import Path

import psutil

from flynn.domain.errors import ConfigurationError
from flynn.settings import Settings

PATIENCE = 15.0
"""Seconds to wait for the end."""

SAME_TIME = 1.0
"""Seconds by which two readings of a process's creation may differ: the system's clock is adjusted."""


def say(sentence: str) -> None:
    """Tell the operator."""
    sys.stdout.write(f"stop: {sentence}\n")


def recorded(record: Path) -> tuple[psutil.Process, str] | None:
    """The process that `record` names and its address, if that very process still runs."""
    try:
        entry = json.loads(record.read_text())
        pid, started_at, url = int(entry["pid"]), float(entry["started_at"]), str(entry["url"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise SystemExit(f"stop: {record} cannot be read as a record of the service: {error!r}") from None
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started_at) <= SAME_TIME
        ours = any(Path(part).name.startswith("flynn") for part in process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    if not (same and ours) or process.status() == psutil.STATUS_ZOMBIE:
        return None
    return process, url


def main() -> int:
    """Stop the service; the status is 0 when none runs afterwards."""
    try:
        record = Settings.load().data_dir / "serve.json"
    except ConfigurationError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    found = recorded(record)
    if found is None:
        say(f"no service of this checkout runs ({record})")
        return 0
    process, url = found
    say(f"ending the service at {url} (process {process.pid})")
    try:
        process.terminate()
        process.wait(PATIENCE)
    except psutil.NoSuchProcess:
        say("it has ended")
        return 0
    except psutil.AccessDenied:
        say(f"it belongs to {process.username()}, who alone can end it")
        return 1
    except psutil.TimeoutExpired:
        if "--force" not in sys.argv[1:]:
            say(f"it is still ending after {PATIENCE:.0f} seconds; kill it with: scripts/stop.sh --force")
            return 1
        process.kill()
        process.wait(PATIENCE)
        say("it has been killed; what it was doing is taken up at the next start")
        return 0
    say("it has ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
