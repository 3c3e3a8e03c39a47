"""The prompt cache's account: what is read, written and paid in full."""

from typing import Any

import pytest

from flynn.simulator import Options, Scenario
from tests.simulator.conftest import Dial, Start

MARK: Any = {"type": "ephemeral"}
HOUR: Any = {"type": "ephemeral", "ttl": "1h"}
LONG = "a fact of the case " * 200
LOOP = [Scenario.model_validate({"name": "l", "loop": True, "turns": [{"blocks": [{"text": "Yes."}]}]})]


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def ask(**fields: Any) -> dict[str, Any]:
    return {
        "model": "claude-haiku-5-5",
        "max_tokens": 10,
        "system": [{"type": "text", "text": LONG, "cache_control": MARK}],
        "messages": [{"role": "user", "content": "Go."}],
        **fields,
    }


async def usage(http: Any, payload: Any, **headers: str) -> tuple[int, int, int, int]:
    """Tokens in full, read, written for five minutes, written for an hour."""
    answer = await http.post("/v1/messages", json=payload, headers=headers)
    assert answer.status_code == 200, answer.text
    u = answer.json()["usage"]
    split = u["cache_creation"]
    five, hour = split["ephemeral_5m_input_tokens"], split["ephemeral_1h_input_tokens"]
    assert u["cache_creation_input_tokens"] == five + hour
    return u["input_tokens"], u["cache_read_input_tokens"], five, hour


async def test_a_prefix_is_written_once_and_then_read(dial: Dial) -> None:
    http = await dial(LOOP)
    full, read, five, hour = await usage(http, ask())
    assert (read, hour) == (0, 0)
    assert five > 1000
    assert full < 10
    assert await usage(http, ask(messages=[{"role": "user", "content": "Ho!"}])) == (full, five, 0, 0)


async def test_each_key_has_a_cache_of_its_own(dial: Dial) -> None:
    http = await dial(LOOP)
    first = await usage(http, ask())
    assert await usage(http, ask(), **{"x-api-key": "another"}) == first


async def test_a_growing_conversation_reads_what_it_wrote(dial: Dial) -> None:
    http = await dial(LOOP)
    messages: list[Any] = [{"role": "user", "content": "Go."}]
    covered = 0
    for _ in range(4):
        full, read, written, _ = await usage(http, ask(messages=messages, cache_control=MARK))
        assert full == 0
        assert read == covered
        covered += written
        messages += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": LONG}]


async def test_a_read_refreshes_and_the_ttl_counts_from_the_request(dial: Dial) -> None:
    clock = Clock()
    http = await dial(LOOP, Options(clock=clock))
    _, _, size, _ = await usage(http, ask())
    for clock.now in (299.0, 598.0):
        assert (await usage(http, ask()))[1] == size
    clock.now += 300
    assert (await usage(http, ask()))[1:3] == (0, size)


async def test_an_hour_lasts_an_hour_and_keeps_its_length_when_read(dial: Dial) -> None:
    clock = Clock()
    http = await dial(LOOP, Options(clock=clock))
    payload = ask(system=[{"type": "text", "text": LONG, "cache_control": HOUR}])
    assert (await usage(http, payload))[3] > 1000
    for clock.now in (3599.0, 7100.0):
        assert (await usage(http, payload))[1] > 1000
    clock.now += 3600
    assert (await usage(http, payload))[1] == 0


async def test_both_ttls_are_split(dial: Dial) -> None:
    http = await dial(LOOP)
    payload = ask(
        system=[{"type": "text", "text": LONG, "cache_control": HOUR}],
        messages=[{"role": "user", "content": LONG}],
        cache_control=MARK,
    )
    full, read, five, hour = await usage(http, payload)
    assert (full, read) == (0, 0)
    assert hour == five > 1000


async def test_short_prefixes_are_not_kept(dial: Dial) -> None:
    http = await dial(LOOP)
    short = ask(system=[{"type": "text", "text": "x" * 3 * 508, "cache_control": MARK}])
    assert (await usage(http, short))[1:] == (0, 0, 0)
    enough = ask(system=[{"type": "text", "text": "x" * 3 * 509, "cache_control": MARK}])
    assert (await usage(http, enough))[2] == 512


BLOCKS = [{"type": "text", "text": f"block {i} " * 20} for i in range(40)]


