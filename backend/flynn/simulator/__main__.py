"""`python -m flynn.simulator --port 8787 --scenario FILE`: a simulator in a process of its own."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from flynn.simulator import Options, Pacing, Scenario, ScenarioError, SimulatorServer, load_scenarios


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM. The first line of output is the URL. 2: the arguments are wrong."""
    parser = argparse.ArgumentParser(prog="python -m flynn.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument(
        "--scenario", type=Path, action="append", default=[], help="a YAML file or a directory of them"
    )
    parser.add_argument("--key", action="append", help="accept only this API key (repeatable)")
    parser.add_argument("--binding", choices=["strict", "off"], default="strict", help="of thinking blocks")
    parser.add_argument("--unproven", choices=["warn", "refuse"], default="warn", help="rules without proof")
    parser.add_argument("--tokens-per-second", type=float, default=0, help="0: as fast as possible")
    parser.add_argument("--first-token-ms", type=float, default=0)
    parser.add_argument("--context-tokens", type=int, help="lower every model's context")
    given = parser.parse_args(arguments)
    options = Options(
        keys=frozenset(given.key) if given.key else None,
        binding=given.binding,
        unproven=given.unproven,
        pacing=Pacing(first_token_ms=given.first_token_ms, tokens_per_second=given.tokens_per_second),
        context_tokens=given.context_tokens,
    )
    try:
        scenarios = [scenario for path in given.scenario for scenario in load_scenarios(path)]
        asyncio.run(_serve(scenarios, options, given.port))
    except ScenarioError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"cannot listen on 127.0.0.1:{given.port}: {error.strerror}\n")
        return 2
    return 0


async def _serve(scenarios: Sequence[Scenario], options: Options, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with SimulatorServer(scenarios, options, port=port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
