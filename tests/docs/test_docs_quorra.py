"""docs/quorra.md: the pasted block works, and what it says of answers and errors is so."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import flynn.domain.errors as known_errors
from flynn.domain import model_key
from tests.api.whole.doors import Doors, open_doors
from tests.conftest import ROOT
from tests.docs.blocks import block, blocks_of
from tests.docs.programs import Ended, finish, run, start

QUORRA = "docs/quorra.md"
ORDER = "Update CI pipeline to run agent creation tests"

SCRIPT = """
name: pipeline
match: agent creation tests
loop: true
turns:
  - blocks:
      - {tool: Write, input: {file_path: ci.yml, content: "jobs: {}\\n"}}
      - {tool: Bash, input: {command: "cat ci.yml"}}
  - blocks: [{text: The pipeline runs them now.}]
account: {files_changed: [ci.yml]}
"""


@dataclass
class Place:
    """A service, and the key that the document's first block made."""

    doors: Doors
    key: str

    async def play(self, language: str, name: str, at: Path) -> Ended:
        """Run a block with Quorra's key."""
        text = block(QUORRA, language, name).with_address(self.doors.url)
        return await run(text, language, at, variables={"FLYNN_KEY": self.key})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    directory = tmp_path_factory.mktemp("quorra")
    async with open_doors(directory, script=SCRIPT) as doors:
        made = await doors.owner.post("/api/v1/keys", json={"name": "quorra", "scopes": ["delegate"]})
        yield Place(doors, str(made.json()["key"]))


def test_every_block_is_run() -> None:
    assert [(each.language, each.name) for each in blocks_of(QUORRA)] == [
        ("bash", "key"),
        ("bash", "delegate"),
        ("python", "delegate"),
        ("bash", "subagent"),
    ]


def test_there_is_one_block_to_paste_and_all_of_it_is_within() -> None:
    text = (ROOT / QUORRA).read_text()
    [pasted] = re.findall(r"^````markdown\n(.*?)^````$", text, re.DOTALL | re.MULTILINE)
    for language in ("bash", "python"):
        assert block(QUORRA, language, "delegate").text in pasted
    assert "fly_" not in pasted, "a key belongs into the environment, not into a prompt"


@pytest.mark.slow
async def test_the_key_is_made_by_its_command(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    text = block(QUORRA, "bash", "key").text
    async with open_doors(tmp_path / "service", script=SCRIPT) as doors:
        variables = {"FLYNN_DATA_DIR": str(tmp_path / "data"), "DATABASE_URL": doors.database_url}
        ended = await run(text, "bash", tmp_path, variables=variables)
        [key] = re.findall(r"^(fly_\S+)$", ended.output, re.MULTILINE)
        async with doors.client(key) as quorra:
            assert (await quorra.get("/api/v1/tasks")).json()["items"] == []
            assert (await quorra.post("/api/v1/conversations", json={})).status_code == 403


@pytest.mark.slow
@pytest.mark.needs("bubblewrap")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.xdist_group("quorra")
class TestTheBlock:
    """Every program of the block, on one service, in this order: what one changed another finds changed."""

    async def test_in_a_shell(self, place: Place, tmp_path: Path) -> None:
        task = json.loads((await place.play("bash", "delegate", tmp_path)).output)
        assert task["state"] == "completed"
        assert task["instructions"] == ORDER
        again = json.loads((await place.play("bash", "delegate", tmp_path)).output)
        assert again["id"] == task["id"], "the same key is the same task"

    async def test_in_python(self, place: Place, tmp_path: Path) -> None:
        ended = await place.play("python", "delegate", tmp_path)
        assert ended.lines == [
            "completed ",
            "changed: ci.yml +1 -0",
            "ran: cat ci.yml -> 0",
            "The pipeline runs them now.",
        ]

    async def test_as_a_sub_agent(self, place: Place, tmp_path: Path) -> None:
        task = json.loads((await place.play("bash", "subagent", tmp_path)).output)
        assert (task["agent"], task["title"]) == ("flynn-dev", "Agent creation tests in CI")
        assert task["instructions"] == ORDER
        assert (await place.doors.ended(task["id"]))["state"] == "completed"

    async def test_what_comes_back_has_the_fields_that_are_shown(self, place: Place, tmp_path: Path) -> None:
        task = json.loads((await place.play("bash", "delegate", tmp_path)).output)
        [shown] = re.findall(r"^```json\n(.*?)^```$", (ROOT / QUORRA).read_text(), re.DOTALL | re.MULTILINE)
        assert list(missing(json.loads(shown), task)) == []

    async def test_a_wrong_key_is_told(self, place: Place, tmp_path: Path) -> None:
        text = block(QUORRA, "python", "delegate").with_address(place.doors.url)
        program = await start(text, "python", tmp_path, variables={"FLYNN_KEY": "fly_wrong"})
        ended = await finish(program)
        assert ended.status == 1
        assert "401 unauthenticated: " in ended.errors

    async def test_a_refusal_in_a_shell_is_told_and_ends_it(self, place: Place, tmp_path: Path) -> None:
        text = block(QUORRA, "bash", "delegate").with_address(place.doors.url)
        program = await start(text, "bash", tmp_path, variables={"FLYNN_KEY": "fly_wrong"})
        ended = await finish(program)
        assert ended.status == 1
        refusal = json.loads(ended.output)
        assert (refusal["code"], bool(refusal["detail"])) == ("unauthenticated", True)
        assert "Traceback" not in ended.errors
        assert "404" not in ended.errors

    async def test_another_order_under_the_same_idempotency_key_is_refused(
        self, place: Place, tmp_path: Path
    ) -> None:
        await place.play("bash", "delegate", tmp_path)
        async with place.doors.client(place.key) as quorra:
            answer = await quorra.post(
                "/api/v1/tasks", json={"instructions": "Other"}, headers={"Idempotency-Key": "ci-tests-1"}
            )
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")


def missing(shown: Any, found: Any, path: str = "") -> Iterator[str]:
    """Fields of what the document shows that an answer has not, or has with another type."""
    if isinstance(shown, dict) and isinstance(found, dict):
        for name, value in shown.items():
            if name not in found:
                yield f"{path}.{name}"
            else:
                yield from missing(value, found[name], f"{path}.{name}")
    elif isinstance(shown, list) and isinstance(found, list):
        if not found:
            yield f"{path}[]"
        for value in found:
            yield from missing(shown[0], value, f"{path}[]")
    elif None in (shown, found):
        pass  # a value that is there or not
    elif not isinstance(found, (int, float) if isinstance(shown, int | float) else type(shown)):
        yield f"{path}: {found!r}"


def test_the_table_of_errors_has_the_codes_and_statuses_of_the_service() -> None:
    rows = re.findall(r"^\| (\d{3}) \| (`[^|]+`) \|", (ROOT / QUORRA).read_text(), re.MULTILINE)
    told = {(int(status), code) for status, codes in rows for code in re.findall(r"`([a-z-]+)`", codes)}
    modules = (known_errors, model_key)
    classes = [found for module in modules for found in vars(module).values() if isinstance(found, type)]
    known = {(found.status, found.code) for found in classes if issubclass(found, known_errors.FlynnError)}
    assert len(told) >= 8
    assert told <= known
