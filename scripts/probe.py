"""Asks a running service how it is: alive, each part of /ready, its MCP server. The standard library only.

    python scripts/probe.py http://127.0.0.1:8000 data/owner.key

Prints a line each: what, ok|degraded|down, a few words; fields are separated by tabs. In Compose
scripts/health-check.sh hands it to the Python of the backend's container.
"""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATIENCE = 15.0
"""Seconds for an answer. The first request to /mcp imports its package."""

Row = tuple[str, str, str]
"""What, `ok`, `degraded` or `down`, and a few words."""


def ask(url: str, key: str = "", body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    """The status and body that `url` answers with. Raises OSError."""
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = json.dumps(body).encode() if body is not None else None
    if not url.startswith(("http://", "https://")):
        raise OSError(f"{url} is no address of a service")
    request = urllib.request.Request(url, data, headers)  # noqa: S310 # see above
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 # see above
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def probe(url: str, key: str) -> Iterator[Row]:
    """How the service at `url` is; `key` is one of its keys, or empty."""
    try:
        status, _ = ask(f"{url}/health")
    except OSError as error:
        yield "API", "down", f"{url} does not answer: {getattr(error, 'reason', None) or error}"
        return
    yield "API", "ok" if status == 200 else "down", f"{url}/health: {status}"
    try:
        yield from _parts(url)
        if key:
            yield _mcp(url, key)
    except (OSError, ValueError, KeyError) as error:
        yield "API", "down", f"{url} answers what cannot be understood: {error}"


def _parts(url: str) -> Iterator[Row]:
    _, body = ask(f"{url}/ready")
    for part in json.loads(body)["parts"]:
        words = " ".join(str(part["detail"] or "").split())
        yield str(part["name"]), str(part["state"]), words


def _mcp(url: str, key: str) -> Row:
    """Begin a session with the service's own MCP server, as a client does."""
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "health-check", "version": "1"},
        },
    }
    status, body = ask(f"{url}/mcp", key, hello)
    if status == 200 and b'"serverInfo"' in body:
        return "MCP", "ok", f"{url}/mcp takes sessions"
    return "MCP", "down", f"{url}/mcp answers with {status}"


def main() -> int:
    """Probe the service that the arguments name; 0 when nothing is down."""
    url = sys.argv[1].rstrip("/")
    try:
        key = Path(sys.argv[2]).read_text().strip() if len(sys.argv) > 2 else ""
    except OSError:
        key = ""
    down = False
    for what, state, words in probe(url, key):
        down |= state == "down"
        sys.stdout.write(f"{what}\t{state}\t{words}\n")
    return int(down)


if __name__ == "__main__":
    sys.exit(main())
