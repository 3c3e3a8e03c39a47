"""How this program is called: what a message may tell somebody to type. It starts nothing itself."""

import shlex
import shutil
import sys
from pathlib import Path


def called_as(argument: str | None = None) -> str:
    """How a shell here starts this program again: `flynn` where PATH leads to it, else as it was started.

    `argument` is the first one of the process.
    """
    started = Path(argument if argument is not None else sys.argv[0])
    found = shutil.which("flynn")
    if started.name != "flynn":
        return "flynn" if found else f"{shlex.quote(sys.executable)} -m flynn.cli"
    if found and Path(found).resolve() == started.resolve():
        return "flynn"
    return shlex.quote(str(started))
