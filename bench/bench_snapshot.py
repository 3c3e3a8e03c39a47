"""What a snapshot costs: a whole look over a tree of which little changed, and a look at one path.

    python -m bench.bench_snapshot [--files 20000] [--rounds 25]

The tree has 50 files of 200 bytes a directory. Each round changes three files, as a command might, and then
looks at everything; then one file, as Write does, and looks at that. A plain walk (scandir and lstat of
every name, nothing kept) says what the machine takes for that alone, in turns with the others. Beside them:
the very first snapshot, the first look of a later run, the difference of two trees with its text, and
bytes of the store.
Prints a Markdown table of medians with the tenth and ninetieth percentiles, and the ratio look / plain walk.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

from flynn.agent.changes import tell
from flynn.workspace.root import Workspace
from flynn.workspace.snapshots.snapshots import Snapshots


def plant(root: Path, files: int) -> list[Path]:
    found: list[Path] = []
    for number in range(files):
        target = root / f"package{number // 1000:03}" / f"part{number // 50 % 20:02}" / f"file{number}.py"
        if number % 50 == 0:
            target.parent.mkdir(parents=True)
        target.write_text(f"value = {number}\n" * 12)
        found.append(target)
    return found


def plain_walk(directory: str) -> int:
    count = 0
    with os.scandir(directory) as entries:
        for entry in list(entries):
            entry.stat(follow_symlinks=False)
            count += 1
            if entry.is_dir(follow_symlinks=False):
                count += plain_walk(entry.path)
    return count


def timed(act: Callable[[], object]) -> float:
    """Milliseconds that `act` took."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def told(snapshots: Snapshots, before: str, after: str) -> None:
    tell(snapshots.changes(before, after), snapshots)


def row(name: str, times: list[float]) -> str:
    tenths = statistics.quantiles(times, n=10) if len(times) > 1 else [times[0]] * 9
    return f"| {name} | {statistics.median(times):.1f} | {tenths[0]:.1f} | {tenths[-1]:.1f} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as base:
        root, store = Path(base) / "workspace", Path(base) / "store"
        root.mkdir()
        files = plant(root, options.files)
        times: dict[str, list[float]] = {
            name: [] for name in ("plain walk", "whole look", "one path", "told")
        }
        with Workspace.open(root) as workspace:
            snapshots = Snapshots(workspace, store, key="main", run_id=uuid4(), most_bytes=2**32)
            first = timed(lambda: snapshots.begin(0))
            held = sum(path.stat().st_size for path in (store / "packs").iterdir())
            time.sleep(0.2)
            snapshots.look()
            for number in range(options.rounds):
                before = snapshots.look().tree
                for place in range(3):
                    files[(number * 977 + place * 31) % len(files)].write_text(f"round = {number}\n")
                times["plain walk"].append(timed(lambda: plain_walk(str(root))))
                times["whole look"].append(timed(snapshots.look))
                after = snapshots.look().tree
                times["told"].append(timed(partial(told, snapshots, before, after)))
                path = files[(number * 641) % len(files)]
                path.write_text(f"written = {number}\n")
                times["one path"].append(timed(partial(snapshots.look, str(path.relative_to(root)))))
            snapshots.close()
            later = Snapshots(workspace, store, key="main", run_id=uuid4(), most_bytes=2**32)
            again = timed(lambda: later.begin(1))
            later.close()
    print(f"{options.files:,} files, {platform.machine()}, Python {platform.python_version()}\n")
    print("| ms | median | p10 | p90 |\n|---|---|---|---|")
    print(row("plain walk: scandir and lstat of every name", times["plain walk"]))
    print(row("after a command: a look at everything, 3 files changed", times["whole look"]))
    print(row("after Write or Edit: a look at one path", times["one path"]))
    print(row("the difference of the two trees, and its text", times["told"]))
    print(row("the very first snapshot of a workspace", [first]))
    print(row("the first look of a later run", [again]))
    ratios = [a / b for a, b in zip(times["whole look"], times["plain walk"], strict=True)]
    print(f"\nlook / plain walk: {statistics.median(ratios):.2f}; first snapshot on the disk: {held:,} bytes")


if __name__ == "__main__":
    main()
