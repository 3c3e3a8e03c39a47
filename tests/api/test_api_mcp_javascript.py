"""MCP's official TypeScript client delegates to the whole service, in both generations of the protocol."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.api.whole.doors import Doors, open_doors
from tests.conftest import ROOT
from tests.node import client_modules, node

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("javascript", "bubblewrap"),
    pytest.mark.asyncio(loop_scope="module"),
]

PROGRAM = Path(__file__).with_name("mcp_client.cjs")
SCRIPT = """
name: probe
match: liveness probe
turns:
  - blocks:
      - {tool: Write, input: {file_path: probe.sh, content: "#!/bin/sh\\necho well\\n"}}
      - {tool: Bash, input: {command: sh probe.sh, description: Run the probe}}
  - blocks: [{text: The probe answers.}]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    async with open_doors(tmp_path_factory.mktemp("mcp"), script=SCRIPT) as opened:
        yield opened


async def play(url: str, token: str, mode: str, **order: Any) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the client."""
    modules = await asyncio.to_thread(client_modules, ROOT)
    process = await asyncio.create_subprocess_exec(
        node(),
        str(PROGRAM),
        json.dumps({"url": f"{url}/mcp", "token": token, "order": order, "mode": mode}),
        env={"NODE_PATH": str(modules)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_a_task_is_delegated_waited_for_and_its_report_read(
    doors: Doors, mode: str, version: str
) -> None:
    token = await doors.key(f"quorra-{mode}", "delegate")
    made = await doors.owner.post("/api/v1/workspaces", json={"name": mode})
    assert made.status_code == 201, made.text
    member = f"/api/v1/workspaces/{made.json()['id']}/members/quorra-{mode}"
    assert (await doors.owner.put(member)).is_success
    order = {"instructions": "Write a liveness probe", "workspace": mode, "idempotency_key": mode}
    code, out, errors = await play(doors.url, token, mode, **order)
    assert (code, errors) == (0, "")
    heard = json.loads(out)
    assert heard["version"] == version
    assert "delegate_task" in heard["tools"]
    assert (heard["status"]["state"], heard["status"]["over"]) == ("completed", True)
    evidence = heard["report"]["evidence"]
    [file] = evidence["files"]
    left = Path(made.json()["path"]) / "probe.sh"
    assert (file["path"], file["after"]) == ("probe.sh", hashlib.sha256(left.read_bytes()).hexdigest())
    assert [command["exit_code"] for command in evidence["commands"]] == [0]
    assert heard["report"]["prose"] == "The probe answers."
    answer = await doors.owner.get(f"/api/v1/tasks/{heard['delegated']['task_id']}/report")
    assert answer.json() == heard["report"]

    code, out, _ = await play(doors.url, token, mode, **order)
    again = json.loads(out)["delegated"]
    assert (code, again["already"], again["task_id"]) == (0, True, heard["delegated"]["task_id"])


async def test_what_is_refused_is_told(doors: Doors) -> None:
    token = await doors.key("flynns-friend", "delegate")
    code, out, _ = await play(doors.url, token, "auto", instructions="x", workspace="no")
    assert (code, "no" in json.loads(out)["delegated"]["refused"]) == (0, True)
    code, _, errors = await play(doors.url, "fly_no", "auto", instructions="x")
    assert (code, bool(errors)) == (1, True)
