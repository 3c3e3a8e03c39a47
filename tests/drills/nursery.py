"""A fleet whose members are forked from one warm process, and can be told where to die.

A flynn process takes seconds to import what it needs; drills that kill dozens of them fork them instead
(see nursery_program). They are processes of their own all the same, and die as such.
"""

import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.drills.fleet import READY_SECONDS, Fleet, Member
from tests.eventually import eventually

PROGRAM = Path(__file__).with_name("nursery_program.py")


class Forked:
    """A child of the nursery, as much of subprocess.Popen as a Member needs."""

    stdout = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: int | None = None
        self.over = threading.Event()

    def poll(self) -> int | None:
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        if not self.over.wait(timeout):
            raise subprocess.TimeoutExpired("a forked flynn", timeout or 0)
        assert self.code is not None
        return self.code

    def send_signal(self, number: int) -> None:
        if self.code is None:
            os.kill(self.pid, number)


@dataclass
class Mortal(Member):
    """A member with crash points. `files` is the path that its own files begin with."""

    files: Path = Path()

    @property
    def died_at(self) -> str | None:
        """The crash point at which it ended itself."""
        marker = self.files.with_suffix(".died")
        return marker.read_text() if marker.exists() else None

    async def arm(self, point: str, count: int = 1) -> None:
        """Let it die at the `count`-th reach of `point` from now on."""
        await asyncio.to_thread(self._order, json.dumps([point, count]))
        armed = self.files.with_suffix(".armed")
        await eventually(
            lambda: armed.exists() and armed.read_text() == json.dumps([point, count]),
            what=f"arming {point} in {self.name}",
        )

    def _order(self, line: str) -> None:
        with self.files.with_suffix(".control").open("w") as pipe:
            pipe.write(line + "\n")

    async def died(self, point: str, seconds: float = 60) -> None:
        """Wait for its death; fail unless it died at `point`, by SIGKILL."""
        try:
            code = await self.ended(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} never reached {point}") from None
        assert (self.died_at, code) == (point, -signal.SIGKILL), f"{self.name} died otherwise"


@dataclass
class Nursery(Fleet):
    """A Fleet that forks. `arming` is what its next member dies of: a crash point, and how many reaches."""

    arming: tuple[str, int] | None = None
    _program: "subprocess.Popen[bytes] | None" = None
    _born: "queue.Queue[Forked | None]" = field(default_factory=queue.Queue)
    _children: dict[int, Forked] = field(default_factory=dict)
    _reader: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _births: int = 0

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._program = self._open()
        self._reader = threading.Thread(target=self._listen, args=(self._program,), daemon=True)
        self._reader.start()
        await asyncio.to_thread(self._born.get, True, READY_SECONDS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        program, reader = self._program, self._reader
        assert program is not None
        assert program.stdin is not None
        assert program.stdout is not None
        assert reader is not None
        program.stdin.close()
        await asyncio.to_thread(program.wait, 30)
        await asyncio.to_thread(reader.join, 30)
        program.stdout.close()

    async def member(
        self, name: str, *arguments: str, arm: tuple[str, int] | None = None, **settings: str
    ) -> Mortal:
        """Start a `serve` or `worker`, armed from its first instruction on."""
        self.arming = arm
        if arguments[0] == "serve":
            started = await self.serve(name, *arguments[1:], worker=False, **settings)
        else:
            started = await self.work(name, *arguments[1:], **settings)
        assert isinstance(started, Mortal)
        return started

    def _open(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self.place,
            env=self.environment("nursery", {}),
        )

    def _listen(self, program: "subprocess.Popen[bytes]") -> None:
        """Take in what the program tells."""
        assert program.stdout is not None
        for line in program.stdout:
            news = json.loads(line)
            if "ready" in news:
                self._born.put(None)
            elif "born" in news:
                child = self._children[news["born"]] = Forked(news["born"])
                self._born.put(child)
            else:
                child = self._children.pop(news["ended"])
                child.code = news["code"]
                child.over.set()
        self._born.put(None)

    def _spawn(self, name: str, arguments: Sequence[str], settings: dict[str, str]) -> Mortal:
        with self._lock:
            self._births += 1
            files = self.place / f"{name}-{self._births}"
            os.mkfifo(files.with_suffix(".control"))
            order: dict[str, Any] = {
                "files": str(files),
                "log": str(self.place / f"{name}.log"),
                "directory": str(self.place),
                "arguments": list(arguments),
                "environment": self.environment(name, settings),
                "arm": self.arming,
            }
            self.arming = None
            program = self._program
            assert program is not None
            assert program.stdin is not None
            program.stdin.write(json.dumps(order).encode() + b"\n")
            program.stdin.flush()
            process = self._born.get(timeout=30)
            assert process is not None, "the nursery ended"
        member = Mortal(name, process, self.place / f"{name}.log", files=files)
        self.members.append(member)
        return member

    async def _start(self, name: str, arguments: Sequence[str], settings: dict[str, str]) -> Member:
        member = self._spawn(name, arguments, settings)
        out = member.files.with_suffix(".out")
        await eventually(
            lambda: not member.alive or (out.exists() and b"\n" in out.read_bytes()),
            what=f"the start of {name}",
            seconds=READY_SECONDS,
        )
        said = member.said() if member.log.exists() else ""
        assert member.alive, f"{name} did not start:\n{said[-3000:]}"
        return member
