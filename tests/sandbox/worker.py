"""A worker in a process of its own, for tests that kill or stop it or run it as another user.

Reads one JSON object from its argument: `private_root`, `prefer`, `workspace`, `script`, `silence`.
Prints one JSON object. Needs nothing but the sandbox room, so that any Python can run it.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from flynn.domain.errors import SandboxUnavailable
from flynn.sandbox.command import Command
from flynn.sandbox.opening import open_sandbox


async def work(order: dict[str, Any]) -> dict[str, object]:
    sandbox = await open_sandbox(
        private_root=Path(order["private_root"]),
        prefer=order["prefer"],
        silence_seconds=order.get("silence", 10.0),
    )
    report = sandbox.report
    answer: dict[str, object] = {"backend": report.backend, "reason": report.reason}
    answer["missing"] = report.missing
    try:
        argv = ("/bin/bash", "-c", order["script"])
        done = await sandbox.run(Command(argv=argv, workspace=Path(order["workspace"])))
    except SandboxUnavailable as error:
        return {**answer, "error": error.detail}
    return {**answer, "exit_code": done.exit_code, "output": done.output.decode(errors="replace")}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(work(json.loads(sys.argv[1])))))
