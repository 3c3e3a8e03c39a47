"""What a worker counts of itself: runs that it took and took over, and how long they took to stop."""

from pathlib import Path

from prometheus_client import CollectorRegistry

from flynn.domain import events as ev
from flynn.domain.orders import InterruptOrder
from tests.eventually import abandon, eventually
from tests.house import TestLease, open_house

HANGS = """
name: hangs
turns:
  - faults: [{kind: hang, after_event: content_block_delta, on_attempt: 1}]
    blocks: [{text: Some words come and then no more.}]
"""


def value(registry: CollectorRegistry, name: str) -> float:
    found = registry.get_sample_value(name)
    assert found is not None, name
    return found


async def test_a_run_that_is_taken_over_is_counted(tmp_path: Path) -> None:
    async with open_house(tmp_path, HANGS) as house:
        registry = house.metrics.registry
        conversation = await house.converse()
        await house.say(conversation.id, "Speak.")
        ((run_id, job_id),) = await house.jobs()
        worker = await house.start_work()
        await eventually(lambda: bool(house.deltas), what="the first words")
        assert value(registry, "flynn_claims_total") == 1
        assert value(registry, "flynn_takeovers_total") == 0
        await abandon(worker)
        await house.runner.run(run_id, TestLease(job_id, worker="the next one"))
        assert value(registry, "flynn_claims_total") == 2
        assert value(registry, "flynn_takeovers_total") == 1


async def test_a_run_that_waited_is_no_takeover(tmp_path: Path) -> None:
    script = "name: a\nturns: [{blocks: [{text: Hello.}]}]\nloop: true\n"
    async with open_house(tmp_path, script) as house:
        conversation = await house.converse()
        for words in ("Hello?", "And now?"):
            await house.say(conversation.id, words)
            await house.work()
        assert value(house.metrics.registry, "flynn_claims_total") == 2
        assert value(house.metrics.registry, "flynn_takeovers_total") == 0


async def test_how_long_a_run_took_to_stop_is_measured_from_commit_to_commit(tmp_path: Path) -> None:
    async with open_house(tmp_path, HANGS) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Speak.")
        worker = await house.start_work()
        await eventually(lambda: bool(house.deltas), what="the first words")
        await house.intake.interrupt(house.owner, conversation.id, InterruptOrder())
        await worker
        log = await house.log(conversation.id)
        asked = next(r.at for r in log if isinstance(r.event, ev.InterruptRequested))
        ended = next(r.at for r in log if isinstance(r.event, ev.RunCancelled))
        registry = house.metrics.registry
        assert value(registry, "flynn_interrupt_seconds_count") == 1
        assert value(registry, "flynn_interrupt_seconds_sum") == (ended - asked).total_seconds()


async def test_a_run_that_no_worker_held_takes_no_time_to_stop(tmp_path: Path) -> None:
    async with open_house(tmp_path, HANGS) as house:
        conversation = await house.converse()
        await house.say(conversation.id, "Speak.")
        await house.intake.interrupt(house.owner, conversation.id, InterruptOrder())
        assert value(house.metrics.registry, "flynn_interrupt_seconds_count") == 0
