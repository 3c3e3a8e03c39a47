"""Claude: the Messages API over HTTP, by Anthropic's SDK.

The SDK gives the connection pool, authentication, versions, errors and the decoder of server-sent
events; its retries are off, and its models are not built for every delta: requests leave as bytes
that we encoded, events are read as JSON. Each call is one attempt. What goes wrong is one of
flynn.model.failures, and the caller decides.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import quote

import httpx2
from anthropic import APIError, APIStatusError, AsyncStream, Timeout

from flynn.domain.content import Json
from flynn.model.assembly import Assembly, broken
from flynn.model.breaker import Breaker, Standing
from flynn.model.breath import Breath, Breathing
from flynn.model.connection import Connection, key_missing
from flynn.model.diagnosis import of_error_event, of_no_answer, of_status
from flynn.model.facts import ModelFacts, facts_of
from flynn.model.failures import BrokenStream, CallFailed, EndpointAway
from flynn.model.request import ModelRequest
from flynn.model.response import check_is_stream, drain
from flynn.model.stream import ModelStream, StreamItem, Tally
from flynn.model.switches import Switches
from flynn.model.watchdog import Watchdog
from flynn.model.wire import decode, encode

ANTHROPIC_URL = "https://api.anthropic.com"

_ANTHROPIC = Switches()
_NO_ANSWER = (APIError, httpx2.HTTPError, ValueError)
"""What the SDK raises for no answer, for an error whose body was cut, and for an answer that is no JSON."""
_STREAMED: Final[bool] = True
_LACKING = frozenset({404, 405, 501})
_REFUSED_KEY = frozenset({401, 403})


class Claude:
    """A client of one endpoint. Safe for concurrent calls; close it when the process ends.

    `idle_timeout_seconds` is the longest silence on an open call: before the answer begins, whatever
    pings come, and between its bytes. Once it has begun, pings may stand for thinking that is not shown;
    they are believed for as long as the whole answer could take (flynn.model.watchdog).

    `api_key` is the key, or what gives the one that holds now (flynn.model.connection). Without one nobody
    is called: each call fails as KeyMissing.

    A model that does not answer is not called for a while (flynn.model.breaker): then calls fail at once
    as EndpointAway. `changed` is told of it.
    """

    def __init__(
        self,
        *,
        api_key: str | Callable[[], str | None] | None,
        base_url: str | None = None,
        switches: Switches = _ANTHROPIC,
        idle_timeout_seconds: float = 90,
        connect_timeout_seconds: float = 5,
        changed: Callable[[Standing], None] | None = None,
    ) -> None:
        self._switches = switches
        self._idle_timeout = idle_timeout_seconds
        self._connect_timeout = connect_timeout_seconds
        self._changed = changed
        self._breakers: dict[str, Breaker] = {}
        self._breath = Breath()
        self._connection = Connection(
            api_key if callable(api_key) else lambda: api_key,
            base_url=base_url or ANTHROPIC_URL,
            switches=switches,
            timeout=Timeout(idle_timeout_seconds, connect=connect_timeout_seconds),
        )

    def stream(self, request: ModelRequest) -> ModelStream:
        """Make one call; nothing is sent before the first item is asked for.

        The last item is MessageReceived. Raises a CallFailed: see flynn.model.failures. Closing the
        stream, or cancelling the task that waits for its next item, closes the socket.
        """
        tally = Tally()
        return ModelStream(self._items(request, tally), tally)

    def refusal(self, model: str) -> EndpointAway | None:
        """Why `model` would not be called now, and when it will be; None when it would be."""
        return self._breaker(model).refusal() if self._connection.ready else key_missing()

    @property
    def structured(self) -> bool:
        """Whether the endpoint holds an answer to a format."""
        return self._switches.structured

    @property
    def key_accepted(self) -> bool | None:
        """Whether the endpoint took the present key when it was last asked; None when it never was."""
        return self._connection.accepted

    def standings(self) -> list[Standing]:
        """How each model that was ever called is seen from here."""
        return [breaker.standing for breaker in self._breakers.values()]

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """The provider's estimate of the prompt's size; None where the endpoint does not count.

        Raises a CallFailed when the endpoint counts but this call failed, or is not made.
        """
        if not self._switches.count_tokens:
            return None
        if away := self.refusal(request.model):
            raise away
        content = encode(request.prompt(self._switches))
        try:
            counted = await self._connection.send(
                lambda client, headers: client.post(
                    "/v1/messages/count_tokens",
                    cast_to=object,
                    content=content,
                    options={"headers": headers},
                )
            )
        except APIStatusError as error:
            if error.status_code in _LACKING and error.type is None:
                return None
            raise of_status(error) from None
        except _NO_ANSWER as error:
            raise self._unanswered(error) from None
        tokens = counted.get("input_tokens") if isinstance(counted, dict) else None
        return tokens if isinstance(tokens, int) else None

    async def facts(self, model: str) -> ModelFacts:
        """What the Models API says of `model`. Raises a CallFailed, Permanent for an unknown model."""
        described = await self._get(f"/v1/models/{quote(model, safe='')}")
        if not isinstance(described, dict):
            raise BrokenStream(
                f"The endpoint does not describe the model {model!r} but says: {described!s:.200}"
            )
        return facts_of(described)

    async def try_key(self, key: str) -> bool | None:
        """Ask the Models API with `key`, which costs nothing: True when it takes it, False when it does not.

        None where the endpoint has no Models API. Raises the CallFailed that says why nobody knows.
        """
        try:
            found = await self._get("/v1/models", key=key, params={"limit": 1})
        except CallFailed as failure:
            if failure.provider_status in _REFUSED_KEY:
                return False
            if failure.provider_status in _LACKING:
                return None
            raise
        if not (isinstance(found, dict) and isinstance(found.get("data"), list)):
            raise BrokenStream("The endpoint does not answer as the Models API does.")
        return True

    async def close(self) -> None:
        """Close the connections. Calls that are under way fail."""
        await self._connection.close()

    async def _get(
        self, path: str, *, key: str | None = None, params: Mapping[str, object] | None = None
    ) -> Json:
        try:
            return await self._connection.send(
                lambda client, headers: client.get(
                    path, cast_to=object, options={"headers": headers, "params": params or {}}
                ),
                key=key,
            )
        except APIStatusError as error:
            raise of_status(error) from None
        except _NO_ANSWER as error:
            raise self._unanswered(error) from None

    def _breaker(self, model: str) -> Breaker:
        breaker = self._breakers.get(model)
        if breaker is None:
            breaker = self._breakers[model] = Breaker(model, changed=self._changed)
        return breaker

    async def _items(self, request: ModelRequest, tally: Tally) -> AsyncGenerator[StreamItem, None]:
        content = encode(request.body(self._switches))
        with self._breaker(request.model).call() as attempt:
            began = time.monotonic()
            first_token_ms: int | None = None
            response = await self._open(content)
            try:
                tally.request_id = response.headers.get("request-id")
                await check_is_stream(response, tally)
                assembly = Assembly(tally, missing_usage=self._switches.missing_usage)
                answer = Breathing(response, self._breath)
                events = AsyncStream.raw_events(cast(httpx2.Response, answer))
                with self._breath, Watchdog(self._idle_timeout, request.max_tokens) as watchdog:
                    while (
                        not assembly.stopped
                        and (event := await self._next(events, tally, watchdog)) is not None
                    ):
                        watchdog.heard(event)
                        item = _feed(assembly, event, tally)
                        if item is not None:
                            if first_token_ms is None:
                                first_token_ms = _milliseconds_since(began)
                                attempt.answer()
                            yield item
                duration_ms = _milliseconds_since(began)
                answer.hurried = True
                await drain(events)
                message = assembly.finish(first_token_ms=first_token_ms, duration_ms=duration_ms)
                attempt.answer()
            finally:
                await response.aclose()
        yield message

    async def _open(self, content: bytes) -> httpx2.Response:
        """Send the call and wait for the head of the answer, which is read by nobody yet."""
        try:
            response = await self._connection.send(
                lambda client, headers: client.post(
                    "/v1/messages",
                    cast_to=httpx2.Response,
                    content=content,
                    options={"headers": headers},
                    stream=_STREAMED,
                    stream_cls=AsyncStream[Any],
                )
            )
        except APIStatusError as error:
            raise of_status(error) from None
        except _NO_ANSWER as error:
            # Not chained: the transport's words may quote the header that holds the key.
            raise self._unanswered(error) from None
        if isinstance(response, AsyncStream):
            raise TypeError("the SDK answered a call for the raw response with a parsed stream")
        return response

    def _unanswered(self, error: Exception) -> CallFailed:
        return of_no_answer(error, connect_timeout=self._connect_timeout, idle_timeout=self._idle_timeout)

    async def _next(
        self, events: AsyncIterator[Any], tally: Tally, watchdog: Watchdog
    ) -> dict[str, Json] | None:
        """The next event that carries data; None at the end of the stream.

        Raises BrokenStream for a silence longer than the watchdog allows, a lost connection and text
        that is no JSON, and what an `error` event stands for.
        """
        watchdog.listening = True
        try:
            async for raw in events:
                if not raw.data:
                    continue
                event = decode(raw.data)
                if event["type"] == "error":
                    raise of_error_event(event, tally)
                return dict(event)
        except asyncio.CancelledError:
            if watchdog.gave_up():
                raise broken(f"The answer broke off: {watchdog.words()}.", tally) from None
            raise
        except httpx2.ReadTimeout:
            silence = f"The answer broke off: nothing came for {self._idle_timeout:g} s."
            raise broken(silence, tally) from None
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise broken(f"The answer broke off: the connection was lost ({error}).", tally) from error
        except (ValueError, TypeError, KeyError) as error:
            raise broken(f"The answer cannot be read: {error}.", tally) from error
        finally:
            watchdog.listening = False
        return None


def _feed(assembly: Assembly, event: dict[str, Json], tally: Tally) -> StreamItem | None:
    """Feed one event; whatever is wrong with its shape breaks the stream, not the program."""
    try:
        return assembly.feed(event)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        detail = f"The answer cannot be read: its {event.get('type')} event is malformed ({error!r})."
        raise broken(detail, tally) from error


def _milliseconds_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
