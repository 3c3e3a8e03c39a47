"""The scripted model at work on the example: real tools, a real sandbox, only the words are canned."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from anthropic import AsyncAnthropic

from flynn.agent.agent_catalog import load_agents
from flynn.agent.agent_file import TOOL_NAMES
from flynn.agent.prompt import Prompts
from flynn.domain.evidence import CommandRan, Evidence, FileChanged, FileRead
from flynn.sandbox.command import Sandbox
from flynn.sandbox.opening import open_sandbox
from flynn.simulator import Scenario, SimulatorServer, load_scenarios
from flynn.tools.tool import ToolContext
from flynn.tools.toolset import definitions, execute
from flynn.workspace.root import Workspace

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "examples" / "scenarios"
DELEGATION = "Update CI pipeline to run agent creation tests"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    left = shutil.ignore_patterns("__pycache__", ".*_cache", "data")
    return Path(shutil.copytree(ROOT / "examples" / "reznet", tmp_path / "reznet", ignore=left))


@pytest.fixture
async def sandbox(tmp_path: Path) -> Sandbox:
    return await open_sandbox(private_root=tmp_path / "private")


class Run:
    """One conversation of Flynn-Dev with the scripted model, its tools over `repository`."""

    def __init__(self, sdk: AsyncAnthropic, repository: Path, sandbox: Sandbox, scratch: Path) -> None:
        self.sdk = sdk
        self.repository = repository
        self.sandbox = sandbox
        self.scratch = scratch
        self.prompts = Prompts(ROOT / "prompts")
        self.agent = load_agents([ROOT / "agents"]).get("flynn-dev")
        self.calls: list[list[str]] = []
        self.failed: list[str] = []
        self.evidence: list[Evidence] = []
        self.lost: set[int] = set()
        """Which calls, counted from 0, a worker is lost in; their results are as the log has them then."""

    async def say(self, words: str) -> str:
        """Send the first message and run tools until the model ends; return its last words."""
        opening = self.prompts.opening(
            workspace_name="reznet",
            workspace_path=str(self.repository),
            today=date(2026, 11, 23),
            platform="Linux",
            bash=True,
        )
        first = {"role": "user", "content": [{"type": "text", "text": f"{opening}\n\n{words}"}]}
        messages: list[Any] = [first]
        with Workspace.open(self.repository) as workspace:
            while True:
                answer = await self._ask(messages)
                messages.append({"role": "assistant", "content": answer["content"]})
                if answer["stop_reason"] != "tool_use":
                    assert answer["stop_reason"] == "end_turn"
                    return "\n".join(b["text"] for b in answer["content"] if b["type"] == "text")
                calls = [block for block in answer["content"] if block["type"] == "tool_use"]
                self.calls.append([call["name"] for call in calls])
                results = [await self._run(call, workspace) for call in calls]
                messages.append({"role": "user", "content": results})

    async def _ask(self, messages: list[Any]) -> dict[str, Any]:
        system: Any = self.prompts.system_blocks(self.agent, TOOL_NAMES)
        tools: Any = definitions(TOOL_NAMES, self.prompts.tool_descriptions())
        async with self.sdk.messages.stream(
            model="claude-haiku-5-5", max_tokens=8_000, system=system, tools=tools, messages=messages
        ) as stream:
            return (await stream.get_final_message()).to_dict(mode="json")

    async def _run(self, call: dict[str, Any], workspace: Workspace) -> dict[str, Any]:
        seen: dict[str, str] = {}
        for item in self.evidence:
            match item:
                case FileRead():
                    seen[item.path] = item.sha256
                case FileChanged():
                    seen[item.path] = item.after
                case _:
                    pass
        if sum(map(len, self.calls)) - 1 in self.lost:
            content = self.prompts.note("unknown_outcome")
            self.failed.append(content)
            return {"type": "tool_result", "tool_use_id": call["id"], "content": content, "is_error": True}
        context = ToolContext(workspace=workspace, sandbox=self.sandbox, scratch=self.scratch, seen=seen)
        result = await execute(call["name"], call["input"], context)
        self.evidence += result.evidence
        block = result.block(call["id"])
        if block.get("is_error"):
            self.failed.append(str(block["content"]))
        return block


@pytest.fixture
async def play(repository: Path, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Any]:
    """Make a Run against a simulator that plays the shipped scenarios."""
    scratch = tmp_path / "private" / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    names = ("update-ci-again", "update-ci", "fallback")
    scenarios = [s for name in names for s in load_scenarios(SCENARIOS / f"{name}.yaml")]
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(SimulatorServer(scenarios))
        sdk = AsyncAnthropic(base_url=server.url, api_key="test", max_retries=0)
        stack.push_async_callback(sdk.close)
        yield Run(sdk, repository, sandbox, scratch)


def workflow_of(repository: Path) -> Path:
    return repository / ".github" / "workflows" / "ci.yml"


def commands(workflow: Path) -> dict[str, str]:
    steps = yaml.safe_load(workflow.read_text())["jobs"]["lint-and-test"]["steps"]
    return {step["name"]: step["run"] for step in steps if "run" in step}


@pytest.mark.needs("bubblewrap")
async def test_the_delegated_task_is_done_and_proven(play: Run, repository: Path) -> None:
    before = commands(workflow_of(repository))
    answer = await play.say(DELEGATION)

    assert play.failed == []
    assert play.calls == [["Glob", "Glob", "Grep"], ["Read", "Read"], ["Edit"], ["Bash"], ["Bash"]]
    assert commands(workflow_of(repository)) == before | {"Run agent creation tests": "pytest tests/agents"}
    changed = [item.path for item in play.evidence if isinstance(item, FileChanged)]
    assert changed == [".github/workflows/ci.yml"]
    assert [item.exit_code for item in play.evidence if isinstance(item, CommandRan)] == [0, 0]
    assert "✓ .github/workflows/ci.yml: parses, 2 jobs (lint-and-test, build-check)" in answer
    assert "✓ lint-and-test: pytest tests/agents has 1 test files" in answer
    assert "✓ 8 passed" in answer
    assert "✗" not in answer
    for heading in ("**Changes**", "**Verification**", "**Next steps**", "Tron-QA", "Rinzler-PM"):
        assert heading in answer


@pytest.mark.needs("bubblewrap")
async def test_a_changed_repository_yields_another_edit(play: Run, repository: Path) -> None:
    old = workflow_of(repository)
    new = old.with_name("checks.yaml")
    old.rename(new)
    new.write_text(
        new.read_text().replace("run: pytest tests/unit", "run: pytest -q --durations=3 tests/unit")
    )
    (repository / "tests" / "agents").rename(repository / "tests" / "creation")
    tests = repository / "tests" / "creation" / "test_agent_creation.py"
    tests.write_text(tests.read_text().replace('"status": "ok", "agents": 2', '"status": "ok", "agents": 3'))

    answer = await play.say(DELEGATION)

    ran = commands(new)
    assert ran["Run unit tests"] == "pytest -q --durations=3 tests/unit"
    assert ran["Run agent creation tests"] == "pytest tests/creation"
    assert len(play.failed) == 1
    assert "they do not pass here" in answer
    assert "✗ 1 failed, 7 passed" in answer
    assert "behind `pytest -q --durations=3 tests/unit`" in answer


@pytest.mark.needs("bubblewrap")
@pytest.mark.parametrize("lost", [{6}, {7}, {7, 10}])
async def test_after_a_lost_worker_it_looks_first_and_repeats_no_change(
    play: Run, repository: Path, lost: set[int]
) -> None:
    play.lost = lost
    answer = await play.say(DELEGATION)

    assert len(play.failed) == len(lost)
    assert play.failed[0].startswith("Outcome unknown.")
    assert play.calls[-2:] == [["Grep", "Glob"], ["Bash"]]
    assert workflow_of(repository).read_text().count("- name: Run agent creation tests") == 1
    assert "nothing was repeated unseen" in answer
    assert "✓ .github/workflows/ci.yml: the step stands there 1 time\n" in answer
    assert "✓ 8 passed" in answer
    assert "✗" not in answer


async def test_everything_else_gets_the_words_of_the_fallback(play: Run) -> None:
    answer = await play.say("Please deploy to production.")
    assert play.calls == []
    assert "scripted model" in answer
    assert "ANTHROPIC_API_KEY" in answer
    assert DELEGATION in answer


def test_every_shipped_scenario_loads() -> None:
    shipped: list[Scenario] = load_scenarios(SCENARIOS)
    assert sorted(scenario.name for scenario in shipped) == ["fallback", "update-ci", "update-ci-again"]
