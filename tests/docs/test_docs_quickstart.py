"""docs/quickstart.md, typed from top to bottom by somebody who has nothing but git and Python."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.docs.blocks import Block, block, blocks_of
from tests.docs.checkout import Checkout, checkout_in

QUICKSTART = "docs/quickstart.md"
TYPED = (
    "clone", "start", "doctor", "review", "key", "workspace", "run", "client", "members", "export", "task",
    "wait", "events", "interrupt", "stop",
)  # fmt: skip
PRINTED = r"(?P<url>http://\S+/)\?key=(?P<key>fly_\S+)"

SCRIPT = """
name: shop
match: Add a health check to every service
turns:
  - blocks: [{tool: Read, input: {file_path: docker-compose.yml}}]
  - blocks:
      - tool: Edit
        input:
          file_path: docker-compose.yml
          old_string: "image: redis:7.2"
          new_string: "image: redis:7.2\\n    healthcheck: {test: [CMD, redis-cli, ping]}"
  - blocks: [{text: Every service has a health check now.}]
---
name: pipeline
match: agent creation tests
turns:
  - blocks: [{tool: Write, input: {file_path: ci.yml, content: "jobs: {}\\n"}}]
  - blocks: [{text: The pipeline runs them now.}]
"""


def typed(name: str) -> Block:
    """The block of that name."""
    return block(QUICKSTART, "bash", name)


def test_every_block_is_typed() -> None:
    assert [(each.language, each.name) for each in blocks_of(QUICKSTART)] == [
        ("bash", name) for name in TYPED
    ]


@pytest.mark.slow
@pytest.mark.needs("git", "bubblewrap")
@pytest.mark.timeout(600)
def test_the_quickstart_works_as_it_stands(tmp_path: Path, simulator: Callable[..., str]) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "docker-compose.yml").write_text("services:\n  cache:\n    image: redis:7.2\n")
    with checkout_in(tmp_path) as checkout:
        clone(checkout)
        without_a_key(checkout)
        with_a_key(checkout, simulator(SCRIPT))
        assert "healthcheck" in (shop / "docker-compose.yml").read_text()
        delegating(checkout)
        checkout.type(typed("stop"))
        with pytest.raises(httpx2.TransportError):
            httpx2.get(checkout.url, trust_env=False)


def clone(checkout: Checkout) -> None:
    root = str(Path(__file__).parents[2])
    safe = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    checkout.variables |= safe
    checkout.type(typed("clone"), {"ADDRESS": root}, at=checkout.place)
    checkout.set_up()


def without_a_key(checkout: Checkout) -> None:
    reader = checkout.start(typed("start"))
    printed = reader.wait(PRINTED, seconds=100)
    assert printed["url"] == checkout.url + "/"
    answer = httpx2.get(printed.group(), trust_env=False)
    assert answer.status_code == 200
    assert "text/html" in answer.headers["content-type"]
    parts = checkout.type(typed("doctor"))
    assert re.search(r"^\S+ +sandbox ", parts, re.MULTILINE)
    table = checkout.type(typed("review"), status=1)
    assert "flynn run " in table.splitlines()[-1]


def with_a_key(checkout: Checkout, model: str) -> None:
    checkout.variables["ANTHROPIC_BASE_URL"] = model
    reader = checkout.start(typed("key"), {"sk-ant-…": "scripted"})
    reader.wait(PRINTED, seconds=100)
    assert re.findall(r"^ANTHROPIC_API_KEY=.*$", (checkout.path / ".env").read_text(), re.MULTILINE) == [
        "ANTHROPIC_API_KEY=scripted"
    ]
    assert "shop" in checkout.type(typed("workspace"))
    assert "Every service has a health check now." in checkout.type(typed("run"))


def delegating(checkout: Checkout) -> None:
    made = checkout.type(typed("client"))
    found = re.search(r"^(fly_\S+)$", made, re.MULTILINE)
    assert found is not None, made
    assert "quorra" in checkout.type(typed("members")).split()
    export = checkout.text(typed("export"), {"fly_…": found[1]})
    checkout.variables["FLYNN_KEY"] = export.strip().removeprefix("export FLYNN_KEY=")
    task = json.loads(checkout.type(typed("task")))
    assert json.loads(checkout.type(typed("task")))["id"] == task["id"]
    over = json.loads(checkout.type(typed("wait"), {"the-id-of-the-task": task["id"]}))
    assert over["state"] == "completed"
    assert [file["path"] for file in over["report"]["evidence"]["files"]] == ["ci.yml"]
    conversation = {"the-conversation_id-of-the-task": task["conversation_id"]}
    events = json.loads(checkout.type(typed("events"), conversation))["items"]
    assert [event["type"] for event in events][-1] == "task.reported"
    checkout.variables["CONVERSATION"] = task["conversation_id"]
    assert json.loads(checkout.type(typed("interrupt")))["run"]["state"] == "completed"
