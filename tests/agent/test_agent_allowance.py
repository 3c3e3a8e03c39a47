"""The allowance of a step: whatever its calls bring, the conversation grows by no more than so much."""

import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flynn.agent.allowance import LEAST, RESERVE, shares, within_allowance
from flynn.agent.estimate import STEP_TOKENS, tokens_of
from flynn.agent.fold import Transcript
from flynn.domain.events import ToolFinished
from flynn.domain.evidence import FileRead
from flynn.domain.run import Limits
from flynn.domain.tool_result import Outcome
from tests.house import House, open_house

SIZES = st.lists(st.integers(1, 2 * STEP_TOKENS), min_size=1, max_size=30)


@given(SIZES, st.integers(-STEP_TOKENS, STEP_TOKENS))
def test_small_results_are_whole_and_large_ones_get_the_same(sizes: list[int], room: int) -> None:
    granted = shares(sizes, room)
    assert sum(granted) <= max(room, 0) + LEAST * len(sizes)
    largest = max(granted)
    for size, share in zip(sizes, granted, strict=True):
        assert min(size, LEAST) <= share <= size
        assert share == size or share >= largest - len(sizes)


def ended(content: Any, *evidence: FileRead) -> ToolFinished:
    block = {"type": "tool_result", "tool_use_id": "c", "content": content}
    return ToolFinished(
        step=1,
        call_id="c",
        tool="Read",
        outcome=Outcome.OK,
        content=[block],
        evidence=list(evidence),
        duration_ms=1,
    )


def transcript() -> Transcript:
    return Transcript(prefix={}, limits=Limits(turns=1, nanodollars=1, prompt_tokens=1))


async def test_what_fits_is_left_alone() -> None:
    found = [ended("x" * 50_000), ended("y" * 49_000)]
    kept: list[str] = []
    assert await within_allowance(found, transcript(), later=0, keep=keeping(kept)) == found
    assert kept == []


def keeping(kept: list[str]) -> Any:
    async def keep(text: str) -> str:
        kept.append(text)
        return f"Kept as {len(kept)}."

    return keep


async def test_what_does_not_fit_loses_its_middle_is_kept_whole_and_counts_as_seen_in_part() -> None:
    long = "".join(f"line {n}\n" for n in range(20_000))
    read = FileRead(path="a", sha256="0" * 64, complete=True)
    kept: list[str] = []
    small, cut = await within_allowance(
        [ended("small"), ended(long, read)], transcript(), later=2, keep=keeping(kept)
    )
    assert small.content[0]["content"] == "small"
    assert kept == [long]
    said = cut.content[0]["content"]
    assert said.startswith("line 0\n")
    assert "line 19999\n" in said
    assert said.endswith("so this one was cut. Kept as 1.]")
    assert STEP_TOKENS - 3 * RESERVE < tokens_of(cut.content) <= STEP_TOKENS - 2 * RESERVE
    assert [item.model_dump()["complete"] for item in cut.evidence] == [False]


async def test_texts_give_way_beside_pictures() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "x"}}
    content = [{"type": "text", "text": "a" * 200_000}, picture, {"type": "text", "text": "b"}]
    (cut,) = await within_allowance([ended(content)], transcript(), later=0, keep=keeping([]))
    first, shown, second, told = cut.content[0]["content"]
    assert len(first["text"]) < 100_000
    assert shown == picture
    assert second["text"] == "b"
    assert "Kept as 1." in told["text"]
    assert tokens_of(cut.content) <= STEP_TOKENS


READS = """
name: reads
turns:
  - blocks:
      - {tool: Read, input: {file_path: one.txt}}
      - {tool: Read, input: {file_path: two.txt}}
      - {tool: Read, input: {file_path: three.txt}}
      - {tool: Read, input: {file_path: small.txt}}
      - {tool: Write, input: {file_path: made.txt, content: made}}
  - blocks: [{text: That was much.}]
"""


async def results(house: House, conversation_id: Any) -> list[ToolFinished]:
    return [r.event for r in await house.log(conversation_id) if isinstance(r.event, ToolFinished)]


async def test_a_step_that_reads_much_stays_within_it_and_the_rest_can_be_read(tmp_path: Path) -> None:
    async with open_house(tmp_path, READS) as house:
        for name in ("one", "two", "three"):
            (house.workspace / f"{name}.txt").write_text(f"{name} and more of the same\n" * 3_500)
        (house.workspace / "small.txt").write_text("small\n")
        conversation = await house.converse()
        await house.say(conversation.id, "Read all of it.")
        await house.work()
        found = await results(house, conversation.id)
        assert sum(tokens_of(event.content) for event in found) <= STEP_TOKENS
        assert "small" in found[3].content[0]["content"]
        assert found[4].outcome is Outcome.OK
        for event in found[:3]:
            said = event.content[0]["content"]
            named = re.search(r"The whole is in /tmp/(flynn-output/r[0-9a-f]+\.txt)", said)
            assert named is not None
            whole = next((tmp_path / "private" / "scratch").glob(f"*/{named[1]}")).read_text()
            assert tokens_of(event.content) < tokens_of(whole)
            assert said.split("\n")[0] in whole
        assert (await house.types(conversation.id))[-1] == "run.completed"
