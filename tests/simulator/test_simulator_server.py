"""The server around the messages: keys, versions, limits, models, records, control, a process of its own."""

import asyncio
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

from flynn.simulator import Options, RateLimits, SimulatorServer, create_app, parse_scenarios
from flynn.simulator.__main__ import main
from tests.simulator.conftest import HEADERS, Dial, Start

ASK: Any = {
    "model": "claude-haiku-5-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Go."}],
}


async def test_health(dial: Dial) -> None:
    http = await dial()
    assert (await http.get("/")).status_code == 200
    assert (await http.head("/")).status_code == 200


async def test_what_is_not_there_is_answered_in_the_apis_form(dial: Dial) -> None:
    http = await dial()
    for answer in (await http.get("/v1/nothing"), await http.get("/v1/messages")):
        assert answer.status_code == 404
        assert answer.json()["error"]["type"] == "not_found_error"
        assert answer.json()["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/models"])
async def test_a_key_and_a_version_are_needed(dial: Dial, path: str) -> None:
    http = await dial(options=Options(keys=frozenset({"right"})))
    method = "GET" if path.endswith("models") else "POST"
    body = (
        None
        if method == "GET"
        else {k: v for k, v in ASK.items() if "count" not in path or k != "max_tokens"}
    )

    async def status(**headers: str) -> int:
        async with httpx2.AsyncClient(base_url=http.base_url, trust_env=False) as bare:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return (await bare.request(method, path, json=body, headers=sent)).status_code

    version = "2026-10-21"
    assert await status(anthropic_version=version) == 401
    assert await status(anthropic_version=version, x_api_key="wrong") == 401
    assert await status(anthropic_version=version, authorization="Basic right") == 401
    assert await status(x_api_key="right") == 400
    assert await status(x_api_key="right", anthropic_version="2020-01-01") == 400
    assert await status(x_api_key="right", anthropic_version=version) == 200
    assert await status(authorization="Bearer right", anthropic_version=version) == 200


async def test_an_unknown_model_is_404(start: Start) -> None:
    _, sdk = await start()
    with pytest.raises(anthropic.NotFoundError) as caught:
        await sdk.messages.create(**{**ASK, "model": "claude-haiku-9"})
    assert caught.value.type == "not_found_error"


async def test_a_body_too_large_is_413(dial: Dial) -> None:
    http = await dial()
    payload = {**ASK, "messages": [{"role": "user", "content": "x" * 32_000_000}]}
    refused = await http.post("/v1/messages", json=payload)
    assert refused.status_code == 413
    assert refused.json()["error"]["type"] == "request_too_large"
    assert (await http.post("/v1/messages", json=ASK)).status_code == 200


async def test_the_models_api(start: Start) -> None:
    _, sdk = await start(options=Options(disabled_thinking=False))
    listed = [model.id async for model in sdk.models.list()]
    assert "claude-haiku-5-5" in listed
    model = await sdk.models.retrieve("claude-haiku-5-5")
    assert (model.line, model.lifecycle) == ("haiku", "active")
    assert (model.max_input_tokens, model.max_tokens) == (1_000_000, 128_000)
    assert model.capabilities is not None
    assert model.capabilities.thinking.types.adaptive.supported
    assert not model.capabilities.thinking.types.disabled.supported
    assert (await sdk.models.retrieve("echo-20")).id == "echo-20"
    with pytest.raises(anthropic.NotFoundError):
        await sdk.models.retrieve("claude-nothing")
    with pytest.raises(anthropic.BadRequestError):
        await sdk.messages.create(**ASK, thinking={"type": "disabled"})


async def test_rate_limits_are_reported_and_kept(start: Start) -> None:
    now = [0.0]
    limits = RateLimits(requests=2, input_tokens=1000, output_tokens=1000)
    _, sdk = await start(options=Options(rate_limits=limits, clock=lambda: now[0]))
    answer = await sdk.messages.with_raw_response.create(**ASK)
    assert answer.headers["anthropic-ratelimit-requests-limit"] == "2"
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "1"
    assert answer.headers["anthropic-ratelimit-tokens-limit"] == "2000"
    assert answer.headers["anthropic-ratelimit-input-tokens-reset"].endswith("Z")
    later = await sdk.messages.with_raw_response.create(**ASK)
    assert int(later.headers["anthropic-ratelimit-output-tokens-remaining"]) < 1000
    now[0] = 20.0
    with pytest.raises(anthropic.RateLimitError) as caught:
        await sdk.messages.create(**ASK)
    assert caught.value.response.headers["retry-after"] == "40"
    assert caught.value.response.headers["anthropic-ratelimit-requests-remaining"] == "0"
    now[0] = 60.0
    await sdk.messages.create(**ASK)


async def test_cache_reads_are_free_of_the_input_limit(start: Start) -> None:
    _, sdk = await start(options=Options(rate_limits=RateLimits(input_tokens=3000)))
    system: Any = [{"type": "text", "text": "x" * 6000, "cache_control": {"type": "ephemeral"}}]
    for _ in range(5):
        await sdk.messages.create(**ASK, system=system)
    await sdk.messages.create(**ASK, system="y" * 6000)
    with pytest.raises(anthropic.RateLimitError):
        await sdk.messages.create(**ASK, system="y" * 6000)


async def test_echo_lengths_and_speeds(start: Start) -> None:
    _, sdk = await start(options=Options(echo_tokens=7))
    assert (await sdk.messages.create(**{**ASK, "model": "echo"})).usage.output_tokens == 7
    began = time.monotonic()
    async with sdk.messages.stream(**{**ASK, "model": "echo-20-100tps"}) as stream:
        message = await stream.get_final_message()
    assert message.usage.output_tokens == 20
    assert time.monotonic() - began >= 0.18


