"""A conversation with the tools: a real workspace, a real sandbox, and what the model has seen so far."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from flynn.domain.content import Json
from flynn.domain.evidence import CommandRan, FileChanged, FileRead, JobStarted
from flynn.domain.tool_result import Outcome, ToolResult
from flynn.sandbox.command import Sandbox
from flynn.sandbox.opening import open_sandbox
from flynn.tools.job import Jobs
from flynn.tools.tool import ToolContext
from flynn.tools.toolset import execute
from flynn.workspace.root import Workspace
from flynn.workspace.scratch import create_scratch
from tests.sandbox.census import Census


@dataclass
class Conversation:
    """Runs calls one after the other and keeps what the loop would fold from their evidence."""

    workspace: Workspace
    sandbox: Sandbox
    scratch: Path
    seen: dict[str, str] = field(default_factory=dict)
    cwd: str = "."
    output: list[str] = field(default_factory=list)
    jobs: Jobs = field(default_factory=lambda: Jobs(lambda: None))
    known_jobs: dict[str, JobStarted | CommandRan] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.workspace.path

    def context(self) -> ToolContext:
        return ToolContext(
            workspace=self.workspace,
            sandbox=self.sandbox,
            scratch=self.scratch,
            seen=dict(self.seen),
            cwd=self.cwd,
            on_output=self.output.append,
            jobs=self.jobs,
            known_jobs=dict(self.known_jobs),
        )

    async def call(self, tool: str, **arguments: Json) -> ToolResult:
        result = await execute(tool, arguments, self.context())
        for evidence in result.evidence:
            match evidence:
                case FileRead(path=path, sha256=digest) | FileChanged(path=path, after=digest):
                    self.seen[path] = digest
                case CommandRan(task_id=str(job)) | JobStarted(task_id=job):
                    self.known_jobs[job] = evidence
                case CommandRan(cwd_after=str(after)):
                    self.cwd = after
        return result

    async def text(self, tool: str, **arguments: Json) -> str:
        """The words of a call that must succeed."""
        result = await self.call(tool, **arguments)
        assert result.outcome is Outcome.OK, result.content
        assert isinstance(result.content, str)
        return result.content

    async def error(self, tool: str, **arguments: Json) -> str:
        """The words of a call that must fail."""
        result = await self.call(tool, **arguments)
        assert result.outcome is Outcome.ERROR, result.content
        assert isinstance(result.content, str)
        return result.content

    def file(self, path: str, content: bytes | str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return asyncio.run(open_sandbox(private_root=tmp_path_factory.mktemp("private")))


@pytest.fixture(scope="session")
def no_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return asyncio.run(open_sandbox(private_root=tmp_path_factory.mktemp("private"), prefer="none"))


@pytest.fixture
def talk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Conversation]:
    """A conversation; its sandbox runs commands only in tests that say what that needs."""
    needs = any("bubblewrap" in marker.args for marker in request.node.iter_markers("needs"))
    sandbox: Sandbox = request.getfixturevalue("sandbox" if needs else "no_sandbox")
    (tmp_path / "workspace").mkdir()
    with Workspace.open(tmp_path / "workspace") as workspace:
        yield Conversation(workspace, sandbox, create_scratch(tmp_path / "scratch", uuid4()))


@pytest.fixture
async def jobs(talk: Conversation) -> AsyncIterator[Jobs]:
    """The background jobs of `talk`, ended with the test."""
    async with talk.jobs:
        yield talk.jobs


@pytest.fixture
def census() -> Census:
    """Counts the processes of this test by a mark that nobody else has."""
    return Census()
