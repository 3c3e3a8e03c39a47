"""Images and documents: sent as they were seen, the same after a crash, and copied to nobody.

Events, the log and everything that viewers get hold references; the bytes are kept once a conversation.
"""

import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from flynn.domain import events as ev
from flynn.domain.blob import Blob, references
from flynn.domain.errors import NotFound
from flynn.domain.principal import Principal, Scope
from flynn.domain.run import RunState
from flynn.domain.tool_result import Outcome
from flynn.simulator import Options
from tests.eventually import abandon, eventually
from tests.house import House, TestLease, open_house
from tests.media import image, pdf

pytestmark = pytest.mark.slow

STRICT = Options(binding="strict", unproven="refuse")
LOOK = """
name: look
turns:
  - blocks:
      - {thinking: I look.}
      - {tool: Read, call: a, input: {file_path: shot.png}}
      - {tool: Read, call: b, input: {file_path: manual.pdf}}
      - {tool: Read, call: c, input: {file_path: copy.png}}
  - blocks: [{thinking: Seen.}, {text: A shot and a manual.}]
    %s
loop: true
"""
HANG = "faults: [{kind: hang, after_event: 'content_block_delta:text_delta', on_attempt: 1}]"
TOLD = """
name: told
match: could not take
match_in: latest_message
turns: [{blocks: [{text: I do without.}]}]
"""
LATER = TOLD.replace("could not take", "And now?")
REJECT = "faults: [{kind: bad_request, on_attempt: 1}]"


def lay_out(house: House) -> tuple[bytes, bytes]:
    """The files that the model reads: a picture, twice, and a document."""
    picture, document = image(900, 600, noise=True), pdf(["Press the green button."])
    (house.workspace / "shot.png").write_bytes(picture)
    (house.workspace / "copy.png").write_bytes(picture)
    (house.workspace / "manual.pdf").write_bytes(document)
    return picture, document


def asked(house: House) -> list[dict[str, Any]]:
    """The bodies of all model calls."""
    return [
        json.loads(record.body or b"{}")
        for record in house.simulator.stage.records
        if record.path == "/v1/messages"
    ]


