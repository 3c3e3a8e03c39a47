"""Where the built page lies, and whether it is being built."""

from pathlib import Path

import psutil

from flynn.api.page import Page

PACKAGE = Path(__file__).parents[1]
BUILT = PACKAGE / "_page"
"""Made by scripts/build-page.sh; the wheel carries it."""
BUILDING = PACKAGE.parents[1] / "console" / ".building"
"""In a checkout: the process that builds the page now."""


def open_page() -> Page:
    """The page of this installation."""
    return Page(BUILT, building=_is_building)


def _is_building() -> bool:
    try:
        return psutil.pid_exists(int(BUILDING.read_text()))
    except (OSError, ValueError):
        return False
