"""What all tests share: the `needs` marker, and the account of what was left out for want of it.

`@pytest.mark.needs("bubblewrap", "redis-server")` skips a test, by name, on a machine that lacks one of
these. The end of the run counts what was left out. Where nothing may be left out (`CI=true` or
`FLYNN_REQUIRE_ALL=1`) such a test fails instead. `FLYNN_MAY_SKIP=docker,root` names what a machine may
lack all the same.
"""

import ctypes
import gc
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.escapes.summary import table
from tests.node import find_node
from tests.postgres import TestDatabases

# How fast a machine is says nothing about the code; and tests with a database or a workspace share it between
# their examples on purpose.
settings.register_profile(
    "flynn",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("flynn")

# Each client of the model's SDK would read the certificates of all authorities anew: 40 ms of work.
ssl.create_default_context = cache(ssl.create_default_context)  # type: ignore[assignment]  # as it was, but for work

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

LANDLOCK_ABI = 6
"""The lowest Landlock version that keeps signals and abstract sockets inside the sandbox."""

_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_CREATE_RULESET_VERSION = 1


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _bubblewrap() -> bool:
    binary = shutil.which("bwrap")
    return binary is not None and _succeeds(
        binary, "--unshare-user", "--unshare-net", "--unshare-pid", "--ro-bind", "/", "/", "true"
    )


def _landlock() -> bool:
    if platform.system() != "Linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    flag = ctypes.c_uint32(_LANDLOCK_CREATE_RULESET_VERSION)
    abi = libc.syscall(ctypes.c_long(_LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), flag)
    return bool(abi >= LANDLOCK_ABI)


def _program(*names: str) -> Callable[[], bool]:
    return lambda: any(shutil.which(name) for name in names)


PREREQUISITES: dict[str, Callable[[], bool]] = {
    "bubblewrap": _bubblewrap,
    "landlock": _landlock,
    "redis-server": _program("redis-server"),
    "haproxy": _program("haproxy"),
    "promtool": _program("promtool"),
    "jq": _program("jq"),
    "root": lambda: os.geteuid() == 0,
    "mounts": lambda: _succeeds("unshare", "--mount", "true"),
    "browser": _program("chromium", "chromium-browser", "google-chrome"),
    "docker": lambda: _succeeds("docker", "info"),
    "node": _program("node"),
    "javascript": lambda: find_node() is not None,
    "git": _program("git"),
    "barman": lambda: (
        all(shutil.which(name) for name in ("rsync", "file"))
        and _succeeds(str(Path(sys.prefix, "backup/bin/barman")), "--version")
    ),
}
"""What a test may need, and how to find out whether this machine has it."""


@cache
def has(prerequisite: str) -> bool:
    """Whether this machine has `prerequisite`, one of PREREQUISITES. Asked once a process."""
    return PREREQUISITES[prerequisite]()


def _nothing_may_be_missing() -> bool:
    return os.environ.get("CI") == "true" or os.environ.get("FLYNN_REQUIRE_ALL") == "1"


def _may_be_missing() -> set[str]:
    return {name.strip() for name in os.environ.get("FLYNN_MAY_SKIP", "").split(",")}


QUICK = "not slow"
"""The selection of the quick run, as scripts/test.sh makes it."""

_SLOW_MODULE = re.compile(r"^pytestmark = (\[[^\]]*)?pytest\.mark\.slow\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """In the quick run, leave the modules unread that say of themselves that they are slow: each test
    process would import them for nothing."""
    if collection_path.suffix != ".py" or config.option.markexpr != QUICK:
        return None
    return True if _SLOW_MODULE.search(collection_path.read_text()) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """In the quick run, leave tests that share what their module makes to one process: each that had some
    of them would make it anew."""
    if item.config.option.markexpr != QUICK or not isinstance(item, pytest.Function):
        return
    if item.get_closest_marker("xdist_group") is None and any(
        made.scope == "module"
        for fixtures in item._fixtureinfo.name2fixturedefs.values()
        for made in fixtures
    ):
        item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage among what stays until the end, modules and tests, and more seldom elsewhere."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(10_000)
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a `needs` marker with a name that nobody knows, once xdist has written down its groups."""
    _keep_groups(items)
    for item in items:
        for marker in item.iter_markers("needs"):
            unknown = [name for name in marker.args if name not in PREREQUISITES]
            if unknown or not marker.args:
                raise pytest.UsageError(
                    f"{item.nodeid}: needs({', '.join(map(repr, marker.args))}): "
                    f"known are {', '.join(sorted(PREREQUISITES))}"
                )


def _keep_groups(items: list[pytest.Item]) -> None:
    """Let `xdist_group` count: pytest 9.2 keeps a test's id elsewhere than xdist 3.8 writes its group to."""
    for item in items:
        grouped, kept = getattr(item, "_nodeid", None), getattr(item, "_id", None)
        if grouped is not None and kept is not None:
            item._id = type(kept).parse(grouped)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave a test out, or fail it, when this machine lacks what it needs."""
    needed = [name for marker in item.iter_markers("needs") for name in marker.args]
    missing = [name for name in needed if not has(name)]
    if missing:
        leave_out(item, missing)


def leave_out(item: pytest.Item, missing: Sequence[str]) -> NoReturn:
    """Skip a test for want of `missing`, and count it by name; where nothing may be left out it fails."""
    sentence = f"this machine has no {', no '.join(missing)}"
    if _nothing_may_be_missing() and not set(missing) <= _may_be_missing():
        pytest.fail(f"{sentence}, and here nothing may be left out", pytrace=False)
    item.user_properties.append(("missing", ",".join(missing)))
    pytest.skip(sentence)


def pytest_sessionfinish() -> None:
    """End the database server of this test process, if a test had one started."""
    TestDatabases.end()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count, by name, the tests that were left out because a prerequisite is missing."""
    left_out = Counter(
        name
        for report in terminalreporter.stats.get("skipped", [])
        for key, names in getattr(report, "user_properties", [])
        if key == "missing"
        for name in str(names).split(",")
    )
    for name, count in sorted(left_out.items()):
        terminalreporter.write_line(
            f"left out for want of {name}: {count} test{'s' if count > 1 else ''}", yellow=True
        )
    trials = [
        tuple(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        for key, value in (getattr(report, "user_properties", None) or ())
        if key == "escape" and report.when == "call"
    ]
    for line in table(trials):
        terminalreporter.write_line(line)
