"""Words committed in the same instant as the end of a run: none is left unanswered, none heard twice.

However the run ends (well, badly, stopped), words sent around that instant either keep it from ending, or
get a run of their own. Many races, with real transactions on a real database.
"""

import asyncio
import random
from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from flynn.domain import events as ev
from flynn.domain.orders import InterruptOrder
from flynn.simulator import Options
from tests.house import House, open_house

RACES = 60
STRICT = Options(binding="strict", unproven="refuse")
SCRIPTS = """
name: late
match: By the way
match_in: latest_message
turns: [{blocks: [{text: And that too.}]}]
---
name: well
match: End well
turns: [{blocks: [{text: Well.}]}]
---
name: badly
match: End badly
turns: [{faults: [{kind: bad_request}], blocks: [{text: Never seen.}]}]
---
name: stopped
match: Be stopped
turns: [{faults: [{kind: hang, after_event: message_start}], blocks: [{text: Never seen.}]}]
"""


def of(house: House, conversation_id: UUID, *kinds: type[ev.EventData]) -> list[ev.Recorded]:
    """What was published of a conversation, of these kinds."""
    return [r for r in house.published if r.conversation_id == conversation_id and isinstance(r.event, kinds)]


def before_interrupt(log: list[ev.Recorded]) -> bool:
    """Whether the late words had been committed when the interrupt was."""
    asked = [r.seq for r in log if isinstance(r.event, ev.InterruptRequested)]
    return bool(asked) and [r.seq for r in log if isinstance(r.event, ev.MessageSent)][1] < asked[0]


async def begun(house: House, conversation_id: UUID) -> None:
    """Wait for the model call, no longer than a few milliseconds more than it takes."""
    async with asyncio.timeout(30):
        while not of(house, conversation_id, ev.StepStarted):  # noqa: ASYNC110 -- the house tells nobody
            await asyncio.sleep(0.001)


async def race(house: House, number: int, words: str, chance: random.Random) -> UUID:
    """One race: late words around the end of the run; gives the conversation, all of it at rest."""
    conversation_id = (await house.converse()).id
    await house.say(conversation_id, f"{words}, number {number}.")
    worker = await house.start_work()
    await begun(house, conversation_id)

    async def interrupt() -> None:
        await asyncio.sleep(0.01 + chance.uniform(0, 0.01))
        await house.intake.interrupt(house.owner, conversation_id, InterruptOrder())

    async def say() -> None:
        await asyncio.sleep(chance.uniform(0, 0.025))
        await house.say(conversation_id, "By the way, late words.")

    await asyncio.gather(say(), *([interrupt()] if words == "Be stopped" else []))
    await worker
    await house.work()
    return conversation_id


@pytest.mark.slow
@pytest.mark.parametrize("words", ["End well", "End badly", "Be stopped"])
async def test_words_in_the_instant_of_the_end_are_answered_once(tmp_path: Path, words: str) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    ways: Counter[str] = Counter()
    async with open_house(tmp_path, SCRIPTS, options=STRICT) as house:
        for number in range(RACES):
            conversation_id = await race(house, number, words, chance)
            log = await house.log(conversation_id)
            if before_interrupt(log):
                # Whoever speaks and then says stop has stopped that too; it is heard with the next words.
                await house.say(conversation_id, "By the way, I am back.")
                await house.work()
                log = await house.log(conversation_id)
            assert [r.seq for r in log] == list(range(1, len(log) + 1))
            first, late, *_ = (r.seq for r in log if isinstance(r.event, ev.MessageSent))
            answered = {r.event.step for r in log if isinstance(r.event, ev.StepCompleted)}
            heard = [
                seq
                for r in log
                if isinstance(r.event, ev.StepStarted) and r.event.step in answered
                for seq in r.event.input_seqs
            ]
            assert heard.count(late) == 1, f"race {number}: the late words are in {heard.count(late)} answers"
            assert heard.count(first) == 1
            queued = [r.event.reason for r in log if isinstance(r.event, ev.RunQueued)]
            ends = [r for r in log if isinstance(r.event, ev.RunCompleted | ev.RunFailed | ev.RunCancelled)]
            assert len(ends) == len(queued) == len({r.run_id for r in ends})
            assert isinstance(ends[-1].event, ev.RunCompleted)
            ways["before the interrupt" if before_interrupt(log) else (*queued, "joined")[1]] += 1
    print(f"{RACES} races: {dict(ways)}")
    assert ways.total() == RACES
