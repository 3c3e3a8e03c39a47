"""The tools of a run: a conversation keeps those that it froze."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from flynn.agent.fold import Transcript
from flynn.agent.gate import Gate
from flynn.agent.permission import Permissions
from flynn.agent.prompt import Prompts
from flynn.agent.step import Call
from flynn.agent.toolbox import Toolbox
from flynn.domain.permission import PermissionRules
from flynn.domain.run import Limits
from flynn.sandbox.opening import open_sandbox
from flynn.tools.job import Jobs
from flynn.workspace.root import Workspace
from flynn.workspace.scratch import create_scratch
from tests.conftest import ROOT

SIX = ("Read", "Write", "Edit", "Glob", "Grep", "Bash")
LIMITS = Limits(turns=9, nanodollars=1, prompt_tokens=1)


async def test_a_conversation_that_froze_six_tools_keeps_them_and_gets_no_jobs(tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    sandbox = await open_sandbox(private_root=tmp_path / "private", prefer="none")
    transcript = Transcript(prefix={}, limits=LIMITS)
    with Workspace.open(tmp_path / "workspace") as workspace:
        async with Jobs(lambda: None) as jobs:
            toolbox = Toolbox(
                workspace=workspace,
                sandbox=sandbox,
                scratch=create_scratch(tmp_path / "scratch", uuid4()),
                offered=SIX,
                gate=Gate(
                    Permissions(PermissionRules(), workspace),
                    Prompts(ROOT / "prompts"),
                    mode=None,
                    patience=timedelta(hours=1),
                ),
                deadline=lambda: None,
                confirm=lambda: None,
                jobs=jobs,
                inspection=None,
            )

            async def said(tool: str, **arguments: object) -> str:
                return str((await toolbox.run(Call("c", tool, arguments), transcript, print)).content)

            assert "Bash is not available" in await said("Bash", command="true")
            assert "no background jobs here" in await said("Bash", command="x", run_in_background=True)
            assert await said("TaskOutput", task_id="b1") == (
                "There is no tool TaskOutput here; the tools are: Bash, Edit, Glob, Grep, Read, Write."
            )
            assert not toolbox.writes("TaskOutput")
            assert toolbox.writes("TaskStop")
