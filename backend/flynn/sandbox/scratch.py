"""Temporary directories of commands where there is no private /tmp: TMPDIR leads there."""

import os
import tempfile
from pathlib import Path

from flynn.sandbox.command import Command
from flynn.sandbox.view import walkable


def temporary_directory(
    command: Command, identity: tuple[int, int] | None, private_root: Path
) -> tuple[Path, Path | None]:
    """The directory for `command`, and the same again where it is to be removed after the command.

    That of the conversation, or a new one where there is none or `identity`, a (uid, gid), cannot walk to
    it.
    """
    if command.private_tmp is not None and (identity is None or walkable(command.private_tmp, identity)):
        if identity is not None:
            os.chown(command.private_tmp, *identity, follow_symlinks=False)
        return command.private_tmp.resolve(), None
    # Another uid cannot walk into the service's own directories.
    parent = private_root if identity is None else None
    scratch = Path(tempfile.mkdtemp(prefix="flynn-", dir=parent)).resolve()
    if identity is not None:
        os.chown(scratch, *identity)
    return scratch, scratch
