"""The doors to the key of the model's API, and what is refused without one."""

import asyncio
import io
import json
import logging
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flynn.api.problem import MEDIA_TYPE
from flynn.simulator import Options, SimulatorServer
from flynn.telemetry.logging import configure
from flynn.workspace.mounts import find_mounts
from tests.api.served import Served, keyless, serve, watching

KEY = "sk-plain-8d2f6c1e-of-the-tests-xq7z"
WRONG = "sk-plain-000000-nobodys"
AT = "/api/v1/model-key"


@asynccontextmanager
async def opened(tmp_path: Path, *, keys: set[str] | None = None, **more: Any) -> AsyncIterator[Served]:
    """Doors without a key, before a model's API that takes `keys`; None: nobody is at home there."""
    async with AsyncExitStack() as stack:
        if keys is not None:
            options = Options(keys=frozenset(keys))
            simulator = await stack.enter_async_context(SimulatorServer([], options))
            more["anthropic_base_url"] = simulator.url
        (tmp_path / "data").mkdir()
        yield await stack.enter_async_context(serve(tmp_path, settings=keyless(tmp_path, **more)))


async def test_a_key_is_tried_kept_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    log = io.StringIO()
    configure("debug", "json", log)
    async with opened(tmp_path, keys={KEY}) as served, served.http() as http:
        address = (await http.get(AT)).json()["address"]
        assert (await http.get(AT)).json() == {
            "source": "none",
            "stored_at": None,
            "accepted": None,
            "address": address,
        }

        refused = await http.put(AT, json={"key": WRONG})
        assert refused.status_code == 422
        assert refused.json()["detail"].startswith(f"The model's API at {address} refuses this key.")
        assert refused.json()["errors"][0]["field"] == "key"
        assert not (tmp_path / "data" / "anthropic.key").exists()
        assert served.model_key.read() is None
        assert served.hastened == 0

        kept = await http.put(AT, json={"key": f" {KEY}\n"})
        assert kept.status_code == 200
        assert kept.json()["source"] == "stored"
        assert kept.json()["accepted"] is True
        assert served.hastened == 1
        assert served.model_key.read() == KEY
        conversation = await served.conversation(http)
        await served.say(conversation, f"my key is {KEY}, keep it for yourself")
        envelopes = json.dumps([item.envelope() for item in served.published])
        assert "keep it for yourself" in envelopes
        assert KEY not in envelopes
        file = tmp_path / "data" / "anthropic.key"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert [path.name for path in (tmp_path / "data").glob("*anthropic*")] == ["anthropic.key"]

        seen = await http.get(AT)
        document = await http.get("/openapi.json")
        gone = await http.delete(AT)
        assert gone.json()["source"] == "none"
        assert gone.json()["stored_at"] is None
        assert not file.exists()
        assert served.model_key.read() is None
        assert (await http.delete(AT)).json()["source"] == "none"
        for answer in (refused, kept, seen, gone, document):
            for key in (KEY, WRONG):
                assert key not in answer.text
                assert key[-4:] not in answer.text
    assert "was stored" in log.getvalue()
    for key in (KEY, WRONG):
        assert key not in log.getvalue()


async def test_what_is_no_key_is_refused_unseen(tmp_path: Path) -> None:
    async with opened(tmp_path, keys={KEY}) as served, served.http() as http:
        for key in ("", "short", "two words are no key", "schlüssel-nicht-ascii", "x" * 501, 7, None):
            refused = await http.put(AT, json={"key": key})
            assert refused.status_code == 422
            assert refused.json()["errors"][0]["field"] == "key"
            if isinstance(key, str) and key:
                assert key not in refused.text
        assert (await http.put(AT, json={"key": KEY, "model": "haiku"})).status_code == 422
        assert served.model_key.source == "none"


async def test_an_address_where_nobody_is_keeps_nothing_unless_asked(tmp_path: Path) -> None:
    async with opened(tmp_path) as served, served.http() as http:
        away = await http.put(AT, json={"key": KEY})
        assert away.status_code == 503
        assert "could not be checked" in away.json()["detail"]
        assert "unchecked" in away.json()["detail"]
        assert KEY not in away.text
        assert served.model_key.source == "none"

        kept = await http.put(AT, json={"key": KEY, "unchecked": True})
        assert kept.status_code == 200
        assert kept.json()["source"] == "stored"
        assert kept.json()["accepted"] is None
        assert served.model_key.read() == KEY


async def test_of_keys_that_are_given_at_once_one_is_kept_whole(tmp_path: Path) -> None:
    keys = [f"sk-plain-{n}-{'y' * 30 * n}" for n in range(8)]
    async with opened(tmp_path, keys=set(keys)) as served, served.http() as http:
        answers = await asyncio.gather(*(http.put(AT, json={"key": key}) for key in [*keys, WRONG, *keys]))
        assert sorted(answer.status_code for answer in answers) == [200] * 16 + [422]
        assert all(a.json()["source"] == "stored" for a in answers if a.status_code == 200)
        assert served.model_key.read() in keys
        assert served.hastened == 16
        assert [path.name for path in (tmp_path / "data").glob("*anthropic*")] == ["anthropic.key"]
        assert (await http.delete(AT)).json()["source"] == "none"


