"""docs/protocol.md: every example runs, in Python and in JavaScript, and does what its words promise."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.whole.doors import Doors, open_doors
from tests.docs.blocks import block, blocks_of
from tests.docs.cutting import Way, way_to
from tests.docs.programs import Ended, finish, run, start
from tests.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROTOCOL = "docs/protocol.md"
EXAMPLES = ("chat", "follow", "stop", "approve", "refused", "task", "stream")
LANGUAGES = [
    pytest.param("python", marks=pytest.mark.slow),
    pytest.param("javascript", marks=[pytest.mark.slow, pytest.mark.needs("javascript")]),
]
both = pytest.mark.parametrize("language", LANGUAGES)

WALK = "  - blocks: [{text: '{{ words(25) }}'}, {tool: Read, input: {file_path: note.txt}}]\n" * 8
"""Steps enough to lose a connection twice and come back, with seconds in between."""

SCRIPT = """
name: question
match: What is in this repository
turns:
  - pacing: {tokens_per_second: 60}
    blocks: [{text: 'A compose file 🐳 and two workflows, which build it 🚀 and test it.'}]
---
name: long
match: Count to a hundred
turns:
  - pacing: {tokens_per_second: 10}
    blocks: [{text: '{{ words(200) }}'}]
---
name: writing
match: Write down what you found
turns:
  - blocks: [{tool: Write, input: {file_path: found.md, content: two workflows}}]
  - blocks: [{text: Written.}]
---
name: pipeline
match: agent creation tests
loop: true
turns:
  - blocks: [{tool: Write, input: {file_path: ci.yml, content: "jobs: {}\\n"}}]
  - blocks: [{text: The pipeline runs them now.}]
---
name: walk
match: Take a walk
loop: true
pacing: {tokens_per_second: 40}
turns:
"""
SCRIPT += WALK + "  - blocks: [{text: I am back.}]\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    async with open_doors(tmp_path_factory.mktemp("protocol"), script=SCRIPT) as opened:
        yield opened


async def play(doors: Doors, language: str, name: str, place: Path) -> Ended:
    """Run an example as a reader would."""
    text = block(PROTOCOL, language, name).with_address(doors.url)
    return await run(text, language, place, variables={"FLYNN_KEY": doors.owner_key})


async def newest(doors: Doors) -> list[tuple[int, str]]:
    """The log of the newest conversation, as the examples print it."""
    found = (await doors.owner.get("/api/v1/conversations?limit=1")).json()["items"][0]
    return [(event["seq"], event["type"]) for event in await doors.seen(found["id"])]


async def said(doors: Doors, conversation: str, text: str) -> None:
    """Say something in a conversation."""
    answer = await doors.owner.post(f"/api/v1/conversations/{conversation}/messages", json={"text": text})
    assert answer.status_code == 202, answer.text


async def cut_after(way: Way, doors: Doors, conversation: str, connections: int) -> None:
    """Cut the way once so many connections have come and, on the last of them, something new has passed."""

    async def passed() -> bool:
        return way.taken >= connections and (await doors.seen(conversation))[-1]["seq"] > before

    before = (await doors.seen(conversation))[-1]["seq"]
    await eventually(passed, what=f"connection {connections} and an event", seconds=30)
    way.cut()


async def test_every_program_has_its_test() -> None:
    """Commands without a name show the shape of a request, with things of the reader's in it."""
    found = [(each.language, each.name) for each in blocks_of(PROTOCOL)]
    programs = [(language, name) for name in EXAMPLES for language in ("python", "javascript")]
    assert [each for each in found if each != ("bash", "")] == [("bash", "events"), *programs]


async def follow_through_cuts(doors: Doors, language: str, name: str, tmp_path: Path) -> int:
    """Run a program that follows a conversation, cut its connection twice, and hold what it saw against the
    log; how many connections it made.
    """
    conversation = await doors.conversation()
    async with way_to(doors.url) as way:
        text = block(PROTOCOL, language, name).with_address(way.url)
        variables = {"FLYNN_KEY": doors.owner_key}
        program = await start(text, language, tmp_path, conversation, variables=variables)
        await said(doors, conversation, "Take a walk")
        for connections in (1, 2):
            await cut_after(way, doors, conversation, connections)
        ended = await finish(program)
    assert ended.status == 0, ended.errors
    assert ended.events == [(event["seq"], event["type"]) for event in await doors.seen(conversation)]
    return way.taken


