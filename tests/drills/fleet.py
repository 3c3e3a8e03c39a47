"""A fleet: servers and workers as processes of their own, each as on a machine of its own, on one database.

All of them mount one volume, `shared`, in which the workspaces of the drills lie. Processes are ended, one
way or another, when the fleet is left.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

import httpx2

from flynn.workspace.volume import make_volume
from tests.loopback import CLEAR, free_port

READY_SECONDS = 240
"""How long a process may take to say that it is there, on a machine that does much else."""


class Process(Protocol):
    """A process that was started: what a Member needs of subprocess.Popen."""

    @property
    def pid(self) -> int: ...

    @property
    def stdout(self) -> IO[bytes] | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, number: int, /) -> None: ...


@dataclass
class Member:
    """One process. `url` and `key` (of the owner) are those of a server; a worker has none."""

    name: str
    process: Process
    log: Path
    url: str = ""
    key: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal: SIGKILL, SIGSTOP, SIGCONT, SIGTERM."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once, and wait until it is gone."""
        self.send(signal.SIGKILL)
        self.process.wait()

    async def ended(self, seconds: float = 30) -> int:
        """Wait for its end; gives the exit code, negative for a signal."""
        return await asyncio.to_thread(self.process.wait, seconds)

    def http(self, **more: Any) -> httpx2.AsyncClient:
        """A client of this server with the owner's key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx2.AsyncClient(
            base_url=self.url, headers=headers, **{"timeout": 70, "verify": CLEAR, **more}
        )

    def said(self) -> str:
        """What it wrote to its log and to stderr."""
        return self.log.read_text(errors="replace")


@dataclass
class Fleet:
    """Starts members. `database_url` is a postgresql:// URL; without `redis_url` each has its own bus.

    `settings` are environment variables of every member; those given to a start come on top.
    """

    place: Path
    database_url: str
    model_url: str
    redis_url: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)
    program: Sequence[str] = (sys.executable, "-m", "flynn.cli")
    """What is started; a drill may put a program in its place that does something more first."""

    @property
    def shared(self) -> Path:
        """The root of the volume that every member has mounted."""
        return self.place / "shared"

    async def __aenter__(self) -> Self:
        self.shared.mkdir(parents=True, exist_ok=True)
        make_volume(self.shared)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._end)
        if kind is not None:
            for member in self.members:
                print(f"---- {member.name}\n{member.said()[-4000:]}")  # pytest shows it with the failure

    async def serve(self, name: str, *arguments: str, worker: bool = False, **settings: str) -> Member:
        """Start `flynn serve`, without a worker unless told otherwise; FLYNN_PORT may name the port."""
        port = settings.pop("FLYNN_PORT", None) or str(free_port())
        own = ("serve", *(() if worker else ("--no-worker",)), *arguments)
        member = await self._start(name, own, {"FLYNN_PORT": port, **settings})
        member.url = f"http://127.0.0.1:{port}"
        member.key = (self.place / name / "owner.key").read_text().strip()
        return member

    async def work(self, name: str, *arguments: str, **settings: str) -> Member:
        """Start `flynn worker`."""
        return await self._start(name, ("worker", *arguments), settings)

    def environment(self, name: str, settings: dict[str, str]) -> dict[str, str]:
        """What a member sees of the environment: nothing of the settings of whoever runs the tests."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("FLYNN_", "ANTHROPIC_"))}
        for variable in ("DATABASE_URL", "REDIS_URL", "POSTGRES_PASSWORD", "LOG_LEVEL"):
            kept.pop(variable, None)
        redis = {"REDIS_URL": self.redis_url} if self.redis_url else {}
        return {
            **kept,
            **redis,
            "DATABASE_URL": self.database_url.replace("postgresql+asyncpg:", "postgresql:"),
            "ANTHROPIC_BASE_URL": self.model_url,
            "ANTHROPIC_API_KEY": "scripted",
            "FLYNN_DATA_DIR": str(self.place / name),
            "FLYNN_VOLUMES": str(self.shared),
            "FLYNN_LOG_FORMAT": "json",
            **self.settings,
            **settings,
        }

    def _spawn(self, name: str, arguments: Sequence[str], settings: dict[str, str]) -> Member:
        log = self.place / f"{name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                [*self.program, *arguments],
                stdout=subprocess.PIPE,
                stderr=file,
                stdin=subprocess.DEVNULL,
                env=self.environment(name, settings),
                cwd=self.place,
            )
        member = Member(name, process, log)
        self.members.append(member)
        return member

    async def _start(self, name: str, arguments: Sequence[str], settings: dict[str, str]) -> Member:
        member = self._spawn(name, arguments, settings)
        process = member.process
        assert process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), READY_SECONDS)
        assert line, f"{name} did not start:\n{member.said()[-3000:]}"
        return member

    def _end(self) -> None:
        for member in self.members:
            if member.alive:
                member.send(signal.SIGCONT)
                member.send(signal.SIGTERM)
        for member in self.members:
            try:
                member.process.wait(15)
            except subprocess.TimeoutExpired:
                member.kill()
            if member.process.stdout is not None:
                member.process.stdout.close()