async def test_records(dial: Dial) -> None:
    http = await dial("name: s\nturns: [{blocks: [{text: hi}], faults: [{kind: overloaded, on_attempt: 1}]}]")
    before = time.monotonic()
    for _ in range(2):
        answer = await http.post("/v1/messages", json=ASK)
    await http.post("/v1/messages", content=b"{")
    failed, played, broken = (await http.get("/_simulator/requests")).json()["requests"]
    assert (failed["status"], failed["fault"], failed["attempt"]) == (529, "overloaded", 1)
    assert (played["scenario"], played["turn"], played["attempt"], played["fault"]) == ("s", 0, 2, None)
    assert played["body"] == ASK
    assert played["request_id"] == answer.headers["request-id"]
    assert played["message_id"] == answer.json()["id"]
    assert played["usage"]["output_tokens"] == answer.json()["usage"]["output_tokens"]
    assert played["digest"] == failed["digest"] != broken["digest"]
    assert before < played["received"] <= played["decided"] <= played["first_byte"] <= played["last_byte"]
    assert "x-api-key" not in played["headers"]
    assert "test-key" not in str(played)
    assert (broken["status"], broken["body"]) == (400, "{")
    tail = (await http.get(f"/_simulator/requests?after={played['number']}&bodies=0")).json()["requests"]
    assert [r["number"] for r in tail] == [broken["number"]]
    assert "body" not in tail[0]
    assert (await http.get("/_simulator/requests?after=x")).status_code == 422


async def test_only_the_latest_requests_are_kept(dial: Dial) -> None:
    http = await dial(options=Options(record=2))
    for _ in range(3):
        await http.post("/v1/messages", json=ASK)
    assert [r["number"] for r in (await http.get("/_simulator/requests")).json()["requests"]] == [2, 3]


async def test_old_bodies_make_room_for_new_ones(dial: Dial) -> None:
    http = await dial(options=Options(record_bytes=5000))
    for words in ("a" * 3000, "b" * 3000):
        await http.post("/v1/messages", json={**ASK, "messages": [{"role": "user", "content": words}]})
    old, new = (await http.get("/_simulator/requests")).json()["requests"]
    assert old["body"] is None
    assert new["body"]["messages"][0]["content"] == "b" * 3000
    assert len(old["digest"]) == 64
    assert old["digest"] != new["digest"]


async def test_scenarios_are_loaded_at_run_time(dial: Dial) -> None:
    http = await dial("name: old\nturns: [{blocks: [{text: old words}]}]")

    async def says() -> str:
        return str((await http.post("/v1/messages", json=ASK)).json()["content"][0]["text"])

    new = "name: new\nmatch: go\nturns: [{blocks: [{text: new words}]}]"
    assert (await http.post("/_simulator/scenarios", content=new)).json() == {"scenarios": ["new", "old"]}
    assert await says() == "new words"
    again = new.replace("new words", "newer words")
    assert (await http.post("/_simulator/scenarios", content=again)).json() == {"scenarios": ["new", "old"]}
    assert await says() == "newer words"
    alone = await http.post("/_simulator/scenarios?replace=1", content=new.replace("name: new", "name: only"))
    assert alone.json() == {"scenarios": ["only"]}
    refused = await http.post("/_simulator/scenarios", content="name: x")
    assert refused.status_code == 422
    assert refused.json()["error"] == "request:1: turns: Field required"
    assert await says() == "new words"
    assert (await http.post("/_simulator/reset")).status_code == 204
    assert (await http.get("/_simulator/requests")).json() == {"requests": []}


async def test_a_taken_port_is_an_os_error_and_the_url_needs_a_server() -> None:
    server = SimulatorServer()
    with pytest.raises(RuntimeError, match="does not listen"):
        _ = server.url
    async with SimulatorServer() as first:
        port = int(first.url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="in use"):
            await SimulatorServer(port=port).__aenter__()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


async def test_the_application_runs_under_any_server_but_cannot_reset_there() -> None:
    script = "name: s\nturns: [{blocks: [{text: hi}], faults: [{kind: connection_reset, on_attempt: 2}]}]"
    transport = httpx2.ASGITransport(create_app(parse_scenarios(script), Options()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://simulator", headers=HEADERS) as http:
        assert (await http.post("/v1/messages", json=ASK)).status_code == 200
        with pytest.raises(RuntimeError, match="SimulatorServer"):
            await http.post("/v1/messages", json=ASK)


@pytest.mark.slow
async def test_a_process_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("name: s\nturns: [{blocks: [{text: hi}]}]\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "flynn.simulator", "--scenario", str(file), "--key", "right"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        async with anthropic.AsyncAnthropic(api_key="right", base_url=url, max_retries=0) as sdk:
            assert (await sdk.messages.create(**ASK)).content[0].type == "text"
        async with anthropic.AsyncAnthropic(api_key="wrong", base_url=url, max_retries=0) as sdk:
            with pytest.raises(anthropic.AuthenticationError):
                await sdk.messages.create(**ASK)
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


def test_wrong_arguments_end_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("name: s\n")
    assert main(["--scenario", str(file)]) == 2
    assert f"{file}:1: turns: Field required" in capsys.readouterr().err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["--port", str(taken.getsockname()[1])]) == 2
    assert "cannot listen" in capsys.readouterr().err
