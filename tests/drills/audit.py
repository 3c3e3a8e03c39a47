"""The audit of a conversation: what the log, the model, the disk and an onlooker must agree on."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from flynn.simulator import SimulatorServer
from tests.drills.onlooker import Onlooker
from tests.eventually import eventually

Event = dict[str, Any]
TERMINAL = ("run.completed", "run.failed", "run.cancelled")

_LOG = """
SELECT seq, type, run_id::text, data::text FROM events WHERE conversation_id = $1::uuid ORDER BY seq"""
_PREFIX = """
SELECT p.body::text FROM prefixes p JOIN conversations c ON c.prefix_digest = p.digest
WHERE c.id = $1::uuid"""
_JOBS = "SELECT count(*) FROM procrastinate_jobs WHERE lock = $1 AND status IN ('todo', 'doing')"
_RUNS = "SELECT id::text, state FROM runs WHERE conversation_id = $1::uuid"


class Audit:
    """Reads a conversation from the database itself and checks it; each method is one promise."""

    def __init__(self, database: "asyncpg.Pool[asyncpg.Record]", conversation_id: str) -> None:
        self._database = database
        self.conversation_id = conversation_id
        self.events: list[Event] = []

    async def read(self) -> None:
        """Read the log as it is now."""
        rows = await self._database.fetch(_LOG, self.conversation_id)
        self.events = [
            {"seq": r["seq"], "type": r["type"], "run_id": r["run_id"], "data": orjson.loads(r["data"])}
            for r in rows
        ]

    def of(self, *kinds: str) -> list[Event]:
        """The events of these types."""
        return [event for event in self.events if event["type"] in kinds]

    def has_no_gap(self) -> None:
        """Seq counts from 1."""
        assert [e["seq"] for e in self.events] == list(range(1, len(self.events) + 1))

    async def every_run_ended_once(self) -> list[str]:
        """Each run has exactly one terminal event, and its row says the same; gives the states."""
        ends = Counter(e["run_id"] for e in self.of(*TERMINAL))
        rows = {r["id"]: r["state"] for r in await self._database.fetch(_RUNS, self.conversation_id)}
        assert ends == Counter(dict.fromkeys(rows, 1)), (ends, rows)
        states = [e["type"].removeprefix("run.") for e in self.of(*TERMINAL)]
        assert states == [rows[str(e["run_id"])] for e in self.of(*TERMINAL)]
        return states

    def heard(self, run_id: str) -> list[str]:
        """How the run's model calls ended, each once, but for those whose end nobody heard.

        A worker whose lease runs out during a call is lost to it, on a busy machine without any death: the
        call is made again. What an answer had brought is not.
        """
        begun = [e["data"]["step"] for e in self.of("step.started") if e["run_id"] == run_id]
        ends = [e for e in self.of("step.completed", "step.failed") if e["run_id"] == run_id]
        assert [e["data"]["step"] for e in ends] == begun
        said = [e["data"].get("reason", "completed") for e in ends]
        return [end for end in said if end != "worker_lost"]

    def every_message_was_heard_once(self) -> None:
        """Each message is in exactly one adopted request, and in the first that began after it came."""
        adopted = {e["data"]["step"] for e in self.of("step.completed")}
        begun = self.of("step.started")
        for message in self.of("message.sent"):
            seq = message["seq"]
            heard = [e for e in begun if e["data"]["step"] in adopted and seq in e["data"]["input_seqs"]]
            assert len(heard) == 1, f"message {seq} is in the requests {[h['seq'] for h in heard]}"
            following = next(e for e in begun if e["seq"] > seq)
            assert seq in following["data"]["input_seqs"], f"message {seq} did not join the next step"

    def every_call_ended_once(self) -> None:
        """Each call that the model asked for has one end."""
        asked = [
            block["id"]
            for e in self.of("message.completed")
            for block in e["data"]["content"]
            if block["type"] == "tool_use"
        ]
        assert sorted(asked) == sorted(e["data"]["call_id"] for e in self.of("tool.finished"))

    def no_effect_was_repeated(self, ledger: Path) -> dict[str, str]:
        """Each `echo WORD >> ledger.txt` acted at most once, and did if its call says so; the outcomes."""
        lines = Counter(ledger.read_text().split()) if ledger.exists() else Counter[str]()
        outcomes: dict[str, str] = {}
        words: dict[str, str] = {}
        for e in self.of("message.completed"):
            for block in e["data"]["content"]:
                command = str(block.get("input", {}).get("command", ""))
                if block["type"] == "tool_use" and ">> ledger.txt" in command:
                    words[block["id"]] = command.split("echo ")[1].split(" ", maxsplit=1)[0]
        for e in self.of("tool.finished"):
            word = words.get(e["data"]["call_id"])
            if word is not None:
                assert word not in outcomes, f"{word} ended twice"
                outcomes[word] = e["data"]["outcome"]
        assert set(outcomes) == set(words.values())
        assert set(lines) <= set(outcomes), "something acted that nobody asked for"
        for word, outcome in outcomes.items():
            most = {"ok": (1,), "unknown": (0, 1), "cancelled": (0, 1)}[outcome]
            assert lines[word] in most, f"{word} acted {lines[word]} times; its call is {outcome}"
        return outcomes

    async def requests_are_those_of_the_log(self, simulator: SimulatorServer, token: str) -> None:
        """The model received what the manifests say, byte for byte again where it was asked again.

        `token` stands in the conversation's first words. Each digest is worked out anew from the bytes that
        the simulator received. Whatever it refused fails the audit.
        """
        text = await self._database.fetchval(_PREFIX, self.conversation_id)
        if text is None:  # never claimed
            assert not [r for r in simulator.stage.records if r.body and token.encode() in r.body]
            assert self.of("step.started") == []
            return
        prefix = orjson.loads(text)
        logged = [e["data"]["request_digest"] for e in self.of("step.started")]
        answered = {e["data"]["step"] for e in self.of("step.completed")}
        bodies: dict[tuple[str, int], bytes] = {}
        received: list[str] = []
        for record in simulator.stage.records:
            if record.body is None or token.encode() not in record.body:
                continue
            assert record.status == 200 or record.fault or "plays" in (record.error or ""), record.error
            assert record.warnings == []
            body = orjson.loads(record.body)
            assert body["tools"] == prefix["tools"]
            assert [b["text"] for b in body["system"]] == [b["text"] for b in prefix["system"]]
            digest = request_digest(prefix, body["messages"])
            # A truncated answer is asked for again with more room: then only that number differs.
            first = bodies.setdefault((digest, body["max_tokens"]), record.body)
            assert first == record.body, "not the same bytes again"
            received.append(digest)
        rest = iter(logged)
        assert all(digest in rest for digest in received), "a request went out that no manifest announced"
        for e in self.of("step.started"):
            if e["data"]["step"] in answered:
                assert e["data"]["request_digest"] in received

    async def onlooker_saw_the_log(self, onlooker: Onlooker) -> None:
        """Whoever watched all the time has every event once and in order, and no false words."""
        last = self.events[-1]["seq"]
        await eventually(
            lambda: bool(onlooker.events) and onlooker.events[-1]["seq"] >= last, what="the onlooker's end"
        )
        seen = [{k: e[k] for k in ("seq", "type", "run_id", "data")} for e in onlooker.events]
        assert seen == self.events
        assert onlooker.problems == []
        texts = {
            (e["data"]["step"], place): block["text"]
            for e in self.of("message.completed")
            for place, block in enumerate(e["data"]["content"])
            if block["type"] == "text"
        }
        for delta in onlooker.deltas:
            whole = texts.get((delta["step"], delta["block"]))
            if delta["kind"] == "text" and whole is not None:
                assert whole[delta["offset"] :].startswith(delta["text"])

    async def queue_is_empty(self) -> None:
        """No job is left of the conversation."""

        async def empty() -> bool:
            lock = f"conversation:{self.conversation_id}"
            return bool(await self._database.fetchval(_JOBS, lock) == 0)

        await eventually(empty, what="an empty queue", seconds=30)


def request_digest(prefix: Any, messages: list[dict[str, Any]]) -> str:
    """The digest of a request, from its messages: a chain over the prefix and each adopted exchange."""
    chain = _digest(prefix)
    added: list[Any] = []
    for message in messages:
        if message["role"] == "user":
            added = message["content"]
        else:
            chain, added = _digest(chain, added, message["content"]), []
    return _digest(chain, added).hex()


def _digest(*parts: Any) -> bytes:
    h = hashlib.sha256()
    for part in parts:
        h.update(part if isinstance(part, bytes) else orjson.dumps(part))
        h.update(b"\0")
    return h.digest()
