"""What searching costs: Grep against ripgrep itself, Glob over 100,000 files, redaction of a log.

    python -m bench.bench_search [--rounds 15]

Grep runs over 5,000 files of 12 kB, once for a word that is rare and once for one that is everywhere; raw
is the same program with the same pattern as a plain subprocess. What the sandbox costs is measured with
`true`, in turns with the others. Glob runs over 100,000 files in 1,000 directories. Redaction takes 1 MB of
log lines without and with secrets. Prints a Markdown table and, for Grep, the ratio
(Grep - start of the sandbox) / raw.
"""

import argparse
import asyncio
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from uuid import uuid4

from flynn.domain.content import Json
from flynn.sandbox.command import Command, Sandbox
from flynn.sandbox.opening import open_sandbox
from flynn.telemetry.redaction import redact
from flynn.tools.ripgrep import ripgrep
from flynn.tools.tool import ToolContext
from flynn.tools.toolset import execute
from flynn.workspace.root import Workspace
from flynn.workspace.scratch import create_scratch

SOURCES, SOURCE_BYTES = 5_000, 12_000
NAMES = 100_000
WORDS = ("return", "import", "self", "value", "context", "workspace", "the", "of", "and", "error", "result")

Round = Callable[[], Awaitable[object]]


def plant_sources(root: Path) -> None:
    random = Random(1)
    for number in range(SOURCES):
        lines: list[str] = []
        size = 0
        while size < SOURCE_BYTES:
            lines.append(" ".join(random.choices(WORDS, k=8)))
            size += len(lines[-1]) + 1
        if number % 100 == 0:
            lines.append("an unmistakable needle")
        target = root / f"package{number // 50:03}" / f"module{number:05}.py"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(lines) + "\n")


def plant_names(root: Path) -> None:
    for number in range(NAMES):
        target = root / f"package{number // 1000:03}" / f"part{number // 100 % 10}"
        if number % 100 == 0:
            target.mkdir(parents=True)
        (target / f"file{number:06}.{('py', 'txt', 'md', 'yml')[number % 4]}").touch()


async def raw(root: Path, pattern: str) -> None:
    """ripgrep as anybody would start it."""
    process = await asyncio.create_subprocess_exec(
        str(ripgrep()),
        "--files-with-matches",
        "--hidden",
        "--regexp",
        pattern,
        "./",
        cwd=root,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    await process.communicate()


def tool(context: ToolContext, name: str, **arguments: Json) -> Round:
    return lambda: execute(name, arguments, context)


def start(sandbox: Sandbox, root: Path) -> Round:
    command = Command(argv=("/usr/bin/true",), workspace=root, writable=False, merge_output=False)
    return lambda: sandbox.run(command)


async def milliseconds(round_of_one: Round) -> float:
    started = time.perf_counter()
    await round_of_one()
    return (time.perf_counter() - started) * 1000


async def in_turns(contenders: dict[str, Round], rounds: int) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, round_of_one in contenders.items():
            taken = await milliseconds(round_of_one)
            if number:  # the first one warms up
                samples[name].append(taken)
    return samples


def row(name: str, samples: list[float]) -> str:
    parts = statistics.quantiles(samples, n=20)
    return f"| {name} | {statistics.median(samples):.1f} | {parts[0]:.1f}-{parts[-1]:.1f} | {len(samples)} |"


def log_lines(secret: str) -> str:
    """1 MB of log."""
    random = Random(2)
    lines: list[str] = []
    size = 0
    while size < 1_000_000:
        ids = f"run={random.getrandbits(128):032x} digest=sha256:{random.getrandbits(256):064x}"
        lines.append(f"2026-11-25T10:00:00.000Z info flynn.worker step finished {ids} {secret}")
        size += len(lines[-1]) + 1
    return "\n".join(lines)


def redaction(text: str) -> Round:
    async def act() -> str:
        return redact(text)

    return act


def copying(text: str) -> Round:
    async def act() -> bytes:
        return text.replace("\0", "").encode()

    return act


async def measure(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        sandbox = await open_sandbox(private_root=place / "private")
        if sandbox.report.backend is None:
            raise SystemExit(f"no sandbox here: {sandbox.report.reason}")
        scratch = create_scratch(place / "scratch", uuid4())
        samples: dict[str, list[float]] = {}
        (place / "sources").mkdir()
        plant_sources(place / "sources")
        with Workspace.open(place / "sources") as workspace:
            context = ToolContext(workspace=workspace, sandbox=sandbox, scratch=scratch)
            samples |= await in_turns(
                {
                    "start of the sandbox": start(sandbox, workspace.path),
                    "raw rg, 50 files match": lambda: raw(workspace.path, "unmistakable"),
                    "Grep, 50 files match": tool(context, "Grep", pattern="unmistakable"),
                    "raw rg, 5,000 files match": lambda: raw(workspace.path, r"\bworkspace\b"),
                    "Grep, 5,000 files match": tool(context, "Grep", pattern=r"\bworkspace\b"),
                },
                rounds,
            )
        (place / "names").mkdir()
        plant_names(place / "names")
        with Workspace.open(place / "names") as workspace:
            context = ToolContext(workspace=workspace, sandbox=sandbox, scratch=scratch)
            samples |= await in_turns(
                {
                    "Glob `package042/**` over 100,000 files": tool(context, "Glob", pattern="package042/**"),
                    "Glob `**/*.py` over 100,000 files": tool(context, "Glob", pattern="**/*.py"),
                    "Glob `*` over 100,000 files": tool(context, "Glob", pattern="*"),
                },
                rounds,
            )
        plain, leaky = log_lines("ok"), log_lines("token=" + "ghp_" + "a1B2" * 9)
        samples |= await in_turns(
            {
                "redaction of 1 MB of log": redaction(plain),
                "the same, a token in each line": redaction(leaky),
                "copying and encoding it": copying(plain),
            },
            rounds,
        )
    print(
        f"Linux {platform.release()}, {platform.machine()}, Python {platform.python_version()}, "
        f"{sandbox.report.backend}, {rounds} rounds"
    )
    print("\n| ms | median | 5th-95th percentile | n |\n|---|---|---|---|")
    for name, values in samples.items():
        print(row(name, values))
    begun = statistics.median(samples["start of the sandbox"])
    for matches in ("50", "5,000"):
        found = statistics.median(samples[f"Grep, {matches} files match"]) - begun
        ratio = found / statistics.median(samples[f"raw rg, {matches} files match"])
        print(f"\nGrep, {matches} files match: {ratio:.2f} times raw rg, plus the sandbox's start")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    asyncio.run(measure(parser.parse_args().rounds))
