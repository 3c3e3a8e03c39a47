"""One trial of one attempt: a workspace with bait around it, and the ways to act in it."""

import asyncio
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flynn.domain.content import Json
from flynn.domain.errors import SandboxUnavailable
from flynn.domain.tool_result import ToolResult
from flynn.sandbox.command import Command, Sandbox
from flynn.sandbox.limits import Limits
from flynn.sandbox.process_tree import descendants
from flynn.tools.tool import ToolContext
from flynn.tools.toolset import execute
from flynn.workspace.root import Workspace
from tests.escapes import inside
from tests.escapes.bait import NAMES, Bait, identity

if TYPE_CHECKING:
    from tests.escapes.stand import Stand

_PRELUDE: Final = Path(inside.__file__)
_MENTIONED: Final = re.compile(rf"\b({'|'.join((*NAMES, 'NONCE', 'WORKSPACE', 'DATA', 'SERVICE'))})\b")
_CONTROL_OUTPUT: Final = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How one command ended. `left` are its processes that are alive all the same; `error` a refusal."""

    output: bytes = b""
    exit_code: int | None = None
    timed_out: bool = False
    kill_reason: str | None = None
    error: str | None = None
    left: frozenset[int] = frozenset()
    seconds: float = 0.0


class Scene:
    """A trial on one backend, or without any (`backend` None): the control."""

    def __init__(self, stand: "Stand", backend: str | None) -> None:
        self.stand = stand
        self.backend = backend
        self.uid = stand.uid
        self.secret = f"secret-{secrets.token_hex(12)}"
        self.nonce = f"reached-{secrets.token_hex(8)}"
        self.place = stand.new_place()
        self.bait = Bait(
            self.place,
            uid=self.uid,
            secret=self.secret,
            message=f"message-{secrets.token_hex(8)}",
            python=stand.python,
        )
        self.workspace = self.directory("workspace")
        self.tmp = self.directory("tmp")
        self.scratch = stand.new_scratch()
        self.said: list[str] = []
        self.refused: list[str] = []
        self._fresh = True

    def directory(self, name: str) -> Path:
        """A directory of the scene that belongs to the command's uid."""
        path = self.place / name
        path.mkdir(parents=True)
        return self.bait.own(path)

    def file(self, name: str, content: str | bytes, mode: int = 0o644) -> Path:
        """A file of the workspace that belongs to the command's uid."""
        path = self.workspace / name
        for parent in [p for p in path.parents if not p.exists()][::-1]:
            parent.mkdir()
            self.bait.own(parent)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return self.bait.own(path)

    @property
    def control(self) -> bool:
        """Whether this is the trial without a sandbox."""
        return self.backend is None

    def begin(self) -> None:
        """From now on changes outside count; running anything begins, too."""
        if self._fresh:
            self.bait.mark_time()
            self._fresh = False

    async def shell(self, script: str, **options: object) -> Ran:
        """Run a bash script; see `run`."""
        words = [f"{name}={shlex.quote(self.value(name))}" for name in _mentioned(script)]
        return await self.run("\n".join((*words, script)), **options)  # type: ignore[arg-type]  # run checks

    def stopped_by_refusal(self, words: str) -> None:
        """A refused set-up that says `words` is what stops this attempt, and no failure to try it."""
        self.refused = [said for said in self.refused if words not in said]

    async def python(self, source: str, **options: object) -> Ran:
        """Run Python source after the text of `inside.py`; see `run`."""
        words = [f"{name} = {self.value(name)!r}" for name in _mentioned(source)]
        text = "\n".join((_PRELUDE.read_text(encoding="utf-8"), *words, source))
        python = shlex.quote(self.stand.python)
        # As an argument: it must not depend on what the workspace looks like.
        return await self.run(f'exec {python} -I -S -c "$1"', (text,), **options)  # type: ignore[arg-type]

    def value(self, name: str) -> str:
        """What code that mentions `name` gets."""
        match name:
            case "NONCE":
                return self.nonce
            case "WORKSPACE":
                return str(self.workspace)
            case "DATA":
                return str(self.stand.data)
            case "SERVICE":
                return str(os.getpid())
            case _:
                return self.bait.get(name)

    async def run(
        self,
        script: str,
        arguments: tuple[str, ...] = (),
        *,
        cwd: str = ".",
        workspace: Path | None = None,
        scratch: Path | None = None,
        timeout: float = 20.0,
        limits: Limits | None = None,
        hand_on: bool = False,
        environment: Mapping[str, str] | None = None,
        output_kill: int = 64_000_000,
        writable: bool = True,
        extra_readonly: tuple[Path, ...] = (),
        settle: float = 0.0,
    ) -> Ran:
        """Run `script` in bash over the workspace: confined, or in the control as a plain child.

        `settle` is how long to wait, in seconds, before looking for what is left of it. `hand_on` and
        `environment` are for the control alone: what a careless service would have let its child inherit.
        """
        self.begin()
        argv = ("/bin/bash", "-c", script, "bash", *arguments)
        root = workspace or self.workspace
        before = descendants(os.getpid())
        began = time.monotonic()
        if self.backend is None:
            output, status = await asyncio.to_thread(
                self._plain, argv, root / cwd, timeout, hand_on=hand_on, environment=environment or {}
            )
            ran = Ran(output=output, exit_code=status, timed_out=status is None)
        else:
            sandbox = await self.stand.sandbox(self.backend, limits)
            command = Command(
                argv=argv,
                workspace=root,
                cwd=cwd,
                writable=writable,
                extra_readonly=extra_readonly,
                private_tmp=scratch or self.scratch,
                timeout_seconds=timeout,
                output_kill=output_kill,
            )
            ran = await _confined(sandbox, command)
        if ran.error is not None:
            self.refused.append(ran.error)
        self.said.append(ran.error or ran.kill_reason or ran.output[-600:].decode(errors="replace"))
        seconds = time.monotonic() - began
        await asyncio.sleep(settle)
        left = descendants(os.getpid()) - before
        return Ran(
            output=ran.output,
            exit_code=ran.exit_code,
            timed_out=ran.timed_out,
            kill_reason=ran.kill_reason,
            error=ran.error,
            left=frozenset(left),
            seconds=seconds,
        )

    async def plainly(self, script: str) -> Ran:
        """Run bash in the workspace as its owner, never confined: what somebody does before or after."""
        argv = ("/bin/bash", "-c", script)
        output, status = await asyncio.to_thread(
            self._plain, argv, self.workspace, 20.0, hand_on=False, environment={}
        )
        return Ran(output=output, exit_code=status)

    def start(self, running: Coroutine[object, object, Ran]) -> "asyncio.Task[Ran]":
        """Let a command run while the scene goes on."""
        return asyncio.get_running_loop().create_task(running)

    async def dial(self, port: int, *, seconds: float) -> bool:
        """Whether somebody answers on loopback within `seconds`; asked from outside."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return True
            await asyncio.sleep(0.05)
        return False

    async def tool(self, name: str, **arguments: Json) -> ToolResult:
        """Call one of the tools, as the loop does, over the workspace; never in a control."""
        assert self.backend is not None
        self.begin()
        with Workspace.open(self.workspace) as workspace:
            context = ToolContext(
                workspace=workspace,
                sandbox=await self.stand.sandbox(self.backend, None),
                scratch=self.scratch,
                seen=self.stand.seen,
            )
            result = await execute(name, arguments, context)
        for evidence in result.evidence:
            digest = getattr(evidence, "sha256", None) or getattr(evidence, "after", None)
            if digest:
                self.stand.seen[evidence.path] = digest  # type: ignore[union-attr]  # those two have a path
        self.said.append(str(result.content)[:600])
        return result

    def close(self) -> None:
        """End what is left and take everything away."""
        self.bait.clear()
        self.stand.seen.clear()
        end_strays()
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _plain(
        self,
        argv: tuple[str, ...],
        cwd: Path,
        timeout: float,
        *,
        hand_on: bool,
        environment: Mapping[str, str],
    ) -> tuple[bytes, int | None]:
        with tempfile.TemporaryFile() as output:  # a pipe would be held open by what outlives the command
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                env={
                    "PATH": "/usr/local/bin:/usr/bin:/bin",
                    "HOME": str(self.tmp),
                    "TMPDIR": str(self.tmp),
                    "LANG": "C.UTF-8",
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                close_fds=not hand_on,
                start_new_session=True,
                **identity(self.uid),
            )
            try:
                status: int | None = process.wait(timeout)
            except subprocess.TimeoutExpired:
                status = None
                process.kill()
                process.wait()
            output.seek(0)
            return output.read(_CONTROL_OUTPUT), status


def end_strays() -> None:
    """Kill every process beneath this one: it is a subreaper, so nothing of a trial is anywhere else."""
    while True:
        for pid in descendants(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


async def _confined(sandbox: Sandbox, command: Command) -> Ran:
    try:
        done = await sandbox.run(command)
    except SandboxUnavailable as error:
        return Ran(error=error.detail)
    return Ran(
        output=done.output,
        exit_code=done.exit_code,
        timed_out=done.timed_out,
        kill_reason=done.kill_reason,
    )


def _mentioned(code: str) -> list[str]:
    return list(dict.fromkeys(_MENTIONED.findall(code)))
