"""The digest of `step.started` proves which bytes went out.

What the API received is digested here anew, by a rule written down once more: the frozen prefix, then each
answered request with its answer, then what the last request added. It has to be the digest in the log, for
a first call, a repeated one, one that another worker makes after the first was lost, and under another
version of the prompts and the agent.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import text

from flynn.agent.agent_catalog import load_agents
from flynn.agent.prompt import Prompts
from flynn.domain import events as ev
from flynn.simulator import Options
from flynn.tools.toolset import TOOLS
from tests.eventually import abandon, eventually
from tests.house import ROOT, House, TestLease, open_house

STRICT = Options(binding="strict", unproven="refuse")
SONNET = "claude-sonnet-5-5"

SCRIPT = """
name: reads
turns:
  - blocks: [{thinking: I look., }, {text: Let me see.}, {tool: Read, input: {file_path: notes.txt}}]
    faults: FIRST
  - blocks:
      - {tool: Glob, input: {pattern: "*"}}
      - {tool: Write, input: {file_path: "umlaut.txt", content: "größer \\u2028 \\"quoted\\""}}
    faults: SECOND
  - blocks: [{thinking: So., }, {text: Done.}]
"""

CUT = "{kind: stream_cut, after_event: content_block_delta, on_attempt: 1}"


def script(first: str = "", second: str = "") -> str:
    return SCRIPT.replace("FIRST", f"[{first}]").replace("SECOND", f"[{second}]")


def sha(*parts: Any) -> bytes:
    found = hashlib.sha256()
    for part in parts:
        found.update(part if isinstance(part, bytes) else orjson.dumps(part))
        found.update(b"\0")
    return found.digest()


def retold(prefix: dict[str, Any], body: dict[str, Any]) -> str:
    """The digest of a request as it was received."""
    chain, added = sha(prefix), []
    for message in body["messages"]:
        if message["role"] == "user":
            added = message["content"]
        else:
            chain, added = sha(chain, added, message["content"]), []
    effort = body.get("output_config", {}).get("effort")
    if body["model"] != prefix["model"]:
        return sha(chain, added, {"model": body["model"], "effort": effort}).hex()
    return sha(chain, added).hex()


def bare(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in block.items() if k != "cache_control"} for block in blocks]


async def prefix_of(house: House, conversation_id: UUID) -> dict[str, Any]:
    query = text(
        "SELECT p.body FROM prefixes p JOIN conversations c ON c.prefix_digest = p.digest WHERE c.id = :c"
    )
    async with house.database.statement() as connection:
        body: dict[str, Any] = (await connection.execute(query, {"c": conversation_id})).scalar_one()
        return body


def received(house: House) -> list[dict[str, Any]]:
    """The bodies of all calls, in order, as JSON was read from the very bytes."""
    found = []
    for record in house.simulator.stage.records.after(0):
        if record.path == "/v1/messages":
            assert record.body is not None
            found.append(json.loads(record.body))
    return found


async def proved(house: House, conversation_id: UUID) -> list[ev.StepStarted]:
    """Check every call of the conversation against the log; gives its announced steps."""
    prefix = await prefix_of(house, conversation_id)
    log = await house.log(conversation_id)
    started = [r.event for r in log if isinstance(r.event, ev.StepStarted)]
    bodies = received(house)
    assert len(started) == len(bodies)
    for step, body in zip(started, bodies, strict=True):
        assert step.request_digest == retold(prefix, body), f"step {step.step}"
        assert body["model"] == step.model
        assert body["max_tokens"] == step.params["max_tokens"]
        assert body.get("output_config", {}).get("effort") == step.params["effort"]
        assert bare(body["system"]) == prefix["system"]
        assert bare(body["tools"]) == prefix["tools"]
    return started


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("", ""),
        (
            "{kind: overloaded, on_attempt: 1}",
            "{kind: stream_cut, after_event: content_block_delta, on_attempt: 1}",
        ),
        ("{kind: max_tokens, on_attempt: 1}", "{kind: empty_stream, on_attempt: [1, 2]}"),
    ],
    ids=["first calls", "retries", "more room"],
)
async def test_what_was_announced_is_what_went_out(tmp_path: Path, first: str, second: str) -> None:
    async with open_house(tmp_path, script(first, second), options=STRICT) as house:
        (house.workspace / "notes.txt").write_text("the sky is blue\n")
        conversation = await house.converse()
        await house.say(conversation.id, "Was steht in den Notizen? \N{SNOWMAN}")
        await house.work()
        assert (await house.types(conversation.id))[-1] == "run.completed"
        await house.say(conversation.id, "Thank you.")
        await house.work()
        assert len(await proved(house, conversation.id)) >= 4


async def test_a_call_of_the_fallback_is_proved_by_its_own_digest(tmp_path: Path) -> None:
    faults = "{kind: overloaded, on_attempt: [1, 2, 3]}"
    async with open_house(tmp_path, script(second=faults), options=STRICT, fallback=SONNET) as house:
        (house.workspace / "notes.txt").write_text("the sky is blue\n")
        conversation = await house.converse()
        await house.say(conversation.id, "What is in the notes?")
        await house.work()
        steps = await proved(house, conversation.id)
        assert SONNET in [step.model for step in steps]


def other_version(place: Path) -> tuple[Path, Path]:
    """Prompts and agents in which everything is worded otherwise, and the agent has fewer tools."""
    prompts, agents = place / "prompts", place / "agents"
    shutil.copytree(ROOT / "prompts", prompts)
    agents.mkdir()
    for path in prompts.rglob("*.md"):
        path.write_text(path.read_text() + "\nReworded in the next version.\n")
    source = (ROOT / "agents" / "flynn-dev.md").read_text()
    front, body = source.removeprefix("---\n").split("\n---\n", 1)
    kept = [line for line in front.splitlines() if not line.startswith(("tools:", "model:"))]
    changed = "\n".join([*kept, "tools: Read", "model: opus"])
    (agents / "flynn-dev.md").write_text(f"---\n{changed}\n---\nYou are somebody else now.\n{body}")
    return prompts, agents


async def test_a_lost_run_goes_on_under_another_version_with_what_was_frozen(tmp_path: Path) -> None:
    hang = "{kind: hang, after_event: content_block_start, on_attempt: 1}"
    async with open_house(tmp_path, script(second=hang), options=STRICT) as house:
        (house.workspace / "notes.txt").write_text("the sky is blue\n")
        conversation = await house.converse()
        await house.say(conversation.id, "What is in the notes?")
        ((run_id, job_id),) = await house.jobs()
        worker = await house.start_work()
        await eventually(lambda: len(received(house)) == 2, what="the second call")
        before = await prefix_of(house, conversation.id)
        await abandon(worker)

        prompts, agents = other_version(tmp_path / "next")
        catalog = load_agents([agents])
        assert list(catalog.agents["flynn-dev"].offered(TOOLS)) == ["Read"]
        house.runner = house.runner_of(Prompts(prompts), catalog)
        await house.runner.run(run_id, TestLease(job_id, worker="the next version"))

        assert (await house.types(conversation.id))[-1] == "run.completed"
        steps = await proved(house, conversation.id)
        assert [s.step for s in steps] == [1, 2, 3, 4]
        assert steps[1].request_digest == steps[2].request_digest, "the lost call is made again as it was"
        assert await prefix_of(house, conversation.id) == before
        assert {body["model"] for body in received(house)} == {"claude-haiku-5-5"}
        # The file was written although the new version of the agent has no Write.
        assert (house.workspace / "umlaut.txt").exists()

        # A new conversation has the new version, and proves it as well.
        house.simulator.stage.records.reset()
        fresh = await house.converse()
        await house.say(fresh.id, "And here?")
        await house.work()
        await proved(house, fresh.id)
        now = await prefix_of(house, fresh.id)
        assert "You are somebody else now." in json.dumps(now["system"])
        assert [tool["name"] for tool in now["tools"]] == ["Read"]
        assert now["model"] == "claude-opus-5-5"
