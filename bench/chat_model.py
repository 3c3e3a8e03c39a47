"""The simulator for `bench_chat`: one token a delta, and it notes when each was sent.

`python -m bench.chat_model NOTES TOKENS SPEED`: prints its address; on SIGTERM writes NOTES, JSON: for each
user's marker (`<17>` in the message) pairs of the answer's length so far and the monotonic time, in seconds.
"""

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

import orjson

from flynn.simulator import Options, Pacing, SimulatorServer, parse_scenarios
from flynn.simulator.performance import Performance
from flynn.simulator.wire import Wire

SCRIPT = """
name: chat
loop: true
turns:
  - blocks: [{text: '{{ latest_message }} {{ words(%d) }}'}]
"""

_MARKER = re.compile(r"<(\d+)>")


class Noting:
    """Watches what wires write: text deltas, their lengths and times."""

    def __init__(self) -> None:
        self._wires: dict[Wire, tuple[list[str], list[tuple[int, float]]]] = {}

    def note(self, wire: Wire, data: bytes, at: float) -> None:
        """Note the deltas in `data`, sent by `wire` at a time."""
        if b'"text_delta"' not in data:
            return
        pieces, times = self._wires.setdefault(wire, ([], []))
        for event in data.split(b"\n\n"):
            if b'"text_delta"' in event:
                text = orjson.loads(event.partition(b"data: ")[2])["delta"]["text"]
                pieces.append(text)
                times.append(((times[-1][0] if times else 0) + len(text), at))

    def notes(self) -> dict[str, list[tuple[int, float]]]:
        """What was noted, by the users' markers."""
        answers = (("".join(pieces), times) for pieces, times in self._wires.values())
        return {found[1]: times for text, times in answers if (found := _MARKER.search(text))}


async def main(notes: Path, tokens: int, speed: int) -> None:
    """Serve until SIGTERM."""
    noting = Noting()
    write, loop = Wire.write, asyncio.get_running_loop()

    async def noted(wire: Wire, data: bytes) -> None:
        noting.note(wire, data, loop.time())
        await write(wire, data)

    Wire.write = noted  # type: ignore[method-assign, assignment]  # a stop-watch on the way out
    Performance._delta_size = lambda _self, _unpaced: 3  # type: ignore[method-assign, assignment]  # one token a delta
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    options = Options(pacing=Pacing(tokens_per_second=speed))
    async with SimulatorServer(parse_scenarios(SCRIPT % tokens), options) as server:
        print(server.url, flush=True)
        await over.wait()
        await asyncio.to_thread(notes.write_text, json.dumps(noting.notes()))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
