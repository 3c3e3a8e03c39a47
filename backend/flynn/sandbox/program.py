"""Where a program is that we run in the sandbox but that is not part of the system: a linter, ripgrep.

PATH is never asked: its directories may lead into the very tree that the program is to look at.
"""

import shutil
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

_SYSTEM: Final = "/usr/local/bin:/usr/bin:/bin"


@cache
def find_program(name: str, package: str | None = None) -> Path | None:
    """The absolute path of the program `name`: as `package` installed it, beside this Python, or in the
    system's directories. None when it is nowhere.
    """
    places: list[Path] = [
        *(_of_package(name, package) if package else ()),
        Path(sys.executable).parent / name,
    ]
    installed = next((place.resolve() for place in places if place.is_file()), None)
    if installed is not None:
        return installed
    found: str | None = shutil.which(name, path=_SYSTEM)
    return Path(found) if found else None


def _of_package(name: str, package: str) -> list[Path]:
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        return []
    return [Path(str(file.locate())) for file in files if file.name in (name, f"{name}.exe")]
