"""A worker in a process of its own that starts a background job through Bash, for tests that kill it.

Reads one JSON object from its argument: `private_root`, `prefer`, `workspace`, `command`. Prints what the
call said in one line, then waits for its end.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from flynn.sandbox.opening import open_sandbox
from flynn.tools.job import Jobs
from flynn.tools.tool import ToolContext
from flynn.tools.toolset import execute
from flynn.workspace.root import Workspace
from flynn.workspace.scratch import create_scratch


async def work(order: dict[str, Any]) -> None:
    private = Path(order["private_root"])
    sandbox = await open_sandbox(private_root=private, prefer=order["prefer"], silence_seconds=2.0)
    with Workspace.open(order["workspace"]) as workspace:
        async with Jobs(lambda: None) as jobs:
            context = ToolContext(
                workspace=workspace,
                sandbox=sandbox,
                scratch=create_scratch(private / "scratch", UUID(int=1)),
                jobs=jobs,
            )
            arguments = {"command": order["command"], "run_in_background": True}
            result = await execute("Bash", arguments, context)
            print(json.dumps(result.content), flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(json.loads(sys.argv[1])))
