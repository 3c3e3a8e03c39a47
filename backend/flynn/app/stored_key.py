"""The stored key: the model's key in a file of the data directory, for whoever gave it on the page.

The file (0600) has the key in its first line and the address that it is for in its second: it is sent
nowhere else, whatever ANTHROPIC_BASE_URL says later. A file with the key alone is for any address. All
processes of the data directory have it: each looks whether the file is another before it uses the key.

It is written whole before it has its name: a draft of its own for each writing, which is locked for as long
as its writer lives, so that one that a kill left behind is known and removed.
"""

import errno
import fcntl
import os
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from flynn.domain.errors import Unavailable
from flynn.telemetry.logging import get_logger
from flynn.telemetry.redaction import register_secret

STORED_KEY = "anthropic.key"
_DRAFT = f".{STORED_KEY}."

_log = get_logger("flynn.model-key")

Sign = tuple[int, int, int]
"""By what a file is told from another: inode, time of its last change in nanoseconds, size in bytes."""


class StoredKey:
    """The key of `data_dir` for `address`. What is read is kept out of logs and of what is shown."""

    def __init__(self, data_dir: Path, address: str) -> None:
        self.path = data_dir / STORED_KEY
        self._address = address
        self._sign: Sign | None = None
        self._key: str | None = None

    def read(self) -> str | None:
        """The key; None where there is none for this address. Looks at the file's sign each time."""
        try:
            status = self.path.stat()
            sign = (status.st_ino, status.st_mtime_ns, status.st_size)
            if sign != self._sign:
                self._key = self._parse(self.path.read_text(encoding="utf-8"))
                self._sign = sign
        except FileNotFoundError:
            self._sign = self._key = None
        except (OSError, ValueError) as error:
            _log.error("the stored key of the model's API cannot be read", error=type(error).__name__)
            self._sign = self._key = None
        return self._key

    def stored_at(self) -> datetime | None:
        """When the key was stored; None without one."""
        try:
            return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)
        except OSError:
            return None

    def open_to_others(self) -> bool:
        """Whether other users of the machine may read the file, which it is never written like."""
        try:
            return bool(self.path.stat().st_mode & 0o077)
        except OSError:
            return False

    def write(self, key: str) -> None:
        """Keep `key`, in the place of what was there. Raises Unavailable when the disk does not take it."""
        register_secret(key)
        draft = self.path.with_name(f"{_DRAFT}{secrets.token_hex(8)}")
        try:
            try:
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                    os.fchmod(descriptor, 0o600)
                    file.write(f"{key}\n{self._address}\n")
                    file.flush()
                    os.fsync(descriptor)
                    draft.replace(self.path)
            finally:
                draft.unlink(missing_ok=True)
            self._settle()
        except OSError as error:
            raise Unavailable(f"The key cannot be kept in the data directory: {error.strerror}.") from error

    def remove(self) -> bool:
        """Forget the key; False when there was none. Raises Unavailable when the disk does not let go."""
        try:
            there = self.path.exists()
            self.path.unlink(missing_ok=True)
            self._remove_drafts()
            if there:
                self._settle()
        except OSError as error:
            raise Unavailable(f"The stored key cannot be removed: {error.strerror}.") from error
        return there

    def sweep(self) -> None:
        """Remove the drafts of writers that were killed. What cannot be removed is said in the log."""
        try:
            self._remove_drafts()
        except OSError as error:
            _log.warning("a draft of a key that was left behind cannot be removed", error=error.strerror)

    def _remove_drafts(self) -> None:
        for draft in self.path.parent.glob(f"{_DRAFT}*"):
            with suppress(FileNotFoundError, BlockingIOError), draft.open("r+b") as file:
                # An empty one holds nothing, and its writer may be about to lock it.
                if os.fstat(file.fileno()).st_size:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    draft.unlink()

    def _settle(self) -> None:
        """Make the name durable, as the content is."""
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        except OSError as error:
            # Some file systems (FUSE, network) cannot flush a directory.
            if error.errno != errno.EINVAL:
                raise
        finally:
            os.close(directory)

    def _parse(self, text: str) -> str | None:
        key, _, rest = text.strip().partition("\n")
        key, address = key.strip(), rest.strip()
        if not key:
            return None
        register_secret(key)
        if address not in ("", self._address):
            _log.warning(
                "the stored key is for another address than ANTHROPIC_BASE_URL, and is not used",
                stored_for=address,
                address=self._address,
            )
            return None
        return key
