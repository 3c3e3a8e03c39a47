"""`flynn doctor --live`: a round trip to the model's API, which checks the key and what is assumed of it."""

from contextlib import aclosing

from flynn.app.model_key import HeldKey
from flynn.app.rules import switches
from flynn.cli.diagnosis import Finding
from flynn.domain.content import text_block
from flynn.domain.errors import FlynnError, Unavailable
from flynn.domain.usage import dollars
from flynn.model.catalog import resolve
from flynn.model.claude import Claude
from flynn.model.prices import cost
from flynn.model.request import ModelRequest
from flynn.model.stream import MessageReceived
from flynn.settings import Settings


async def facts_finding(settings: Settings) -> Finding:
    """What the Models API says of the model that agents ask for, by the key that holds."""
    model, claude = resolve("haiku", settings.model_aliases), _claude(settings)
    try:
        facts = await claude.facts(model)
    except FlynnError as error:
        return Finding("live: model", "failed", f"{model}: {error.detail}", "Correct the key or the address.")
    finally:
        await claude.close()
    retires = f", retires {facts.retires_at}" if facts.retires_at else ""
    return Finding(
        "live: model",
        "ok",
        f"{facts.display_name} ({facts.id}): {facts.lifecycle or 'lifecycle not said'}{retires}, "
        f"prompt up to {facts.max_input_tokens}, answer up to {facts.max_tokens} tokens",
    )


async def call_finding(settings: Settings) -> Finding:
    """A whole small call, which costs a fraction of a cent."""
    model, claude = resolve("haiku", settings.model_aliases), _claude(settings)
    request = ModelRequest(
        model=model,
        max_tokens=256,
        system=[text_block("You answer with one word.")],
        tools=[],
        messages=[{"role": "user", "content": [text_block("Say: ready")]}],
    )
    received: MessageReceived | None = None
    try:
        async with aclosing(claude.stream(request)) as stream:
            async for item in stream:
                if isinstance(item, MessageReceived):
                    received = item
        if received is None:
            raise Unavailable("The stream ended without a message.")
        price = f"${dollars(cost(received.model, received.usage)):.6f}"
    except FlynnError as error:
        return Finding(
            "live: call", "failed", f"{model}: {error.detail}", "Correct the key, the address or the account."
        )
    finally:
        await claude.close()
    first = f"{received.first_token_ms} ms to the first token, " if received.first_token_ms else ""
    return Finding(
        "live: call",
        "ok",
        f"{received.model}: {first}{received.duration_ms} ms in all, {received.usage.prompt} tokens in, "
        f"{received.usage.output} out, {price}",
    )


def _claude(settings: Settings) -> Claude:
    return Claude(
        api_key=HeldKey(settings).read,
        base_url=settings.anthropic_base_url,
        switches=switches(settings),
        idle_timeout_seconds=settings.model_idle_seconds,
    )
