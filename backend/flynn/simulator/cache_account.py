"""The account of the prompt cache: which part of a prompt is read, written or neither.

Sources: K prompt-caching.md and CLAUDE_PLATFORM.md section 5: order tools, system, messages; per API key
(the API: per workspace); the key of an entry is everything before it; a breakpoint finds entries up to
20 positions back, a run of tool_use or tool_result blocks counting as one and the breakpoint as the
first; at least 512 tokens; TTL of 5 minutes or 1 hour, from the start of the request; a read refreshes.
What changes misses: model and tools all, system and the answer's format (which is told to the model beside
it; docs: structured-outputs) the system and messages, tool_choice, images, thinking and effort the messages.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from flynn.domain.content import Json
from flynn.simulator.reading import digest
from flynn.simulator.reply import InputUsage
from flynn.simulator.rules.judgement import Verdict

_LOOKBACK: Final = 20
_SECONDS: Final = {"5m": 300.0, "1h": 3600.0}
_RUNS: Final = frozenset({"tool_use", "tool_result"})
_NOT_CACHEABLE: Final = frozenset({"thinking", "redacted_thinking"})


@dataclass(slots=True)
class _Entry:
    ttl: str
    expires: float


@dataclass(frozen=True, slots=True)
class _Place:
    """A position with what the account needs: the digest and the tokens of everything up to it."""

    key: bytes
    tokens: int
    slot: int
    """Number of the position when runs of calls or results count as one."""
    ttl: str | None


@dataclass(frozen=True, slots=True)
class Posting:
    """What one request reads and would write. It is booked when the answer begins."""

    usage: InputUsage
    key: str
    started: float
    reads: tuple[bytes, ...]
    writes: tuple[tuple[bytes, str], ...]


class CacheAccount:
    """The cache entries of every API key."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[tuple[str, bytes], _Entry] = {}

    def quote(self, key: str, payload: dict[str, Json], verdict: Verdict) -> Posting:
        """Work out what a request reads and writes, without booking it."""
        now = self._clock()
        places = list(_places(payload, verdict))
        total = places[-1].tokens if places else 0
        marks = [place for place in places if place.ttl is not None]
        read, reads = 0, []
        for mark in marks:
            hit = self._lookup(key, places, mark, now)
            if hit is not None:
                reads.append(hit.key)
                read = max(read, hit.tokens)
        covered = read
        written = {"5m": 0, "1h": 0}
        writes: list[tuple[bytes, str]] = []
        for mark in marks:
            if mark.tokens > covered and mark.tokens >= verdict.model.cache_minimum and mark.ttl is not None:
                written[mark.ttl] += mark.tokens - covered
                covered = mark.tokens
                writes.append((mark.key, mark.ttl))
        usage = InputUsage(total - covered, read, written["5m"], written["1h"])
        return Posting(usage, key, now, tuple(reads), tuple(writes))

    def book(self, posting: Posting) -> None:
        """Refresh what was read and keep what was written, as the answer begins."""
        for place in posting.reads:
            entry = self._entries.get((posting.key, place))
            if entry is not None:
                entry.expires = posting.started + _SECONDS[entry.ttl]
        for place, ttl in posting.writes:
            self._entries[posting.key, place] = _Entry(ttl, posting.started + _SECONDS[ttl])
        if len(self._entries) > 100_000:
            self._entries = {k: e for k, e in self._entries.items() if e.expires > posting.started}

    def reset(self) -> None:
        """Forget all entries."""
        self._entries.clear()

    def _lookup(self, key: str, places: Sequence[_Place], mark: _Place, now: float) -> _Place | None:
        for place in reversed(places):
            if place.tokens > mark.tokens or place.slot > mark.slot:
                continue
            if place.slot <= mark.slot - _LOOKBACK:
                return None
            entry = self._entries.get((key, place.key))
            if entry is not None and entry.expires > now:
                return place
        return None


def _places(payload: dict[str, Json], verdict: Verdict) -> Iterator[_Place]:
    positions = verdict.positions
    last = max(
        (i for i, (_, p) in enumerate(positions) if p.kind not in _NOT_CACHEABLE),
        default=None,
    )
    chain = digest(payload["model"].encode())
    size, slot = 0, -1
    previous: tuple[int | None, str] | None = None
    in_tools, in_messages = True, False
    schema = ((payload.get("output_config") or {}).get("format") or {}).get("schema")
    for index, (message, position) in enumerate(positions):
        if in_tools and position.kind != "tool":
            in_tools = False
            if schema is not None:
                chain = digest(chain, orjson.dumps(schema))
        if message is not None and not in_messages:
            in_messages = True
            chain = digest(chain, _message_settings(payload, verdict))
        chain = digest(chain, _role(message, verdict), position.digest)
        size += position.tokens
        run = (message, position.kind)
        if run != previous or position.kind not in _RUNS:
            slot += 1
        previous = run
        ttl = position.ttl
        if ttl is None and index == last:
            ttl = verdict.automatic
        yield _Place(chain, size, slot, ttl)


def _message_settings(payload: dict[str, Json], verdict: Verdict) -> bytes:
    """What changes the cached form of the messages: tool_choice, thinking, effort, images or none."""
    effort = (payload.get("output_config") or {}).get("effort")
    images = any(reading.images for reading in verdict.readings)
    return orjson.dumps([payload.get("tool_choice"), payload.get("thinking"), effort, images])


def _role(message: int | None, verdict: Verdict) -> bytes:
    return b"" if message is None else verdict.readings[message].role.encode()
