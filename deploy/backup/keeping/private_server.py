"""A PostgreSQL server over a cluster of our own, on a socket that nobody else can reach.

It is the server of this image, hence the one whose files it reads. It opens no port, ships no log, and ends
with the block that started it.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flynn.domain.errors import FlynnError

PORT = 54329
"""In the name of the socket; no port is opened."""

SHUTDOWN_SECONDS = 300.0

_ACCOUNTS = ("barman", "postgres", "nobody")


class RecoveryFailed(FlynnError):
    """The state that was asked for cannot be made; `detail` says why. Nothing was replaced."""

    code = "recovery-failed"
    title = "The backup cannot be restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateServer:
    """A server that was started, and may have ended by itself."""

    process: "subprocess.Popen[bytes]"
    socket: Path
    log: Path

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    @property
    def said(self) -> str:
        """All that it has written to its log."""
        return self.log.read_text(errors="replace")

    @property
    def last_word(self) -> str:
        """The first thing that it could not live with, else the last line of its log."""
        lines = self.said.strip().splitlines() or ["it said nothing"]
        return next((line for line in lines if "FATAL:" in line or "PANIC:" in line), lines[-1])

    def shut_down(self) -> None:
        """End it in order. Raises RecoveryFailed when it does not. Blocks."""
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            raise RecoveryFailed(f"The restored database does not shut down: {self.last_word}")


@contextmanager
def private_server(cluster: Path) -> Iterator[PrivateServer]:
    """One over `cluster`. Raises RecoveryFailed when there is no program for it, OSError."""
    program = shutil.which("postgres")
    if program is None:
        raise RecoveryFailed("There is no program postgres here to replay the log with.")
    account = _account()
    with tempfile.TemporaryDirectory(prefix="flynn-recovery-") as name:
        socket = Path(name)
        rules, log = socket / "pg_hba.conf", socket / "log"
        # The socket's directory is private; whoever reaches it may do all.
        rules.write_text("local all all trust\n")
        log.touch()
        _give([cluster, socket], account)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(socket),
            "port": str(PORT),
            "hba_file": str(rules),
            "ssl": "off",
            "archive_mode": "off",
            "logging_collector": "off",
            "log_destination": "stderr",
            "lc_messages": "C",
            "log_timezone": "UTC",
            "log_startup_progress_interval": "1s",
            # Nobody reads while it replays; so the settings of the database's own server need not be known.
            "hot_standby": "off",
            "shared_preload_libraries": "",
        }
        with log.open("ab") as file:
            process = subprocess.Popen(
                [program, "-D", str(cluster), *(f"--{key}={value}" for key, value in settings.items())],
                cwd=cluster,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                user=account[0] if account else None,
                group=account[1] if account else None,
                extra_groups=[] if account else None,
            )
        try:
            yield PrivateServer(process=process, socket=socket, log=log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGQUIT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                if process.poll() is None:
                    process.kill()
                    process.wait()
            if account is not None:
                _give([cluster], (os.geteuid(), os.getegid()))


def _account() -> tuple[int, int] | None:
    """Whom the server runs as when we are root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise RecoveryFailed("PostgreSQL refuses to run as root, and there is no user to run it as here.")


def _give(trees: list[Path], account: tuple[int, int] | None) -> None:
    if account is None:
        return
    for tree in trees:
        for folder, _, names in os.walk(tree):
            for path in (Path(folder), *(Path(folder, name) for name in names)):
                os.chown(path, *account, follow_symlinks=False)