def marked_at(*places: int, upto: int = 40) -> Any:
    blocks = [{**b, "cache_control": MARK} if i in places else b for i, b in enumerate(BLOCKS[:upto])]
    return ask(system=[{"type": "text", "text": "s"}], messages=[{"role": "user", "content": blocks}])


@pytest.mark.parametrize(("later", "hit"), [(29, True), (30, False)])
async def test_a_breakpoint_looks_back_twenty_positions(dial: Dial, later: int, *, hit: bool) -> None:
    http = await dial(LOOP)
    _, _, written, _ = await usage(http, marked_at(10, upto=11))
    assert written >= 512
    read = (await usage(http, marked_at(later, upto=later + 1)))[1]
    assert read == (written if hit else 0)


async def test_an_earlier_breakpoint_finds_what_the_last_one_is_too_far_from(dial: Dial) -> None:
    http = await dial(LOOP)
    _, _, written, _ = await usage(http, marked_at(10, upto=11))
    assert (await usage(http, marked_at(20, 39)))[1] == written


async def test_a_run_of_results_is_one_position(dial: Dial) -> None:
    http = await dial(LOOP)
    tool = {"name": "Read", "input_schema": {"type": "object"}}
    calls = [{"type": "tool_use", "id": f"t{i}", "name": "Read", "input": {}} for i in range(30)]
    results = [{"type": "tool_result", "tool_use_id": f"t{i}", "content": "ok"} for i in range(30)]
    before = ask(tools=[tool], messages=[{"role": "user", "content": LONG}], cache_control=MARK)
    after = {
        **before,
        "messages": [
            *before["messages"],
            {"role": "assistant", "content": calls},
            {"role": "user", "content": results},
        ],
    }
    _, _, written, _ = await usage(http, before)
    assert (await usage(http, after))[1] == written


SYSTEM_AND_WORDS: Any = {"messages": [{"role": "user", "content": LONG}], "cache_control": MARK}


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({}, "all"),
        ({"max_tokens": 9}, "all"),
        ({"model": "claude-sonnet-5-5"}, "nothing"),
        ({"tools": [{"name": "Read", "input_schema": {"type": "object"}}]}, "nothing"),
        ({"tool_choice": {"type": "none"}}, "system"),
        ({"output_config": {"effort": "low"}}, "system"),
        ({"thinking": {"type": "disabled"}}, "system"),
    ],
    ids=["nothing", "max_tokens", "model", "tools", "tool_choice", "effort", "thinking"],
)
async def test_what_a_change_misses(dial: Dial, change: Any, kept: str) -> None:
    http = await dial(LOOP)
    _, _, all_of_it, _ = await usage(http, ask(**SYSTEM_AND_WORDS))
    read = (await usage(http, ask(**{**SYSTEM_AND_WORDS, **change})))[1]
    match kept:
        case "all":
            assert read == all_of_it
        case "system":
            assert 0 < read < all_of_it
        case _:
            assert read == 0


async def test_a_failed_call_writes_nothing(dial: Dial) -> None:
    script = """
name: f
turns: [{blocks: [{text: Yes.}], faults: [{kind: overloaded, on_attempt: 1}]}]
"""
    http = await dial(script)
    assert (await http.post("/v1/messages", json=ask())).status_code == 529
    assert (await usage(http, ask()))[1] == 0
    assert (await usage(http, ask()))[1] > 0


async def test_counting_neither_reads_nor_writes(dial: Dial) -> None:
    http = await dial(LOOP)
    payload = ask()
    del payload["max_tokens"]
    count = (await http.post("/v1/messages/count_tokens", json=payload)).json()["input_tokens"]
    full, read, written, _ = await usage(http, ask())
    assert read == 0
    assert full + written == count


async def test_warming_samples_nothing_and_is_read_afterwards(start: Start) -> None:
    _, sdk = await start(LOOP)
    warm = await sdk.messages.create(**ask(max_tokens=0))
    assert warm.content == []
    assert warm.usage.output_tokens == 0
    written = warm.usage.cache_creation_input_tokens
    async with sdk.messages.stream(**ask()) as stream:
        message = await stream.get_final_message()
    assert message.usage.cache_read_input_tokens == written > 0
    assert message.usage.cache_creation_input_tokens == 0
