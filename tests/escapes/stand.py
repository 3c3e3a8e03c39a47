"""Where attempts are made: a process that is the service, as root or as an ordinary user.

It opens the sandbox as the service does, reads orders (`{"attempt": …, "backend": …}`, one JSON object a
line; the backend null for the control) and answers each with `{"escaped": …, "said": …}`,
`{"absent": reason}` or `{"broken": traceback}`. Started with one JSON object as its argument: `household`,
`place` (a directory that every user can walk to), `uid` (whom commands run as) and `python` (an interpreter
that this uid can reach).
"""

import asyncio
import ctypes
import json
import os
import shutil
import sys
import traceback
from itertools import count
from pathlib import Path
from typing import Any, Final

from flynn.sandbox.command import Sandbox
from flynn.sandbox.limits import Limits
from flynn.sandbox.opening import Preference, open_sandbox
from flynn.workspace.scratch import remove_scratch
from tests.escapes.attempt import ATTEMPTS, NotHere
from tests.escapes.catalogue import load
from tests.escapes.scene import Scene

_PR_SET_CHILD_SUBREAPER: Final = 36
_LONGEST_SECONDS: Final = 100.0
"""Of one trial; below the limit of a test, so that an answer always comes."""


class Stand:
    """The service of one household, with both backends open."""

    def __init__(self, *, household: str, place: Path, uid: int, python: str) -> None:
        self.household = household
        self.place = place
        self.uid = uid
        self.python = python
        self.data = place / "data"
        self.data.mkdir(mode=0o700)
        self.seen: dict[str, str] = {}
        self.kernel: dict[str | None, dict[str, int]] = {}
        self._numbers = count()
        self._sandboxes: dict[tuple[str, Limits | None], Sandbox] = {}

    def new_place(self) -> Path:
        """A directory for one trial."""
        path = self.place / str(next(self._numbers))
        path.mkdir(mode=0o755)
        return path

    def new_scratch(self) -> Path:
        """The private directory of one conversation, where the service keeps them."""
        path = self.place / "private" / "scratch" / str(next(self._numbers))
        path.mkdir(mode=0o700, parents=True)
        return path

    def of_root(self, name: str) -> Path:
        """Something that only root can make: `id` becomes root, `cat` may read all, `secret` is root's."""
        path = self.place / "of-root" / name
        if not path.exists():
            raise NotHere("only a test that is root can make what belongs to root")
        return path

    async def sandbox(self, backend: str, limits: Limits | None) -> Sandbox:
        """The sandbox of `backend`, opened once."""
        key = (backend, limits)
        if key not in self._sandboxes:
            prefer: Preference = "bubblewrap" if backend == "bubblewrap" else "landlock"
            opened = await open_sandbox(
                private_root=self.place / "private", prefer=prefer, hidden=[self.data], limits=limits
            )
            if opened.report.backend != backend:
                raise NotHere(opened.report.reason or f"no {backend}")
            self._sandboxes[key] = opened
        return self._sandboxes[key]

    async def try_out(self, name: str, backend: str | None) -> dict[str, object]:
        """Make the attempt `name` once."""
        scene = Scene(self, backend)
        try:
            escaped = await asyncio.wait_for(ATTEMPTS[name].act(scene), _LONGEST_SECONDS)
        except NotHere as reason:
            return {"absent": str(reason)}
        except Exception:
            return {"broken": traceback.format_exc()[-3000:]}
        finally:
            scene.close()
        if scene.refused and not escaped:
            return {"broken": f"nothing was tried: {scene.refused}"}
        return {"escaped": escaped, "said": "\n".join(scene.said)[-1500:]}

    async def check(self, backend: str) -> dict[str, object]:
        """Whether code of attempts runs inside at all, in both forms: what is stopped must have begun."""
        scene = Scene(self, backend)
        try:
            scene.file("inside", scene.secret)
            shell = await scene.shell('cat inside && echo "$NONCE" > made && cat made')
            python = await scene.python('if call(39, 172) == os.getpid(): print(NONCE, open("made").read())')
            made = (scene.workspace / "made").read_text().strip()
        finally:
            scene.close()
        ran = scene.secret.encode() in shell.output and python.output.count(scene.nonce.encode()) == 2
        return {"ran": ran and made == scene.nonce, "said": "\n".join(scene.said)}

    async def report(self, backend: str) -> dict[str, object]:
        """What the sandbox says of itself."""
        try:
            report = (await self.sandbox(backend, None)).report
        except NotHere as reason:
            return {"absent": str(reason)}
        return {"missing": list(report.missing)}

    async def serve(self) -> None:
        """Answer orders until there are no more."""
        while line := await asyncio.to_thread(sys.stdin.readline):
            order: dict[str, Any] = json.loads(line)
            if "report" in order:
                answer = await self.report(order["report"])
            elif "check" in order:
                answer = await self.check(order["check"])
            else:
                answer = await self.try_out(order["attempt"], order["backend"])
            print(json.dumps(answer), flush=True)

    def clear(self) -> None:
        """Take everything away, however deep."""
        for path in self.place.iterdir():
            if path.is_dir() and not path.is_symlink() and path.stat().st_uid == os.geteuid():
                remove_scratch(path)
        shutil.rmtree(self.place, ignore_errors=True)


def main() -> None:
    """Be the service of a household."""
    order = json.loads(sys.argv[1])
    os.umask(0o022)
    # Nothing that a trial leaves behind can get away from here.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    load()
    stand = Stand(
        household=order["household"],
        place=Path(order["place"]),
        uid=order["uid"],
        python=order["python"],
    )
    try:
        asyncio.run(stand.serve())
    finally:
        stand.clear()


if __name__ == "__main__":
    main()