def sources(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sources of all media in tool results."""
    return [
        part["source"]
        for message in messages
        for block in message["content"]
        if isinstance(block, dict) and block["type"] == "tool_result" and isinstance(block["content"], list)
        for part in block["content"]
        if part["type"] in ("image", "document")
    ]


@pytest.mark.needs("bubblewrap")
async def test_media_are_sent_whole_and_kept_once(tmp_path: Path) -> None:
    async with open_house(tmp_path, LOOK % "", options=STRICT) as house:
        picture, document = lay_out(house)
        conversation = await house.converse()
        await house.say(conversation.id, "What is there?")
        await house.work()
        view = await house.views.conversation(house.owner, conversation.id)
        assert view.run is not None
        assert view.run.state is RunState.COMPLETED, view.run.detail

        sent = sources(asked(house)[-1]["messages"])
        assert [source["media_type"] for source in sent] == ["image/png", "application/pdf", "image/png"]
        assert [b64decode(source["data"]) for source in sent] == [picture, document, picture]

        # Nothing that a viewer gets has more than a reference.
        encoded = b64encode(picture).decode()[40:80], b64encode(document).decode()[40:80]
        log = await house.log(conversation.id)
        for recorded in (*house.published, *log):
            envelope = json.dumps(recorded.envelope())
            assert not any(piece in envelope for piece in encoded)
        finished = [r.event for r in log if isinstance(r.event, ev.ToolFinished)]
        found = [source for event in finished for source in references(event.content)]
        assert [source.keys() for source in found] == [
            {"type", "sha256", "media_type", "bytes", "tokens"} for _ in found
        ]
        assert [source["bytes"] for source in found] == [len(picture), len(document), len(picture)]
        assert all(event.evidence for event in finished)

        async with house.database.statement() as connection:
            rows = (await connection.execute(text("SELECT sha256, data FROM blobs ORDER BY sha256"))).all()
            stored = await connection.scalar(text("SELECT sum(octet_length(data::text)) FROM events"))
        assert {row.sha256: bytes(row.data) for row in rows} == {
            Blob(picture, "image/png").sha256: picture,
            Blob(document, "application/pdf").sha256: document,
        }
        assert stored is not None
        assert stored < len(picture)


@pytest.mark.needs("bubblewrap")
async def test_a_lost_worker_changes_no_byte_of_the_request(tmp_path: Path) -> None:
    async with open_house(tmp_path, f"{LATER}---{LOOK % HANG}", options=STRICT) as house:
        lay_out(house)
        conversation = await house.converse()
        await house.say(conversation.id, "What is there?")
        ((run_id, job_id),) = await house.jobs()
        worker = await house.start_work()
        await eventually(lambda: any(d.step == 2 for d in house.deltas), what="the second step")
        await abandon(worker)
        await house.runner.run(run_id, TestLease(job_id, worker="the next one"))

        started = [r.event for r in await house.log(conversation.id) if isinstance(r.event, ev.StepStarted)]
        assert [event.step for event in started] == [1, 2, 3]
        assert started[1].input_seqs == started[2].input_seqs
        assert started[1].request_digest == started[2].request_digest
        calls = [r for r in house.simulator.stage.records if r.path == "/v1/messages"]
        assert len(calls) == 3
        assert calls[1].body == calls[2].body
        assert len(sources(asked(house)[2]["messages"])) == 3

        # And the conversation goes on, with another worker that has them from the database alone.
        await house.say(conversation.id, "And now?")
        await house.work()
        assert sources(asked(house)[-1]["messages"]) == sources(asked(house)[1]["messages"])
        assert (await house.types(conversation.id))[-1] == "run.completed"


@pytest.mark.needs("bubblewrap")
async def test_a_step_whose_media_the_api_does_not_take_is_taken_back(tmp_path: Path) -> None:
    async with open_house(tmp_path, f"{TOLD}---{LOOK % REJECT}", options=STRICT) as house:
        lay_out(house)
        conversation = await house.converse()
        await house.say(conversation.id, "What is there?")
        await house.work()
        log = await house.log(conversation.id)
        (failed,) = (r.event for r in log if isinstance(r.event, ev.StepFailed))
        assert failed.reason == "permanent"
        assert failed.withdrawn_steps == [1]
        after = asked(house)[2]["messages"]
        assert sources(after) == []
        assert "could not take an image or document" in str(after)
        view = await house.views.conversation(house.owner, conversation.id)
        assert view.run is not None
        assert view.run.state is RunState.COMPLETED, view.run.detail


@pytest.mark.needs("bubblewrap")
async def test_a_model_that_was_told_and_reads_it_again_ends_the_run_and_bricks_nothing(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path, f"{LATER}---{LOOK % REJECT}", options=STRICT) as house:
        lay_out(house)
        conversation = await house.converse()
        await house.say(conversation.id, "What is there?")
        await house.work()
        log = await house.log(conversation.id)
        assert [r.event.reason for r in log if isinstance(r.event, ev.StepFailed)] == ["permanent"] * 2
        assert log[-1].event.type == "run.failed"
        await house.say(conversation.id, "And now?")
        await house.work()
        assert sources(asked(house)[-1]["messages"]) == []
        assert (await house.types(conversation.id))[-1] == "run.completed"


async def test_a_failed_call_without_media_still_ends_the_run(tmp_path: Path) -> None:
    script = f"name: plain\nturns:\n  - blocks: [{{text: Hello.}}]\n    {REJECT}\n"
    async with open_house(tmp_path, script, options=STRICT) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Hello?")
        await house.work()
        assert (await house.types(conversation.id))[-1] == "run.failed"


@pytest.mark.needs("bubblewrap")
async def test_more_media_than_a_message_takes_become_an_error_and_no_brick(tmp_path: Path) -> None:
    calls = "\n".join(
        f"      - {{tool: Read, call: c{n}, input: {{file_path: manual.pdf, pages: '1-20'}}}}"
        for n in range(3)
    )
    script = f"name: much\nturns:\n  - blocks:\n{calls}\n  - blocks: [{{text: Too much.}}]\n"
    async with open_house(tmp_path, script, options=STRICT) as house:
        (house.workspace / "manual.pdf").write_bytes(pdf(["a page"] * 20))
        conversation = await house.converse()
        await house.say(conversation.id, "Read it thrice.")
        await house.work()
        log = await house.log(conversation.id)
        finished = [r.event for r in log if isinstance(r.event, ev.ToolFinished)]
        outcomes = [event.outcome for event in finished]
        assert outcomes.count(Outcome.OK) == 1
        refused = next(event for event in finished if event.outcome is Outcome.ERROR)
        assert "too much for one message" in str(refused.content)
        assert len(sources(asked(house)[-1]["messages"])) == 1
        started = [r.event for r in log if isinstance(r.event, ev.StepStarted)]
        # The reservation counts the pages: 32,000 tokens of them at least, and no base64.
        assert started[1].reserved_nanodollars > started[0].reserved_nanodollars + 32_000 * 100
        assert log[-1].event.type == "run.completed"


@pytest.mark.needs("bubblewrap")
async def test_bytes_are_shown_to_those_who_see_the_conversation(tmp_path: Path) -> None:
    async with open_house(tmp_path, LOOK % "", options=STRICT) as house:
        picture, _ = lay_out(house)
        conversation, other = await house.converse(), await house.converse()
        await house.say(conversation.id, "What is there?")
        await house.work()
        digest = Blob(picture, "image/png").sha256
        assert (await house.views.blob(house.owner, conversation.id, digest)).data == picture
        stranger = Principal(id=other.id, name="stranger", scopes=frozenset({Scope.READ}))
        with pytest.raises(NotFound):
            await house.views.blob(stranger, conversation.id, digest)
        with pytest.raises(NotFound):
            await house.views.blob(house.owner, other.id, digest)
