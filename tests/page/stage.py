"""A service to look at: `flynn serve` as a process, which can be killed and started again."""

import asyncio
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
from playwright.async_api import Browser, ConsoleMessage, Page

from tests.drills.fleet import READY_SECONDS, Fleet
from tests.loopback import free_port

TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} kept out ${event.blockedURI}`));
"""
"""Puts what the page's policy kept out among the complaints."""


@dataclass
class Stage:
    """One `flynn serve` on embedded parts, and the pages that look at it."""

    place: Path
    model_url: str
    browser: Browser
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    address: str = ""
    complaints: list[str] = field(default_factory=list)
    """What the browser's console said, and what the page's policy kept out."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return self.address.partition("key=")[2]

    @property
    def workspace(self) -> Path:
        """The default workspace."""
        return self.place / "workspace"

    async def __aenter__(self) -> Self:
        self.workspace.mkdir()
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._end)
        if kind is not None:
            print(self.log.read_text(errors="replace")[-4000:])

    @property
    def log(self) -> Path:
        return self.place / "serve.log"

    async def start(self) -> None:
        """Start the service on the data that is there."""
        self._process = process = self._spawn()
        assert process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), READY_SECONDS)
        found = re.search(r"http://\S+", line.decode())
        assert found is not None, self.log.read_text(errors="replace")[-3000:]
        self.address = found.group()

    def _spawn(self) -> subprocess.Popen[bytes]:
        environment = Fleet(self.place, "", self.model_url).environment("data", self.settings)
        del environment["DATABASE_URL"], environment["FLYNN_VOLUMES"]
        environment |= {"FLYNN_PORT": str(self.port), "FLYNN_WORKSPACE": str(self.workspace)}
        with self.log.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "flynn.cli", "serve"],
                stdout=subprocess.PIPE,
                stderr=file,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=self.place,
            )

    async def kill(self) -> None:
        """End the service at once."""
        assert self._process is not None
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    async def visit(self, address: str | None = None) -> Page:
        """A new window at the printed address, or at another."""
        context = await self.browser.new_context(viewport={"width": 1280, "height": 800})
        await context.add_init_script(TELL_VIOLATIONS)
        page = await context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto(address or self.address)
        return page

    def _note(self, message: ConsoleMessage) -> None:
        # A service or network that is away is the page's own business to say; the browser tells of it too.
        if not re.search(r"ERR_(CONNECTION|INTERNET|NETWORK|SOCKET|EMPTY)|status of (4|5)\d\d", message.text):
            self.complaints.append(f"{message.type}: {message.text}")

    def http(self, key: str | None = None) -> httpx2.AsyncClient:
        """A client of the service with the owner's key, or with another."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=60)

    async def events(self, conversation: str) -> list[dict[str, Any]]:
        """The log of a conversation."""
        async with self.http() as client:
            answer = await client.get(f"/api/v1/conversations/{conversation}/events", params={"limit": 500})
            answer.raise_for_status()
            found: list[dict[str, Any]] = answer.json()["items"]
            return found

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()
