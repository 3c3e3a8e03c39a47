"""A checkout of its own, made as the documents say, in which their blocks of commands are run.

What the first start would install is linked from the checkout of the tests: tests/scripts covers installing,
scripts/first-five-minutes.sh times it.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.conftest import Reader
from tests.conftest import ROOT
from tests.docs.blocks import ADDRESS, Block
from tests.loopback import free_port

_PROGRAM = """#!{python}
from flynn.cli import main
main()
"""


@dataclass
class Checkout:
    """The directory `place` in which somebody types; `path` is the checkout once it is cloned."""

    place: Path
    port: int = field(default_factory=free_port)
    variables: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.place / "flynn"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def text(self, block: Block, instead: Mapping[str, str] | None = None) -> str:
        """A block as it is typed here. Each word of `instead` must be in it."""
        text = block.text.replace(ADDRESS, self.url)
        for word, other in (instead or {}).items():
            assert word in text, f"{block.document}:{block.line} has no {word}"
            text = text.replace(word, other)
        return text

    def type(
        self,
        block: Block,
        instead: Mapping[str, str] | None = None,
        *,
        status: int = 0,
        at: Path | None = None,
    ) -> str:
        """Run a block; gives what it printed. Its last command must end with `status`."""
        done = subprocess.run(
            ["bash", "-eu", "-c", self.text(block, instead)],
            cwd=at or self.path,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == status, f"{block.name}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, block: Block, instead: Mapping[str, str] | None = None) -> Reader:
        """Run a block that stays; what it prints is read meanwhile."""
        process = subprocess.Popen(
            ["bash", "-eu", "-c", self.text(block, instead)],
            cwd=self.path,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        # A shell would notice its end at once; whoever stops the service waits for that.
        threading.Thread(target=process.wait, daemon=True).start()
        return Reader(process)

    def environment(self) -> dict[str, str]:
        """Nothing of the settings of whoever runs the tests, but a port that is free."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("FLYNN_", "ANTHROPIC_"))}
        for name in ("DATABASE_URL", "REDIS_URL", "POSTGRES_PASSWORD", "LOG_LEVEL"):
            kept.pop(name, None)
        return {**kept, "FLYNN_PORT": str(self.port), **self.variables}

    def set_up(self) -> None:
        """Bring what is not committed yet, and what the first start would install.

        The page is left out, since building it takes as long as all else together.
        """
        for name in _changed():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
        shutil.rmtree(self.path / "console")
        venv = self.path / ".venv"
        shutil.copytree(Path(sys.executable).parent.parent, venv, symlinks=True, copy_function=_link)
        _write(venv / "bin" / "flynn", _PROGRAM.format(python=venv / "bin" / "python"))
        (venv / "bin" / "flynn").chmod(0o755)
        for found in (venv / "lib").glob("python*/site-packages/*flynn*.pth"):
            _write(found, str(self.path / "backend"))
        digest = 'eval "$(sed -n "/^digest()/,/^}/p" scripts/setup.sh)"; echo "runtime $(digest)"'
        wanted = subprocess.run(
            ["bash", "-euc", digest], cwd=self.path, capture_output=True, text=True, check=True
        ).stdout
        _write(venv / ".set-up", wanted)

    def close(self) -> None:
        """End what was started, and all that it started."""
        for process in self.started:
            try:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            except ProcessLookupError:
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


@contextmanager
def checkout_in(place: Path) -> Iterator[Checkout]:
    """An empty directory to type in; what was started is ended."""
    made = Checkout(place)
    try:
        yield made
    finally:
        made.close()


def _changed() -> list[str]:
    """Files that differ from the last commit, or are new."""
    done = subprocess.run(
        ["git", "ls-files", "--modified", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def _link(source: str, target: str) -> str:
    """Link a file, or copy it where that cannot be."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
    return target


def _write(path: Path, text: str) -> None:
    """Write a file anew: the one that is there may be a link to that of the tests."""
    path.unlink(missing_ok=True)
    path.write_text(text)
