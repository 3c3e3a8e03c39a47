"""What the model client adds to a call, against the simulator's `echo` model in a process of its own.

    .venv/bin/python bench/bench_model_client.py [--calls 300]

Two baselines ask for the same answer with the same bytes: a bare socket, which is the floor that the
simulator and the kernel set, and the SDK's own `messages.create(stream=True)`. Times are in
milliseconds, median and the 5th to 95th percentile; the rounds of all clients are interleaved, so that
a busy machine hits them alike.

- `to first`: from the call to the first item (the first delta's text, for the bare socket its bytes);
- `whole`: from the call to the end of the answer;
- `added`: the difference of `whole` to the bare socket in the same round.
"""

import argparse
import asyncio
import statistics
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from anthropic import AsyncAnthropic

from flynn.model.claude import Claude
from flynn.model.request import ModelRequest
from flynn.model.switches import Switches
from flynn.model.wire import encode

Times = tuple[float, float]
"""Seconds to the first item and to the end."""

ROUNDS = {"a short question": (1, 10), "a long prompt (300 KB)": (150, 10), "a long answer": (1, 1_000)}


def request_of(turns: int, tokens: int) -> ModelRequest:
    """A request with so many past turns, about 2 KB each, for an answer of so many tokens."""
    past = [
        message
        for n in range(turns - 1)
        for message in (
            {"role": "user", "content": [{"type": "text", "text": f"{n} " + "line of a log\n" * 100}]},
            {"role": "assistant", "content": [{"type": "text", "text": "I have read it. " * 40}]},
        )
    ]
    return ModelRequest(
        model=f"echo-{tokens}",
        max_tokens=8_000,
        system=[{"type": "text", "text": "You are Flynn."}],
        tools=[{"name": "Bash", "description": "Runs.", "input_schema": {"type": "object"}}],
        messages=[*past, {"role": "user", "content": [{"type": "text", "text": "Go on."}]}],
    )


class Socket:
    """The floor: one kept connection, the request's bytes, and a read until the closing chunk."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pipe: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, request: ModelRequest) -> Times:
        body = encode(request.body(Switches()))
        head = (
            "POST /v1/messages HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer k\r\n"
            "anthropic-version: 2026-10-21\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        if self._pipe is None:
            self._pipe = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._pipe
        began = perf_counter()
        writer.write(head.encode() + body)
        got, first = b"", 0.0
        while not got.endswith(b"\r\n0\r\n\r\n"):
            piece = await reader.read(1 << 16)
            if not piece or not got.startswith(b"HTTP/1.1 200"[: len(got)]):
                raise RuntimeError(f"no streamed answer: {(got + piece)[:300]!r}")
            got += piece
            if not first and b"text_delta" in got:
                first = perf_counter()
        return first - began, perf_counter() - began


async def through_flynn(claude: Claude, request: ModelRequest) -> Times:
    """Our client."""
    began, first = perf_counter(), 0.0
    async for _ in claude.stream(request):
        first = first or perf_counter()
    return first - began, perf_counter() - began


async def through_sdk(sdk: AsyncAnthropic, request: ModelRequest) -> Times:
    """The SDK's stream of typed events."""
    began, first = perf_counter(), 0.0
    body: dict[str, Any] = request.body(Switches())
    stream = await sdk.messages.create(**body)
    async for event in stream:
        if event.type == "content_block_start":
            first = first or perf_counter()
    return first - began, perf_counter() - began


def spread(seconds: list[float]) -> str:
    """Median and spread, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=20)
    return f"{statistics.median(seconds) * 1e3:7.2f}  ({cuts[0] * 1e3:.2f} to {cuts[-1] * 1e3:.2f})"


async def compare(url: str, calls: int) -> None:
    """Measure every round and print the table."""
    claude = Claude(api_key="k", base_url=url)
    sdk = AsyncAnthropic(api_key="k", base_url=url, max_retries=0)
    socket = Socket(int(url.rpartition(":")[2]))
    for name, (turns, tokens) in ROUNDS.items():
        request = request_of(turns, tokens)
        clients: dict[str, Callable[[], Awaitable[Times]]] = {
            "bare socket": lambda request=request: socket.call(request),  # type: ignore[misc] # binds the round
            "flynn.model": lambda request=request: through_flynn(claude, request),  # type: ignore[misc] # likewise
            "SDK, typed events": lambda request=request: through_sdk(sdk, request),  # type: ignore[misc] # likewise
        }
        taken: dict[str, list[Times]] = {client: [] for client in clients}
        for number in range(calls + 5):
            for client, call in clients.items():
                times = await call()
                if number >= 5:
                    taken[client].append(times)
        size = len(encode(request.body(Switches())))
        print(f"\n{name}: {size:,} bytes out, {tokens} tokens back, {calls} calls")
        print(f"{'':20}{'to first':>27}{'whole':>27}{'added':>27}")
        floor = [whole for _, whole in taken["bare socket"]]
        for client, times_of in taken.items():
            whole = [t for _, t in times_of]
            added = [mine - bare for mine, bare in zip(whole, floor, strict=True)]
            first = spread([t for t, _ in times_of])
            print(f"{client:20}{first:>27}{spread(whole):>27}{spread(added):>27}")
    await claude.close()
    await sdk.close()


async def main(calls: int) -> None:
    """Start a simulator, measure, stop it."""
    simulator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "flynn.simulator", stdout=asyncio.subprocess.PIPE
    )
    if simulator.stdout is None:
        raise RuntimeError("the simulator has no output")
    try:
        url = (await simulator.stdout.readline()).decode().strip()
        await compare(url, calls)
    finally:
        simulator.terminate()
        await simulator.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    asyncio.run(main(parser.parse_args().calls))
