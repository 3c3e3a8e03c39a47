"""The example Quorra delegates two dependent tasks to a real service and reads their reports."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.api.whole.doors import open_doors
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


async def quorra(url: str, key: str, errand: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(ROOT / "examples" / "quorra" / "quorra.py"),
        env={"FLYNN_URL": url, "FLYNN_KEY": key, "QUORRA_ERRAND": errand},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_two_tasks_are_delegated_and_their_reports_read(tmp_path: Path) -> None:
    async with open_doors(tmp_path) as doors:
        key = await doors.key("quorra", "delegate")
        code, said = await quorra(doors.url, key, "one")
        assert code == 0, said
        lines = said.splitlines()
        assert [line for line in lines if not line.startswith(" ")] == [
            "Take stock: completed",
            "Mend the first: completed",
        ]
        assert said.count("It says: All is well.") == 2
        assert (await quorra(doors.url, key, "one")) == (code, said), "the same errand is the same tasks"
        listed = (await doors.owner.get("/api/v1/tasks")).json()["items"]
        assert [task["title"] for task in listed] == ["Mend the first", "Take stock"]
        told = [e["data"] for e in await doors.seen(listed[0]["conversation_id"]) if e["type"] == "message.sent"]
        assert "All is well." in told[1]["text"], "the second knows what the first said"
        code, said = await quorra(doors.url, "fly_no", "two")
        assert (code, "A key is needed" in said) == (1, True)
    code, said = await quorra(doors.url, "fly_no", "two")
    assert (code, "Flynn does not answer" in said, "Traceback" in said) == (1, True, False)
    code, said = await quorra(doors.url, "", "two")
    assert (code, "FLYNN_KEY is not set" in said) == (1, True)
