"""Claude: the Messages API over HTTP, by Anthropic's SDK.

The SDK gives the connection pool, authentication, versions, errors and the decoder of server-sent
events; its retries are off, and its models are not built for every delta: requests leave as bytes
that we encoded, events are read as JSON. Each call is one attempt. What goes wrong is one of
flynn.model.failures, and the caller decides.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Final, cast
from urllib.parse import quote

import httpx2
from anthropic import APIError, APIStatusError, AsyncAnthropic, AsyncStream, Omit, Timeout

from flynn.domain.content import Json
from flynn.model.assembly import Assembly, broken
from flynn.model.breaker import Breaker, Standing
from flynn.model.breath import Breath, Breathing
from flynn.model.diagnosis import of_error_event, of_no_answer, of_status
from flynn.model.facts import ModelFacts, facts_of
from flynn.model.failures import BrokenStream, CallFailed, EndpointAway, Permanent
from flynn.model.request import ModelRequest
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
_DRAIN_SECONDS = 0.1
_EXCERPT_BYTES = 2_000


class Claude:
    """A client of one endpoint. Safe for concurrent calls; close it when the process ends.

    `idle_timeout_seconds` is the longest silence on an open call: before the answer begins, whatever
    pings come, and between its bytes. Once it has begun, pings may stand for thinking that is not shown;
    they are believed for as long as the whole answer could take (flynn.model.watchdog). Without a key the
    client can be made, but each call fails as Permanent.

    A model that does not answer is not called for a while (flynn.model.breaker): then calls fail at once
    as EndpointAway. `changed` is told of it.
    """

    def __init__(
        self,
        *,
        api_key: str | None,
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
        self._headers = _headers(api_key, switches)
        self._breath = Breath()
        # Without an explicit key the SDK would look for credentials in the environment and on disk.
        self._client = api_key and AsyncAnthropic(
            api_key=api_key,
            base_url=base_url or ANTHROPIC_URL,
            max_retries=0,
            timeout=Timeout(idle_timeout_seconds, connect=connect_timeout_seconds),
            open_telemetry=False,
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
        return self._breaker(model).refusal()

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
            counted = await self._connected().post(
                "/v1/messages/count_tokens",
                cast_to=object,
                content=content,
                options={"headers": self._headers},
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
        path = f"/v1/models/{quote(model, safe='')}"
        try:
            described = await self._connected().get(path, cast_to=object, options={"headers": self._headers})
        except APIStatusError as error:
            raise of_status(error) from None
        except _NO_ANSWER as error:
            raise self._unanswered(error) from None
        if not isinstance(described, dict):
            raise BrokenStream(
                f"The endpoint does not describe the model {model!r} but says: {described!s:.200}"
            )
        return facts_of(described)

    async def close(self) -> None:
        """Close the connections. Calls that are under way fail."""
        if self._client:
            await self._client.close()

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
                await _check_is_stream(response, tally)
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
                await _drain(events)
                message = assembly.finish(first_token_ms=first_token_ms, duration_ms=duration_ms)
                attempt.answer()
            finally:
                await response.aclose()
        yield message

    def _connected(self) -> AsyncAnthropic:
        if not self._client:
            raise Permanent(
                "ANTHROPIC_API_KEY is not set, so the model cannot be called. Set it to a key of the "
                "endpoint; any word will do for one that needs no key.",
                usage_final=True,
            )
        return self._client

    async def _open(self, content: bytes) -> httpx2.Response:
        """Send the call and wait for the head of the answer, which is read by nobody yet."""
        try:
            response = await self._connected().post(
                "/v1/messages",
                cast_to=httpx2.Response,
                content=content,
                options={"headers": self._headers},
                stream=_STREAMED,
                stream_cls=AsyncStream[Any],
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


def _headers(api_key: str | None, switches: Switches) -> dict[str, str | Omit]:
    headers: dict[str, str | Omit] = {"Content-Type": "application/json"}
    if switches.auth == "x-api-key":
        headers |= {"X-Api-Key": api_key or "", "Authorization": Omit()}
    if switches.betas:
        headers["anthropic-beta"] = ",".join(switches.betas)
    return headers


def _feed(assembly: Assembly, event: dict[str, Json], tally: Tally) -> StreamItem | None:
    """Feed one event; whatever is wrong with its shape breaks the stream, not the program."""
    try:
        return assembly.feed(event)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        detail = f"The answer cannot be read: its {event.get('type')} event is malformed ({error!r})."
        raise broken(detail, tally) from error


async def _check_is_stream(response: httpx2.Response, tally: Tally) -> None:
    """Raise BrokenStream if a success is no event stream, as from a proxy or a wrong base URL."""
    kind = response.headers.get("content-type", "text/event-stream")
    if kind.startswith("text/event-stream"):
        return
    excerpt = b""
    with suppress(httpx2.HTTPError):
        async for chunk in response.aiter_bytes():
            excerpt += chunk
            if len(excerpt) >= _EXCERPT_BYTES:
                break
    words = " ".join(excerpt[:_EXCERPT_BYTES].decode(errors="replace").split())
    raise broken(f"The endpoint answered with {kind}, not with an event stream: {words}", tally)


async def _drain(events: AsyncIterator[Any]) -> None:
    """Read the rest after the message, usually the closing chunk, so that the connection is kept."""
    with suppress(TimeoutError, httpx2.HTTPError, httpx2.StreamError, ValueError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in events:
                continue


def _milliseconds_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
