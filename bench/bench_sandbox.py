"""What a sandbox costs: `true`, over and over, in each backend of this machine and without any.

    python bench/bench_sandbox.py [--rounds 200]

Milliseconds from the call of `run` to the proof that the tree is gone, one command after the other; the
backends take turns, so that a busy moment of the machine falls on all of them. Also how long opening
(with its probe) takes. Prints a Markdown table.
"""

import argparse
import asyncio
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from flynn.sandbox.command import Command, Sandbox
from flynn.sandbox.opening import Preference, open_sandbox

TRUE = "/usr/bin/true"
WARM_UP = 5

Round = Callable[[], Awaitable[object]]


async def plain() -> None:
    """The same program with nothing around it."""
    process = await asyncio.create_subprocess_exec(TRUE, stdin=asyncio.subprocess.DEVNULL)
    await process.wait()


def sandboxed(sandbox: Sandbox, workspace: Path) -> Round:
    command = Command(argv=(TRUE,), workspace=workspace)
    return lambda: sandbox.run(command)


async def milliseconds(round_of_one: Round) -> float:
    started = time.perf_counter()
    await round_of_one()
    return (time.perf_counter() - started) * 1000


def row(name: str, samples: list[float]) -> str:
    tenths = statistics.quantiles(samples, n=10)
    figures = (statistics.median(samples), tenths[0], tenths[8], min(samples), max(samples))
    return f"| {name} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |"


async def measure(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        workspace = Path(directory) / "workspace"
        workspace.mkdir()
        contenders: dict[str, Round] = {"plain subprocess": plain}
        samples: dict[str, list[float]] = {}
        backends: tuple[Preference, ...] = ("bubblewrap", "landlock")
        for backend in backends:

            async def opening(backend: Preference = backend) -> Sandbox:
                return await open_sandbox(private_root=Path(directory) / "private", prefer=backend)

            sandbox = await opening()
            if sandbox.report.backend is None:
                print(f"{backend} is left out: {sandbox.report.reason}")
                continue
            contenders[backend] = sandboxed(sandbox, workspace)
            samples[f"open {backend}"] = [await milliseconds(opening) for _ in range(10)]
        for name, round_of_one in contenders.items():
            samples[name] = []
            for _ in range(WARM_UP):
                await round_of_one()
        for _ in range(rounds):
            for name, round_of_one in contenders.items():
                samples[name].append(await milliseconds(round_of_one))
    print(
        f"Linux {platform.release()}, {platform.machine()}, Python {platform.python_version()}, "
        f"{rounds} rounds"
    )
    print("\n| ms | median | 10 % | 90 % | least | most |\n|---|---|---|---|---|---|")
    for name, values in samples.items():
        print(row(name, values))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=200)
    asyncio.run(measure(parser.parse_args().rounds))
