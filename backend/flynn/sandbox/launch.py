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
from types import CodeType
from typing import Final

from flynn.sandbox.user_mapping import UserMapping

_SEALS: Final = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
_PARTS: Final = (
    *("kernel", "file_rules", "handover", "confinement", "process_tree", "metadata", "holding", "excess"),
)
"""What the launcher imports, in an order in which each needs only what came before."""


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
    """The launcher as one file of byte code: compiling it at each start would cost more than all it does.

    Its parts are put into `sys.modules` under their own names before the launcher itself runs.
    """
    parts = [(f"{__package__}.{name}", marshal.dumps(_compiled(name))) for name in _PARTS]
    start = (
        "import marshal, sys\n"
        f"for name, code in {parts!r}:\n"
        "    sys.modules[name] = module = type(sys)(name)\n"
        "    exec(marshal.loads(code), module.__dict__)\n"
        f"exec(marshal.loads({marshal.dumps(_compiled('launcher'))!r}))\n"
    )
    code = compile(start, "launcher", "exec", dont_inherit=True)
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)


def _compiled(name: str) -> CodeType:
    source = Path(__file__).with_name(f"{name}.py").read_bytes()
    return compile(source, f"{name}.py", "exec", dont_inherit=True, optimize=2)
