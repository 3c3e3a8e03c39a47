"""The courier over real receivers: in order, at least once, with the same id, in vain for a day at most."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import text
from standardwebhooks import Webhook, WebhookVerificationError

from flynn.domain.destination import Destinations
from flynn.store import callbacks
from flynn.telemetry.metrics import Metrics
from flynn.worker.courier import EACH, Courier
from flynn.worker.webhook import Answer, Post, Webhooks
from tests.api.served import Served, serve
from tests.eventually import abandon, eventually
from tests.worker.receiver import receiving

pytestmark = pytest.mark.asyncio(loop_scope="module")

HERE = Destinations.of(["127.0.0.1"])
AT_ONCE = timedelta(0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serve(tmp_path_factory.mktemp("courier"), destinations=HERE) as found:
        await found.key("quorra", "delegate")
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def served(house: Served) -> Served:
    """The doors, without the callbacks of the tests before."""
    async with house.database.begin() as connection:
        await connection.execute(text("DELETE FROM callbacks"))
    return house


def courier(served: Served, **more: Any) -> Courier:
    """A courier that tries again at once."""
    given = {"metrics": Metrics(), "look_seconds": 0.02, "pause": lambda *_: AT_ONCE, **more}
    post = given.pop("post", Webhooks(HERE, timeout_seconds=given.pop("timeout_seconds", 5)))
    return Courier(served.database, post, **given)


async def run_once(courier: Courier) -> int:
    """One round for every callback that is due."""
    count = 0
    while taken := await courier.take():
        count += await courier.deliver(*taken)
    return count


async def delegate(served: Served, url: str, *, cancel: bool = True, **more: Any) -> dict[str, Any]:
    """A task with a callback; cancelled, so that it has two events of note."""
    async with served.http("quorra") as http:
        order = {"instructions": "look", "callback_url": url, **more}
        answer = await http.post("/api/v1/tasks", json=order)
        assert answer.status_code == 202, answer.text
        task: dict[str, Any] = answer.json()
        if cancel:
            assert (await http.post(f"/api/v1/tasks/{task['id']}/cancel")).status_code == 200
    return task


async def shown(served: Served, task: dict[str, Any]) -> dict[str, Any]:
    async with served.http("quorra") as http:
        found: dict[str, Any] = (await http.get(f"/api/v1/tasks/{task['id']}")).json()["callback"]
    return found


async def events(served: Served, task: dict[str, Any]) -> list[dict[str, Any]]:
    return await served.views.envelopes(UUID(task["conversation_id"]), 0)


async def test_events_of_note_come_in_order_signed_and_whole(served: Served) -> None:
    async with receiving() as receiver:
        task = await delegate(served, f"{receiver.url}/hook?token=abc")
        assert await run_once(courier(served)) == 2
    wanted = [e for e in await events(served, task) if e["type"] in ("run.cancelled", "task.reported")]
    assert [got.json for got in receiver.got] == [{**e, "task_id": task["id"]} for e in wanted]
    conversation = UUID(task["conversation_id"]).hex
    assert receiver.ids == [f"msg_{conversation}_{e['seq']}" for e in wanted]
    for got in receiver.got:
        assert got.target == "/hook?token=abc"
        assert got.headers["content-type"] == "application/json"
        assert Webhook(task["callback_secret"]).verify(got.body, got.headers) == got.json
        with pytest.raises(WebhookVerificationError):
            Webhook(task["callback_secret"]).verify(got.body + b" ", got.headers)
        signed = f"{got.id}.{got.headers['webhook-timestamp']}.".encode() + got.body
        key = base64.b64decode(task["callback_secret"].removeprefix("whsec_"))
        digest = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        assert got.headers["webhook-signature"] == f"v1,{digest}"
    found = await shown(served, task)
    assert (found["state"], found["delivered_seq"], found["attempts"]) == ("active", wanted[-1]["seq"], 0)
    assert found["url"] == f"{receiver.url}/hook?…"


async def test_the_events_and_the_secret_are_those_of_the_order(served: Served) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
    async with receiving() as receiver:
        task = await delegate(
            served, receiver.url, callback_events=["message.sent", "run.cancelled"], callback_secret=secret
        )
        await run_once(courier(served))
    assert task["callback_secret"] is None
    assert [got.json["type"] for got in receiver.got] == ["message.sent", "run.cancelled"]
    assert Webhook(secret).verify(receiver.got[0].body, receiver.got[0].headers)["task_id"] == task["id"]


async def test_a_failure_is_tried_again_with_the_same_id_before_anything_later(served: Served) -> None:
    async with receiving(500, 503, "drop", b"nonsense\r\n\r\n") as receiver:
        task = await delegate(served, receiver.url)
        first = courier(served, pause=lambda *_: timedelta(hours=1))
        assert await run_once(first) == 0
        found = await shown(served, task)
        assert (found["state"], found["attempts"]) == ("failing", 1)
        assert found["last_error"] == "The receiver answered 500."
        assert found["next_attempt_at"] > found["last_attempt_at"]
        assert await run_once(first) == 0, "the pause is not over"
        async with served.database.begin() as connection:
            await connection.execute(text("UPDATE callbacks SET next_at = now()"))
        assert await run_once(courier(served)) == 2
    assert len(set(receiver.ids[:5])) == 1
    assert len({got.body for got in receiver.got[:5]}) == 1
    assert len(receiver.got) == 6
    assert receiver.ids[5] != receiver.ids[4]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(served: Served, status: int) -> None:
    async with receiving() as elsewhere:
        moved = f"HTTP/1.1 {status} Moved\r\nlocation: {elsewhere.url}/x\r\ncontent-length: 0\r\n\r\n"
        async with receiving(moved.encode()) as receiver:
            task = await delegate(served, receiver.url)
            await run_once(courier(served, pause=lambda *_: timedelta(hours=1)))
        assert elsewhere.got == []
    assert (await shown(served, task))["last_error"] == (
        f"The receiver answered {status}: redirects are not followed."
    )


async def test_a_receiver_that_hangs_or_is_not_there_holds_nobody_up(served: Served) -> None:
    pause = timedelta(hours=1)
    async with receiving("hang") as hanging, receiving() as well:
        stuck = await delegate(served, hanging.url)
        await delegate(served, well.url)
        working = courier(served, timeout_seconds=0.4, pause=lambda *_: pause)
        running = asyncio.create_task(working.run())
        await eventually(lambda: len(well.got) == 2, what="the other's deliveries")

        async def failed() -> bool:
            return bool((await shown(served, stuck))["attempts"] == 1)

        await eventually(failed, what="the end of the hanging one")
        await abandon(running)
    assert (await shown(served, stuck))["last_error"] == "There was no answer within 0.4 seconds."
    gone = await delegate(served, f"http://127.0.0.1:{hanging.port}/")
    await run_once(courier(served, pause=lambda *_: pause))
    assert (await shown(served, gone))["last_error"].startswith("The receiver cannot be reached: ")


async def test_a_body_that_comes_slowly_is_not_waited_for(served: Served) -> None:
    async with receiving(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\nbegin") as receiver:
        await delegate(served, receiver.url)
        assert await asyncio.wait_for(run_once(courier(served)), 20) == 2


async def test_who_never_takes_it_is_given_up_and_can_be_revived(served: Served) -> None:
    metrics = Metrics()
    async with receiving(500, 500) as receiver:
        task = await delegate(served, receiver.url)
        slow = courier(served, metrics=metrics, pause=lambda *_: timedelta(hours=1))
        await run_once(slow)
        async with served.database.begin() as connection:
            early = text(
                "UPDATE callbacks SET failing_since = failing_since - interval '1 day', next_at = now()"
            )
            await connection.execute(early)
        await run_once(slow)
        found = await shown(served, task)
        assert found["state"] == "dead"
        assert found["dead_at"] is not None
        assert found["next_attempt_at"] is None
        assert metrics.callbacks.labels("dead")._value.get() == 1
        async with served.http("quorra") as http:
            assert (await http.get("/api/v1/callbacks?state=dead")).json()["items"] == [found]
            assert (await http.get("/api/v1/callbacks?state=active")).json()["items"] == []
            assert await run_once(slow) == 0
            revived = await http.post(f"/api/v1/tasks/{task['id']}/callback/replay")
        assert revived.status_code == 200, revived.text
        assert revived.json()["state"] == "active"
        assert await run_once(slow) == 2
    assert len(set(receiver.ids)) == 2


async def test_the_last_attempt_is_at_the_end_of_the_day(served: Served) -> None:
    async with receiving(500) as receiver:
        await delegate(served, receiver.url)
        await run_once(courier(served, pause=lambda *_: timedelta(days=9)))
    query = text("SELECT next_at - failing_since AS left_over, dead_at FROM callbacks")
    async with served.database.statement() as connection:
        row = (await connection.execute(query)).one()
    assert row.dead_at is None
    assert abs(row.left_over - timedelta(days=1)) < timedelta(seconds=1)


async def test_who_answers_410_is_told_no_more(served: Served) -> None:
    async with receiving(410) as receiver:
        task = await delegate(served, receiver.url)
        await run_once(courier(served))
    assert len(receiver.got) == 1
    assert (await shown(served, task))["state"] == "dead"


async def test_a_replay_from_an_earlier_event_sends_the_same_again(served: Served) -> None:
    async with receiving() as receiver:
        task = await delegate(served, receiver.url)
        await run_once(courier(served))
        async with served.http("quorra") as http:
            place = f"/api/v1/tasks/{task['id']}/callback/replay"
            replayed = await http.post(place, json={"after_seq": 0})
            assert replayed.json()["delivered_seq"] == 0
            await run_once(courier(served))
            beyond = await http.post(place, json={"after_seq": 10**9})
            assert beyond.json()["delivered_seq"] == len(await events(served, task))
            assert (await http.post(place, json={"after": 1})).status_code == 422
        assert await run_once(courier(served)) == 0
    assert receiver.ids[:2] == receiver.ids[2:]
    assert [got.body for got in receiver.got[:2]] == [got.body for got in receiver.got[2:]]


async def test_a_replay_during_a_delivery_is_not_lost(served: Served) -> None:
    async with receiving() as receiver:
        task = await delegate(served, receiver.url)

        async def post(post: Post) -> Answer:
            answer = await Webhooks(HERE)(post)
            if len(receiver.got) == 1:
                async with served.http("quorra") as http:
                    place = f"/api/v1/tasks/{task['id']}/callback/replay"
                    assert (await http.post(place, json={"after_seq": 1})).status_code == 200
            return answer

        await run_once(courier(served, post=post))
        first, *again = receiver.ids
    assert again == [first, again[1]]
    assert first != again[1]


async def test_several_couriers_deliver_each_event_once_and_never_two_at_a_time(served: Served) -> None:
    async with receiving() as receiver:
        receiver.seconds = 0.03
        made = [
            await delegate(served, f"{receiver.url}/{n}", callback_events=["message.sent", "run.cancelled"])
            for n in range(6)
        ]
        runs = [asyncio.create_task(courier(served).run()) for _ in range(3)]
        await eventually(lambda: len(receiver.got) >= 12, what="all deliveries")
        await asyncio.sleep(0.2)
        for run in runs:
            await abandon(run)
    assert len(made) == 6
    assert len(set(receiver.ids)) == len(receiver.ids) == 12
    assert not receiver.crowded


async def test_a_round_that_was_cut_off_is_done_again_by_another(served: Served) -> None:
    async with receiving() as receiver:
        await delegate(served, receiver.url)

        async def lost(post: Post) -> Answer:
            """Delivered, and nobody is there any more to note it."""
            await Webhooks(HERE)(post)
            raise asyncio.CancelledError

        dying = courier(served, post=lost, lease_seconds=1.0)
        taken = await dying.take()
        assert taken is not None
        with pytest.raises(asyncio.CancelledError):
            await dying.deliver(*taken)
        other = courier(served)
        assert await other.take() is None, "the lease still holds"
        await asyncio.sleep(1.1)
        assert await run_once(other) == 2
        # The first one wakes up: what it knows is of no account any more.
        held, _ = taken
        async with served.database.statement() as connection:
            assert not await callbacks.delivered(connection, held, 1, lasts=timedelta(seconds=1))
            assert not await callbacks.failed(connection, held, "late", pause=AT_ONCE, give_up=True)
    assert receiver.ids[0] == receiver.ids[1]
    assert len(receiver.ids) == 3


async def test_a_round_that_was_frozen_sends_nothing_any_more(served: Served) -> None:
    async with receiving() as receiver:
        await delegate(served, receiver.url)
        slow = courier(served, lease_seconds=0.4)
        taken = await slow.take()
        assert taken is not None
        await asyncio.sleep(0.3)
        assert await slow.deliver(*taken) == 0
        assert receiver.got == []
        assert await run_once(courier(served)) == 2, "and the callback is free again"


async def test_what_is_appended_at_any_moment_is_delivered(served: Served) -> None:
    count = 25
    async with receiving() as receiver:
        task = await delegate(served, receiver.url, cancel=False, callback_events=["message.sent"])
        runs = [asyncio.create_task(courier(served, look_seconds=0.001).run()) for _ in range(2)]
        async with served.http("quorra") as http:
            for n in range(count - 1):
                place = f"/api/v1/tasks/{task['id']}/messages"
                assert (await http.post(place, json={"text": f"{n}"})).status_code == 202
        await eventually(lambda: len(receiver.got) >= count, what="every message")
        for run in runs:
            await abandon(run)
    seqs = [got.json["seq"] for got in receiver.got]
    assert seqs == sorted(set(seqs))
    assert len(seqs) == count


async def test_a_quiet_callback_asks_for_nothing(served: Served) -> None:
    async with receiving() as receiver:
        await delegate(served, receiver.url, cancel=False)
        assert await courier(served).take() is None, "nothing of note has happened"
        assert receiver.got == []


async def test_one_client_does_not_take_all_rounds(served: Served) -> None:
    await served.key("alan", "delegate")
    async with receiving() as receiver:
        for n in range(EACH + 2):
            await delegate(served, f"{receiver.url}/{n}")
        async with served.http("alan") as http:
            order = {"instructions": "look", "callback_url": f"{receiver.url}/alan"}
            task = (await http.post("/api/v1/tasks", json=order)).json()
            await http.post(f"/api/v1/tasks/{task['id']}/cancel")
        taking = courier(served)
        held = []
        while taken := await taking.take():
            held.append(taken[0])
    assert len(held) == EACH + 1
    assert [h.url for h in held].count(f"{receiver.url}/alan") == 1


async def test_a_database_that_goes_away_is_outlived(served: Served) -> None:
    async with receiving() as receiver:
        run = asyncio.create_task(courier(served, lease_seconds=0.5).run())
        await delegate(served, receiver.url, cancel=False, callback_events=["message.sent"])
        await eventually(lambda: len(receiver.got) == 1, what="the first delivery")
        async with served.database.statement() as connection:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            await connection.execute(text(others + "AND datname = current_database()"))
        await delegate(served, receiver.url, cancel=False, callback_events=["message.sent"])
        await eventually(lambda: len(receiver.got) == 2, what="the second delivery")
        await abandon(run)


async def test_an_order_that_is_sent_again_shows_its_secret_again(served: Served) -> None:
    order = {"instructions": "look", "callback_url": "http://127.0.0.1:9/"}
    async with served.http("quorra") as http:

        async def post() -> httpx2.Response:
            return await http.post("/api/v1/tasks", json=order, headers={"idempotency-key": "one"})

        first, second = await post(), await post()
        assert first.json() == second.json()
        assert first.json()["callback_secret"].startswith("whsec_")
        place = f"/api/v1/tasks/{first.json()['id']}"
        assert "callback_secret" not in (await http.get(place)).json()
        assert first.json()["callback_secret"] not in (await http.get(place)).text
