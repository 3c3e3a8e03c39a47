"""The workshop: runs our own programs over a hostile file, in the sandbox.

Images and documents are decoded there and nowhere else. What comes back is bounded, and is as little
trusted as the file was.
"""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from weakref import WeakKeyDictionary

import orjson

from flynn.domain.content import Json
from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command
from flynn.tools.material import Material
from flynn.tools.tool import ToolContext

TIMEOUT_SECONDS = 30.0
AT_ONCE = 3
"""Programs that run at the same time: each may take gigabytes of memory before it is stopped."""
_ANSWER: Final = 16_384
"""Bytes of the line before the result."""
_INSIDE: Final = Path(__file__).parent / "inside"


_benches: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
"""A semaphore belongs to an event loop, of which a service has one."""


@dataclass(frozen=True, slots=True)
class Made:
    """What the program answered, an object of its own making, and the bytes that it made."""

    answer: dict[str, Json]
    data: bytes

    def number(self, name: str) -> int:
        """A number of the answer; 0 where there is none that makes sense."""
        value = self.answer.get(name)
        return value if type(value) is int and 0 <= value < 2**31 else 0


@dataclass(frozen=True, slots=True)
class NotMade:
    """There is no result: `reason` ends a sentence. `closed` when it is the machine's fault."""

    reason: str
    closed: bool = False


async def work(
    context: ToolContext,
    program: Literal["picture", "pages"],
    material: Material,
    *numbers: int,
    largest: int,
) -> Made | NotMade:
    """Run `program` on `material`; its result may have `largest` bytes."""
    source = (_INSIDE / f"{program}.py").read_text()
    place = "tmp" if material.private else "workspace"
    # The link of a virtual environment, not what it leads to: its packages go by the link.
    argv = (sys.executable, "-I", "-c", source, place, material.relative, *map(str, numbers))
    command = Command(
        argv=argv,
        workspace=context.workspace.path,
        writable=False,
        private_tmp=context.scratch if material.private else None,
        timeout_seconds=TIMEOUT_SECONDS,
        deadline=context.deadline,
        output_limit=2 * (largest + _ANSWER),
        output_kill=2 * (largest + _ANSWER),
        merge_output=False,
    )
    bench = _benches.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
    try:
        async with bench:
            done = await context.sandbox.run(command)
    except SandboxUnavailable as error:
        return NotMade(f"that needs the sandbox, and there is none: {error.detail.rstrip('.')}", closed=True)
    if done.timed_out:
        return NotMade(f"it was not done after {TIMEOUT_SECONDS:g} s; ask for less of it")
    if done.exit_code != 0:
        return NotMade("the program that does it does not run in the sandbox of this machine", closed=True)
    line, _, data = done.output.partition(b"\n")
    answer = _parsed(line)
    if answer is None or done.output_cut or len(data) > largest:
        return NotMade("what came of it makes no sense")
    if "failure" not in answer and answer.get("sha256") != material.content.sha256:
        return NotMade("the file was changed meanwhile; read it again")
    return Made(answer, data)


def _parsed(line: bytes) -> dict[str, Json] | None:
    try:
        answer = orjson.loads(line) if len(line) <= _ANSWER else None
    except orjson.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else None
