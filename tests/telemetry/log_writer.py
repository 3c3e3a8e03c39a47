"""A process that logs: `python -m tests.telemetry.log_writer FILE MOST_BYTES KEEP NAME COUNT`."""

import io
import sys
from pathlib import Path

from flynn.telemetry.logging import LogFilePolicy, configure, get_logger

if __name__ == "__main__":
    file, most_bytes, keep, name, count = sys.argv[1:]
    policy = LogFilePolicy(Path(file), most_bytes=int(most_bytes), keep=int(keep))
    configure("info", "json", io.StringIO(), file=policy)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(count)):
        get_logger("flynn.tests").info("a line", writer=name, number=number, ballast="x" * (number % 400))