@both
async def test_chat(doors: Doors, language: str, tmp_path: Path) -> None:
    ended = await play(doors, language, "chat", tmp_path)
    assert "A compose file 🐳 and two workflows, which build it 🚀 and test it." in ended.output
    assert ended.errors == ""
    assert ended.events == await newest(doors)
    assert [kind for _, kind in ended.events].count("message.sent") == 1, "the resend is the same message"
    assert ended.events[-1][1] == "run.completed"


@both
async def test_go_on_after_a_lost_connection(doors: Doors, language: str, tmp_path: Path) -> None:
    assert await follow_through_cuts(doors, language, "follow", tmp_path) >= 3


@both
async def test_stop(doors: Doors, language: str, tmp_path: Path) -> None:
    ended = await play(doors, language, "stop", tmp_path)
    assert ended.events == await newest(doors)
    kinds = [kind for _, kind in ended.events]
    assert "interrupt.requested" in kinds
    assert kinds[-1] == "run.cancelled"


@both
async def test_say_yes(doors: Doors, language: str, tmp_path: Path) -> None:
    ended = await play(doors, language, "approve", tmp_path)
    assert "may it Write" in ended.output
    assert "allowed" in ended.lines
    assert ended.events == await newest(doors)
    kinds = [kind for _, kind in ended.events]
    assert kinds[-1] == "run.completed"
    assert kinds.index("approval.decided") < kinds.index("tool.started")


@both
async def test_what_is_refused(doors: Doors, language: str, tmp_path: Path) -> None:
    lines = (await play(doors, language, "refused", tmp_path)).lines
    assert [line.split()[:2] for line in lines] == [["422", "invalid-input"], ["401", "unauthenticated"]]
    assert "flynn-dev" in lines[0], "what would be right is named"


@both
async def test_delegate_over_rest(doors: Doors, language: str, tmp_path: Path) -> None:
    first = await play(doors, language, "task", tmp_path)
    assert first.lines[0].strip() == "completed"
    assert first.lines[1].startswith("ci.yml +1 -0 ")
    assert first.lines[2] == "The pipeline runs them now."
    tasks = (await doors.owner.get("/api/v1/tasks")).json()["items"]
    assert await play(doors, language, "task", tmp_path) == first, "the same order is the same task"
    assert (await doors.owner.get("/api/v1/tasks")).json()["items"] == tasks


@both
async def test_an_error_of_rest_is_told_by_its_code(doors: Doors, language: str, tmp_path: Path) -> None:
    text = block(PROTOCOL, language, "task").with_address(doors.url)
    program = await start(text, language, tmp_path, variables={"FLYNN_KEY": "fly_wrong"})
    ended = await finish(program)
    assert ended.status == 1
    assert "401 unauthenticated: " in ended.errors


@both
async def test_follow_over_sse(doors: Doors, language: str, tmp_path: Path) -> None:
    await follow_through_cuts(doors, language, "stream", tmp_path)


@pytest.mark.slow
async def test_the_curl_goes_on_after_an_event(doors: Doors, tmp_path: Path) -> None:
    conversation = await doors.conversation()
    await said(doors, conversation, "Update CI pipeline to run agent creation tests")

    async def over() -> bool:
        return bool((await doors.seen(conversation))[-1]["type"] == "run.completed")

    await eventually(over, what="the answer", seconds=30)
    text = block(PROTOCOL, "bash", "events").with_address(doors.url)
    variables = {"FLYNN_KEY": doors.owner_key, "ID": conversation}
    program = await start(text.replace("curl", "exec curl"), "bash", tmp_path, variables=variables)
    assert program.stdout is not None
    seqs = []
    async with asyncio.timeout(30):
        async for line in program.stdout:
            if line.startswith(b"id: "):
                seqs.append(int(line[4:]))
            if b"run.completed" in line:
                break
    program.kill()
    await program.communicate()
    last = (await doors.seen(conversation))[-1]["seq"]
    assert last >= 8
    assert seqs == list(range(8, last + 1))


@both
@pytest.mark.parametrize("name", ["chat", "stop", "approve"])
async def test_a_refused_call_ends_the_program_with_its_reason(
    doors: Doors, language: str, name: str, tmp_path: Path
) -> None:
    made = await doors.owner.post("/api/v1/keys", json={"name": f"{name}-{language}", "scopes": ["delegate"]})
    text = block(PROTOCOL, language, name).with_address(doors.url)
    variables = {"FLYNN_KEY": str(made.json()["key"])}
    ended = await finish(await start(text, language, tmp_path, variables=variables))
    assert ended.status == 1
    assert "chat" in ended.errors
    assert "Traceback" not in ended.errors
