"""The doors `POST /v1/messages` and `POST /v1/messages/count_tokens`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from time import monotonic

import orjson
from starlette.types import Receive, Scope, Send

from flynn.simulator import catalog
from flynn.simulator.api_error import ApiError
from flynn.simulator.conversation import Conversation
from flynn.simulator.options import Options
from flynn.simulator.part import Part, cast, turn_digest
from flynn.simulator.performance import Performance
from flynn.simulator.record import Record
from flynn.simulator.rendition import Rendition
from flynn.simulator.reply import new_id
from flynn.simulator.request import ApiRequest, authenticate, betas_of, decode, key_of, version_of
from flynn.simulator.rules.betas import BINDING
from flynn.simulator.rules.judgement import Verdict
from flynn.simulator.signatures import Pen
from flynn.simulator.stage import Stage
from flynn.simulator.template import words
from flynn.simulator.turn import Pacing, Text, Turn
from flynn.simulator.wire import ClientLeft, Wire


class MessagesDoor:
    """An ASGI application for one of the two routes."""

    def __init__(self, stage: Stage, *, counting: bool) -> None:
        self._stage = stage
        self._counting = counting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and keep its record."""
        wire = Wire(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        record = self._stage.records.open(
            request_id=new_id("req"),
            at=datetime.now(UTC),
            method=scope["method"],
            path=scope["path"],
            headers=headers,
            received=wire.received,
        )
        try:
            try:
                await self._answer(wire, headers, record)
            except ApiError as error:
                await self._refuse(wire, error, record, headers)
        except ClientLeft:
            record.client_left = True
        finally:
            await wire.close()
            record.first_byte = wire.first_byte
            record.last_byte = monotonic()

    async def _answer(self, wire: Wire, headers: Mapping[str, str], record: Record) -> None:
        options = self._stage.options
        body = await wire.body(options.max_body_bytes)
        if body is None:
            raise ApiError(
                413,
                "request_too_large",
                f"the request is larger than {options.max_body_bytes} bytes",
                rule="body-size",
                headers={"connection": "close"},
            )
        self._stage.records.keep(record, body)
        key = authenticate(headers, options.keys)
        record.key_digest = sha256(key.encode()).hexdigest()[:12]
        request = ApiRequest(key, version_of(headers), betas_of(headers), decode(body), self._counting)
        record.warnings = request.warnings
        if not self._counting:
            self._stage.rates.admit(key)
        verdict = self._stage.judge.judge(request)
        if self._counting:
            await _count(wire, verdict, record)
        else:
            await self._play(wire, request, verdict, record)

    async def _play(self, wire: Wire, request: ApiRequest, verdict: Verdict, record: Record) -> None:
        options = self._stage.options
        conversation = Conversation(request.messages, formatted=request.schema is not None)
        part = _part(self._stage, request, conversation)
        attempt = self._stage.attempts.next(turn_digest(request, part))
        fault = part.fault(attempt)
        posting = self._stage.cache.quote(request.key, request.payload, verdict)
        bound = verdict.bound
        pen = Pen(
            self._stage.signer,
            context=bound.context,
            previous=bound.previous,
            in_round=bound.in_round,
            line=verdict.model.line or "",
        )
        extra = {"input_transformations": bound.transformations} if BINDING in request.betas else {}
        reply = Rendition(request, conversation, part, attempt, pen.sign).reply(posting.usage, fault, extra)
        record.scenario, record.turn, record.attempt = part.name, part.index, attempt
        record.fault = fault.kind if fault else None
        record.status, record.stop_reason, record.message_id = 200, reply.stop_reason, reply.id
        record.usage = {**posting.usage.json(), "output_tokens": reply.output_tokens}

        def begins() -> None:
            self._stage.cache.book(posting)
            usage = posting.usage
            uncached = usage.input + usage.cache_write_5m + usage.cache_write_1h
            self._stage.rates.charge(request.key, input_tokens=uncached, output_tokens=reply.output_tokens)

        headers = [*_headers(record), *self._stage.rates.headers(request.key)]
        pacing = _pacing(part, options)
        record.decided = monotonic()
        performance = Performance(wire, record.request_id, headers, pacing, begins)
        if request.payload.get("stream"):
            await performance.stream(reply, fault, options.delta_characters)
        else:
            await performance.whole(reply, fault)

    async def _refuse(self, wire: Wire, error: ApiError, record: Record, headers: Mapping[str, str]) -> None:
        record.status, record.error, record.decided = error.status, error.message, monotonic()
        body = error.body(record.request_id)
        answer = [("content-type", "application/json"), ("content-length", str(len(body))), *_headers(record)]
        if error.rule is not None:
            answer.append(("simulator-rule", error.rule))
        key = key_of(headers)
        if key is not None and record.key_digest is not None:
            answer += self._stage.rates.headers(key)
        await wire.start(error.status, [*answer, *error.headers.items()])
        await wire.finish(body)


def _part(stage: Stage, request: ApiRequest, conversation: Conversation) -> Part:
    echo = catalog.echo(request.payload["model"])
    formatted = request.schema is not None
    if echo is None or formatted:
        return cast(stage.scenarios, conversation, stage.options.fallback, formatted=formatted)
    pacing = stage.options.pacing
    if echo.tokens_per_second is not None:
        pacing = pacing.model_copy(update={"tokens_per_second": echo.tokens_per_second})
    size = stage.options.echo_tokens if echo.tokens is None else echo.tokens
    turn = Turn(blocks=[Text(text=words(max(1, size)))], pacing=pacing)
    return Part(None, 0, turn, [])


def _pacing(part: Part, options: Options) -> Pacing:
    if part.turn.pacing is not None:
        return part.turn.pacing
    if part.scenario is not None and part.scenario.pacing is not None:
        return part.scenario.pacing
    return options.pacing


def _headers(record: Record) -> list[tuple[str, str]]:
    headers = [("request-id", record.request_id)]
    if record.warnings:
        headers.append(("simulator-warnings", "; ".join(record.warnings)))
    return headers


async def _count(wire: Wire, verdict: Verdict, record: Record) -> None:
    body = orjson.dumps({"input_tokens": verdict.prompt_tokens})
    record.status, record.decided = 200, monotonic()
    await wire.start(
        200, [("content-type", "application/json"), ("content-length", str(len(body))), *_headers(record)]
    )
    await wire.finish(body)