async def test_a_key_of_the_environment_wins(tmp_path: Path) -> None:
    own = "sk-plain-of-the-environment"
    async with opened(tmp_path, keys={KEY}, anthropic_api_key=own) as served, served.http() as http:
        assert (await http.get(AT)).json()["source"] == "environment"
        for answer in (await http.put(AT, json={"key": KEY}), await http.delete(AT)):
            assert answer.status_code == 409
            assert "ANTHROPIC_API_KEY" in answer.json()["detail"]
        assert not (tmp_path / "data" / "anthropic.key").exists()
        # One that is left from before can be removed all the same.
        served.model_key.stored.write(KEY)
        assert (await http.get(AT)).json()["stored_at"] is not None
        assert served.model_key.read() == own
        assert (await http.delete(AT)).json()["stored_at"] is None


async def test_only_admins_come_near_it(tmp_path: Path) -> None:
    async with opened(tmp_path, keys={KEY}) as served:
        await served.key("alice", "chat", "delegate", "read")
        async with served.http("alice") as http:
            for answer in (
                await http.get(AT),
                await http.put(AT, json={"key": KEY}),
                await http.delete(AT),
            ):
                assert answer.status_code == 403
        assert served.model_key.source == "none"


async def test_without_a_key_work_is_refused_and_what_was_taken_stays_taken(tmp_path: Path) -> None:
    without = False
    mounts = await asyncio.to_thread(find_mounts, tmp_path / "data", ())
    async with serve(tmp_path, mounts=mounts, keyless=lambda: without) as served, served.http() as http:
        conversation = await served.conversation(http)
        said = {"text": "while there was a key", "client_message_id": "first"}
        messages = f"/api/v1/conversations/{conversation}/messages"
        taken = await http.post(messages, json=said)
        assert taken.status_code == 202
        order = {"instructions": "while there was a key"}
        task = await http.post("/api/v1/tasks", json=order, headers={"Idempotency-Key": "first"})
        assert task.status_code == 202

        without = True
        other = await served.conversation(http)
        refusals = [
            await http.post(messages, json={"text": "and now?"}),
            await http.post(f"/api/v1/conversations/{other}/messages", json={"text": "and here?"}),
            await http.post("/api/v1/tasks", json={"instructions": "and this?"}),
            await http.post(f"/api/v1/tasks/{task.json()['id']}/messages", json={"text": "and there?"}),
        ]
        async with watching(served) as watcher:
            called = await watcher.call("message.send", {"conversation_id": other, "text": "and so?"})
        problems = [answer.json() for answer in refusals]
        for answer in refusals:
            assert answer.status_code == 409
            assert answer.headers["content-type"] == MEDIA_TYPE
            assert "retry-after" not in answer.headers
        for problem in (*problems, called["error"]):
            assert problem["type"] == "urn:flynn:problem:model-key-missing"
            assert problem["code"] == "model-key-missing"
            for remedy in ("the page's field", "ANTHROPIC_API_KEY", ".env", "scripted example"):
                assert remedy in problem["detail"]
        # Nothing of it is left, in the queue or in the log.
        assert (await http.get(f"/api/v1/conversations/{other}/events")).json()["items"] == []
        assert len((await http.get("/api/v1/tasks")).json()["items"]) == 1

        again = await http.post(messages, json=said)
        assert again.json()["duplicate"] is True
        assert again.json()["seq"] == taken.json()["seq"]
        same = await http.post("/api/v1/tasks", json=order, headers={"Idempotency-Key": "first"})
        assert same.json()["id"] == task.json()["id"]
        # What needs no model is done as ever.
        stopped = await http.post(f"/api/v1/conversations/{conversation}/interrupt")
        assert stopped.json()["run"]["state"] == "cancelled"


@pytest.mark.slow
async def test_work_on_volumes_of_others_is_theirs(tmp_path: Path) -> None:
    here = await asyncio.to_thread(find_mounts, tmp_path / "here", ())
    there = await asyncio.to_thread(find_mounts, tmp_path / "there", ())
    async with serve(tmp_path / "a", mounts=there) as other, other.http() as http:
        made = await http.post("/api/v1/workspaces", json={"name": "elsewhere"})
        assert made.status_code == 201, made.text
        async with (
            serve(tmp_path / "b", mounts=here, beside=other, keyless=lambda: True) as served,
            served.http() as mine,
        ):
            order = {"instructions": "somebody else's", "workspace": "elsewhere"}
            assert (await mine.post("/api/v1/tasks", json=order)).status_code == 202
            local = await mine.post("/api/v1/workspaces", json={"name": "here"})
            assert local.status_code == 201, local.text
            refused = await mine.post("/api/v1/tasks", json={**order, "workspace": "here"})
            assert refused.json()["code"] == "model-key-missing"
