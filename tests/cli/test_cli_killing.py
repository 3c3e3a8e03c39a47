"""`flynn demo --crash` asks again until the worker may be killed. That it is killed: test_cli_service."""

import io
from pathlib import Path

from flynn.cli.client import Client
from flynn.cli.example.killing import Killing
from flynn.cli.screen import Screen
from flynn.domain import events as ev
from flynn.domain.content import Json
from flynn.domain.tool_result import Outcome
from flynn.domain.views import TaskView
from tests.api.served import serve
from tests.eventually import eventually


class Asking(Client):
    """A client that keeps what it has posted, and is answered as any other."""

    posted: list[tuple[str, Json]]

    async def post(self, path: str, body: Json) -> Json:
        self.posted = [*getattr(self, "posted", []), (path, body)]
        return await super().post(path, body)


async def test_a_refusal_is_not_the_end_and_is_told_once_when_it_stayed_the_answer(tmp_path: Path) -> None:
    """Nobody plays the example on this service, so each crash is refused."""
    out = io.StringIO()
    async with serve(tmp_path) as served, Asking(served.url, served.keys["owner"]) as owner:
        task = TaskView.model_validate(await owner.post("/tasks", {"instructions": "do it"}))
        async with Killing(owner, Screen(out), wanted=True, after=0) as killing:
            killing.see(task, ev.ToolStarted(step=1, call_id="ls", tool="Bash", input={}))
            await eventually(lambda: len(owner.posted) >= 3, what="a second try")
            assert out.getvalue() == ""
        order = {"conversation_id": str(task.conversation_id)}
        assert owner.posted[1:3] == [("/example/crash", order)] * 2
    assert out.getvalue() == (
        "  the worker was not killed: There is nobody here who plays the scripted example.\n"
    )


async def test_a_command_that_ends_soon_costs_nobody_a_worker(tmp_path: Path) -> None:
    out = io.StringIO()
    async with serve(tmp_path) as served, Asking(served.url, served.keys["owner"]) as owner:
        task = TaskView.model_validate(await owner.post("/tasks", {"instructions": "do it"}))
        async with Killing(owner, Screen(out), wanted=True, after=0) as killing:
            killing.see(task, ev.ToolStarted(step=1, call_id="ls", tool="Bash", input={}))
            ended = ev.ToolFinished(step=1, call_id="ls", tool="Bash", outcome=Outcome.OK, content=[])
            killing.see(task, ended)
            await owner.readiness()  # time enough to ask
        assert len(owner.posted) == 1
    assert out.getvalue() == ""
