"""One launch: the arguments, descriptors and identity with which a supervised tree is started.

Policy and launcher travel as sealed anonymous files: nothing of either is on a disk, in a command line
or reachable for whoever could write a directory.
"""

import fcntl
import importlib.util
import marshal
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flynn.sandbox.user_mapping import UserMapping

_SEALS: Final = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
LAUNCHER: Final = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to spawn. `descriptors` are handed on, `own` are closed once the process runs.

    `mapping` is what bubblewrap's user namespace waits for. `scratch` is a directory to remove after the
    run.
    """

    argv: tuple[str, ...]
    descriptors: tuple[int, ...]
    own: tuple[int, ...]
    mapping: UserMapping | None = None
    scratch: Path | None = None

    def close(self) -> None:
        """Close the descriptors that belong to this launch alone."""
        for descriptor in self.own:
            os.close(descriptor)


def sealed_file(name: str, content: bytes) -> int:
    """A descriptor of an anonymous file that holds `content` and can never change; the caller closes it."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor


def compiled_launcher() -> bytes:
    """The launcher as byte code: compiling it at each start would cost more than all that it does."""
    code = compile(LAUNCHER.read_bytes(), "launcher.py", "exec", dont_inherit=True, optimize=2)
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)
