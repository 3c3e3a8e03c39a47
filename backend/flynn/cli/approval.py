"""Approvals on the terminal: shows the call, asks, and hands the answer in."""

import asyncio
import sys

from flynn.cli.client import Client
from flynn.cli.screen import Screen, safe, telling
from flynn.domain.errors import FlynnError
from flynn.domain.events import ApprovalRequested

_QUESTION = "  [y] yes  [a] yes, always this very call  [n] no  [words] no, and tell it why › "


class Approver:
    """Asks whoever sits at the terminal. `available` is false where nobody can answer."""

    def __init__(self, client: Client, screen: Screen) -> None:
        self._client = client
        self._screen = screen
        self.available = sys.stdin.isatty() and sys.stdout.isatty()

    async def decide(self, conversation_id: object, request: ApprovalRequested) -> None:
        """Ask for one call. What the service refuses is shown, and the run waits on."""
        self._screen.line(f"? {request.tool}  {safe(telling(request.input))}", style="33")
        self._screen.line(f"  {safe(request.reason)}", style="2")
        sys.stdout.write(_QUESTION)
        sys.stdout.flush()
        said = (await _line()).strip()
        order: dict[str, object] = {"decision": "deny", "call_digest": request.call_digest}
        match said.lower():
            case "y" | "yes":
                order["decision"] = "allow"
            case "a" | "always":
                order |= {"decision": "allow", "remember": True}
            case "" | "n" | "no":
                pass
            case _:
                order["message"] = said
        path = f"/conversations/{conversation_id}/approvals/{request.approval_id}"
        try:
            await self._client.post(path, order)
        except FlynnError as error:
            self._screen.line(f"  not decided: {safe(error.detail)}", style="31")


async def _line() -> str:
    """One line of the terminal; the event loop goes on meanwhile, and cancelling stops the wait."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    descriptor = sys.stdin.fileno()

    def take() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, take)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
    return sys.stdin.readline()
