"""Settings: the only reader of the environment.

A setting comes from the environment, else from `.env` in the working directory, else from its default
here. Each field's description is the one sentence about it; `.env.example` is made of them by
`scripts/env_example.py`. A wrong value stops the start, with one line for each, and a secret's value is
never shown. Only app and cli import this module; everybody else is handed what they need.
"""

import difflib
import logging
import math
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from annotated_types import Ge, Le
from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from flynn.domain import addresses
from flynn.domain.callback import check_secret
from flynn.domain.destination import Destination, Destinations
from flynn.domain.errors import ConfigurationError
from flynn.domain.model_key import sendable
from flynn.domain.password import known_to_all
from flynn.telemetry.redaction import register_secret

_log = logging.getLogger(__name__)

OTHER_READERS = frozenset({"FLYNN_REQUIRE_ALL", "FLYNN_MAY_SKIP"})
"""Variables with our prefix that are read by the test suite, not by the service."""

OF_CLIENTS = frozenset({"FLYNN_KEY", "FLYNN_URL", "FLYNN_BIND", "FLYNN_IMAGE"})
"""Variables with our prefix that our documents set for clients, the balancer and a test, not for a process
of ours."""

MAY_HOLD_SECRETS = frozenset(
    {
        "ANTHROPIC_API_KEY",
        "POSTGRES_PASSWORD",
        "DATABASE_URL",
        "REDIS_URL",
        "FLYNN_ALERT_URL",
        "FLYNN_ALERT_SECRET",
    }
)
"""Settings whose values are never shown."""

MODEL_ALIASES = {
    "haiku": "claude-haiku-5-5",
    "sonnet": "claude-sonnet-5-5",
    "opus": "claude-opus-5-5",
    "fable": "claude-fable-5-2",
}


def _database(url: str, info: ValidationInfo) -> str:
    url = addresses.database_url(url)
    password = info.data.get("postgres_password")
    return addresses.with_password(url, password.get_secret_value()) if password else url


def _origins(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(addresses.origin(part) for part in value.split(",") if part.strip())


def _hosts(value: object) -> object:
    if not isinstance(value, str):
        return value
    hosts = tuple(part.strip() for part in value.split(",") if part.strip())
    Destinations.of(hosts)
    return hosts


def _destination(value: str | None) -> str | None:
    if value is not None:
        Destination.read(value)
    return value


def _signing(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        check_secret(value.get_secret_value())
    return value


def _limits(value: object) -> object:
    """Read `name=number` pairs; None for `off`."""
    if not isinstance(value, str):
        return value
    found: dict[str, float | None] = {}
    for part in value.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if part.strip():
            if not name or not equals:
                raise ValueError("not pairs")
            limit = None if number.lower() == "off" else float(number)
            if limit is not None and not 0 <= limit < math.inf:
                raise ValueError("not a limit")
            found[name] = limit
    return found


def _directories(value: object) -> object:
    if not isinstance(value, str):
        return value
    paths = tuple(Path(part.strip()).expanduser() for part in value.split(":") if part.strip())
    if not all(path.is_absolute() for path in paths):
        raise ValueError("not absolute")
    return paths


def _aliases(value: object) -> object:
    """Read `alias=model` pairs; they add to the built-in ones and override them."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    if any(not name.strip() or not model.strip() for name, _, model in pairs):
        raise ValueError("not pairs")
    return MODEL_ALIASES | {name.strip(): model.strip() for name, _, model in pairs}


def _toolchains(value: object) -> object:
    paths = _directories(value)
    if isinstance(paths, tuple) and not all(path.is_dir() for path in paths):
        raise ValueError("not directories")
    return paths


def _path(value: Path) -> Path:
    return value.expanduser().absolute()


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _within_ceiling(value: int, info: ValidationInfo) -> int:
    if value > info.data.get("max_output_tokens_ceiling", value):
        raise ValueError("above the ceiling")
    return value


def _setting(name: str, default: Any, sentence: str, allowed: str | None = None, **limits: float) -> Any:
    extra = {"allowed": allowed} if allowed else None
    shown = name not in MAY_HOLD_SECRETS
    return Field(
        default, repr=shown, validation_alias=name, description=sentence, json_schema_extra=extra, **limits
    )  # type: ignore[call-overload] # limits are ge and le


Choice = BeforeValidator(_lower)
Directory = Annotated[Path, AfterValidator(_path)]


def _mailbox(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,120}", text, re.ASCII):
        raise ValueError("it is no mail address")
    return text


Address = Annotated[str, AfterValidator(_mailbox)]


class Settings(BaseSettings):
    """Everything an operator can decide. Made by `load`; frozen."""

    model_config = SettingsConfigDict(
        case_sensitive=True,
        dotenv_filtering="only_existing",
        enable_decoding=False,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    env: Annotated[Literal["development", "production"], Choice] = _setting(
        "FLYNN_ENV",
        "development",
        "production refuses to start on a database without a password, or with one that everybody knows; the "
        "compose file sets it.",
    )
    anthropic_api_key: Annotated[SecretStr | None, AfterValidator(sendable)] = _setting(
        "ANTHROPIC_API_KEY",
        None,
        "Key of the Claude API; wins over one that was given on the page. Without either the service starts, "
        "and says so to whoever needs the model.",
        "the whole key as it was made, without spaces, dots of omission (…) or other letters beyond ASCII",
    )
    anthropic_base_url: Annotated[str, AfterValidator(addresses.web_url)] = _setting(
        "ANTHROPIC_BASE_URL",
        "https://api.anthropic.com",
        "Where the Messages API is served; another server may need the FLYNN_ENDPOINT_ switches.",
        "an address such as https://api.anthropic.com",
    )
    postgres_password: SecretStr | None = _setting(
        "POSTGRES_PASSWORD",
        None,
        "Password of the database in docker-compose.yml; also used when DATABASE_URL names a user "
        "without a password.",
    )
    database_url: Annotated[str, AfterValidator(_database)] | None = _setting(
        "DATABASE_URL",
        None,
        "PostgreSQL 16, as postgresql://user:password@host:5432/name. Unset: the service runs its own "
        "server in the data directory.",
        "postgresql://user:password@host:port/name",
    )
    redis_url: Annotated[str, AfterValidator(addresses.redis_url)] | None = _setting(
        "REDIS_URL",
        None,
        "Redis 7, as redis://:password@host:6379/0. Unset: one process, whose sessions end with it.",
        "redis://:password@host:port/number, rediss://… or unix:///path",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Choice] = _setting(
        "LOG_LEVEL", "info", "Least severity that is logged: debug, info, warning or error."
    )
    log_format: Annotated[Literal["auto", "json", "console"], Choice] = _setting(
        "FLYNN_LOG_FORMAT",
        "auto",
        "One JSON object a line (json) or lines for people (console); auto is console on a terminal.",
    )
    host: str = _setting(
        "FLYNN_HOST",
        "127.0.0.1",
        "Address to listen on; 0.0.0.0 for every interface, behind a proxy that speaks TLS.",
        "an IP address or a host name",
    )
    port: int = _setting("FLYNN_PORT", 8000, "Port to listen on.", ge=1, le=65535)
    allowed_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)] = _setting(
        "FLYNN_ALLOWED_ORIGINS",
        (),
        "Origins of foreign web pages that may connect, separated by commas; the service's own page "
        "always may.",
        "a list such as https://team.example,http://localhost:5173",
    )
    alert_url: Annotated[str | None, AfterValidator(_destination)] = _setting(
        "FLYNN_ALERT_URL",
        None,
        "Where alerts are posted to, by Standard Webhooks; the same for every process of the service. It may "
        "be anywhere, over plain http too.",
        "a web address without user, fragment or characters that an address has to escape",
    )
    alert_secret: Annotated[SecretStr | None, AfterValidator(_signing)] = _setting(
        "FLYNN_ALERT_SECRET",
        None,
        "Signs what is posted to FLYNN_ALERT_URL: whsec_ and then base64, as "
        '"echo whsec_$(openssl rand -base64 32)" makes one.',
        "whsec_ and then the base64 of 24 to 64 random bytes",
    )
    alert_limits: Annotated[dict[str, float | None], NoDecode, BeforeValidator(_limits)] = _setting(
        "FLYNN_ALERT_LIMITS",
        {},
        "Other thresholds of alerts, as in docs/runbook.md: ErrorRate=0.1,QueueAge=1800,Disk=off.",
        "name=number or name=off pairs, separated by commas",
    )
    alert_window_seconds: float = _setting(
        "FLYNN_ALERT_WINDOW_SECONDS",
        300,
        "Seconds over which errors and latency are looked at; how long something must last before an alert "
        "fires, or is resolved, goes with it.",
        ge=3,
        le=3600,
    )
    webhook_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_hosts)] = _setting(
        "FLYNN_WEBHOOK_HOSTS",
        (),
        "Hosts that callbacks of tasks may be posted to wherever they are, over plain http too, separated by "
        "commas, with or without a port; all others have to be public, and https.",
        "a list of hosts such as quorra.internal,10.0.0.5:8080",
    )
    socket_polling: bool = _setting(
        "FLYNN_SOCKET_POLLING",
        False,
        "Whether Socket.IO clients may poll where no WebSocket gets through; several processes then need a "
        "proxy with sticky cookies.",
    )
    message_max_bytes: int = _setting(
        "FLYNN_MESSAGE_MAX_BYTES",
        1_048_576,
        "Largest message or request body that is taken, in bytes.",
        ge=1024,
        le=33_554_432,
    )
    data_dir: Directory = _setting(
        "FLYNN_DATA_DIR",
        Path("./data"),
        "Directory of the service's own data: embedded database, workspaces, snapshots.",
        "a path",
    )
    workspace: Directory | None = _setting(
        "FLYNN_WORKSPACE",
        None,
        "Directory of the default workspace. Unset: workspaces/default in the data directory.",
        "a path",
    )
    volumes: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_directories)] = _setting(
        "FLYNN_VOLUMES",
        (),
        "Volumes that this process has mounted, paths separated by colons; make each one once with "
        "flynn volumes add PATH.",
        "absolute paths separated by colons",
    )
    workspace_quota: int = _setting(
        "FLYNN_WORKSPACE_QUOTA",
        5_368_709_120,
        "Most bytes on the disk of a workspace that the service made, unless an admin gave it another quota.",
        ge=1_048_576,
        le=2**60,
    )
    commit_email: Address = _setting(
        "FLYNN_COMMIT_EMAIL",
        "flynn@noreply.invalid",
        "The address in commits of tasks with a checkout of their own; the name is the agent's.",
        "an address without spaces",
    )
    keep_checkouts_days: float = _setting(
        "FLYNN_KEEP_CHECKOUTS_DAYS",
        7.0,
        "For so long the checkout of a task that is over is kept; later words to the task make it anew from "
        "its branch.",
        ge=0.01,
        le=3_650,
    )
    workspaces_each: int = _setting(
        "FLYNN_WORKSPACES_EACH",
        20,
        "Empty workspaces that a key without the scope admin may have made.",
        ge=0,
        le=100_000,
    )
    agents_dir: Directory | None = _setting(
        "FLYNN_AGENTS_DIR", None, "Directory with more agent files, beside the built-in ones.", "a path"
    )
    model_aliases: Annotated[dict[str, str], NoDecode, BeforeValidator(_aliases)] = _setting(
        "FLYNN_MODEL_ALIASES",
        MODEL_ALIASES,
        "Models by the short names that agent files use; what is given here adds to these.",
        "alias=model pairs, separated by commas",
    )
    fallback_model: str | None = _setting(
        "FLYNN_FALLBACK_MODEL",
        None,
        "Model, by alias or id, that is asked at its own price while an agent's own model is overloaded or "
        "away. It has to read transcripts as they are, which claude-haiku-4-5 is not known to do.",
        "an alias or the id of a model with a known price",
    )
    model_idle_seconds: float = _setting(
        "FLYNN_MODEL_IDLE_SECONDS",
        90,
        "Silence of the model's stream, in seconds, after which the call counts as broken; signs of life "
        "without content are believed for longer once an answer has begun.",
        ge=5,
        le=900,
    )
    endpoint_auth: Annotated[Literal["bearer", "x-api-key"], Choice] = _setting(
        "FLYNN_ENDPOINT_AUTH", "bearer", "Header that carries the key: bearer or x-api-key."
    )
    endpoint_cache: bool = _setting(
        "FLYNN_ENDPOINT_CACHE", True, "Whether the model's server takes cache breakpoints."
    )
    endpoint_effort: bool = _setting(
        "FLYNN_ENDPOINT_EFFORT", True, "Whether the model's server takes thinking and effort."
    )
    endpoint_structured: bool = _setting(
        "FLYNN_ENDPOINT_STRUCTURED",
        True,
        "Whether the model's server holds answers to a JSON Schema; if not, a task's account is asked for in "
        "words.",
    )
    endpoint_count_tokens: bool = _setting(
        "FLYNN_ENDPOINT_COUNT_TOKENS", True, "Whether the model's server counts tokens."
    )
    checks: bool = _setting(
        "FLYNN_CHECKS",
        True,
        "Whether linters look at each file that the agent writes, and at what a task leaves behind.",
    )
    run_max_turns: int = _setting(
        "FLYNN_RUN_MAX_TURNS", 100, "Model calls of one run before it waits and asks.", ge=1, le=10_000
    )
    run_max_dollars: float = _setting(
        "FLYNN_RUN_MAX_DOLLARS", 1.00, "Dollars of one run before it waits and asks.", ge=0.01, le=10_000
    )
    dollars_per_day: float = _setting(
        "FLYNN_DOLLARS_PER_DAY",
        50.00,
        "Dollars that all runs of one key's holder may spend in a day (UTC) before they wait for the next; 0 "
        "for no limit.",
        ge=0,
        le=1_000_000,
    )
    max_prompt_tokens: int = _setting(
        "FLYNN_MAX_PROMPT_TOKENS",
        95_000,
        "Largest prompt, in tokens; above 100000 a call costs five times as much.",
        ge=10_000,
        le=1_000_000,
    )
    max_output_tokens_ceiling: int = _setting(
        "FLYNN_MAX_OUTPUT_TOKENS_CEILING",
        32_000,
        "Most output tokens of a call that is repeated because its answer was cut.",
        ge=256,
        le=128_000,
    )
    max_output_tokens: Annotated[int, AfterValidator(_within_ceiling)] = _setting(
        "FLYNN_MAX_OUTPUT_TOKENS",
        16_000,
        "Most output tokens of a call.",
        "a whole number from 256 to FLYNN_MAX_OUTPUT_TOKENS_CEILING",
        ge=256,
    )
    concurrency: int = _setting(
        "FLYNN_CONCURRENCY", 8, "Runs that one worker process drives at a time.", ge=1, le=256
    )
    principal_runs: int = _setting(
        "FLYNN_PRINCIPAL_RUNS", 8, "Runs of one key that may be running at a time.", ge=1, le=1000
    )
    total_runs: int = _setting(
        "FLYNN_TOTAL_RUNS",
        256,
        "Runs of all keys that may be running at a time, on all processes together.",
        ge=1,
        le=100_000,
    )
    queue_depth: int = _setting(
        "FLYNN_QUEUE_DEPTH",
        1_000,
        "Queued runs from which on new tasks, and messages that need a new run, are answered with 429.",
        ge=1,
        le=100_000,
    )
    principal_queue_depth: int = _setting(
        "FLYNN_PRINCIPAL_QUEUE_DEPTH",
        250,
        "The same for the queued runs of one key's holder.",
        ge=1,
        le=100_000,
    )
    keep_jobs_days: float = _setting(
        "FLYNN_KEEP_JOBS_DAYS",
        7,
        "Days that the queue keeps what is left of ended and failed jobs; conversations are kept for good.",
        ge=0.01,
        le=3650,
    )
    keep_idempotency_days: float = _setting(
        "FLYNN_KEEP_IDEMPOTENCY_DAYS",
        30,
        "Days that an Idempotency-Key is known; sent again later, it brings in another task.",
        ge=1,
        le=3650,
    )
    keep_undo_days: float = _setting(
        "FLYNN_KEEP_UNDO_DAYS",
        30,
        "Days that changes can be undone: so long the database keeps what files held before a Write or Edit, "
        "and snapshots of a workspace are kept.",
        ge=0.01,
        le=3650,
    )
    snapshots_mb: int = _setting(
        "FLYNN_SNAPSHOTS_MB",
        2048,
        "Megabytes that the snapshots of one workspace may take on its volume; 0 takes none, and then only "
        "calls of Write and Edit can be undone.",
        ge=0,
        le=1_000_000,
    )
    lease_seconds: float = _setting(
        "FLYNN_LEASE_SECONDS",
        5,
        "Seconds after which the work of a silent worker is taken over.",
        ge=3,
        le=300,
    )
    sandbox: Annotated[Literal["auto", "bubblewrap", "landlock", "none", "unconfined"], Choice] = _setting(
        "FLYNN_SANDBOX",
        "auto",
        "Sandbox of commands: auto takes the strongest that works here; none turns Bash and Grep off; "
        "unconfined runs commands without any, where the machine around is the wall.",
    )
    sandbox_readonly: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_toolchains)] = _setting(
        "FLYNN_SANDBOX_READONLY",
        (),
        "Directories with more tools that commands may use, separated by colons: seen read-only, and their "
        "bin directories come first on PATH.",
        "directories that exist, by absolute path, separated by colons",
    )
    permissions: Directory | None = _setting(
        "FLYNN_PERMISSIONS",
        None,
        "JSON file with permission rules, as in Claude Code's settings: "
        '{"permissions": {"deny": [], "ask": [], "allow": [], "defaultMode": "auto"}}.',
        "the path of a JSON file",
    )
    permission_mode: Annotated[Literal["auto", "accept-edits", "ask", "plan"], Choice] = _setting(
        "FLYNN_PERMISSION_MODE",
        "auto",
        "What acts without somebody's yes, at most: auto (all, within the sandbox), accept-edits, ask "
        "(reads only) or plan (nothing changes).",
    )
    approval_hours: float = _setting(
        "FLYNN_APPROVAL_HOURS",
        24,
        "Hours that a call waits for somebody's yes before it counts as denied.",
        ge=0.001,
        le=720,
    )
    example: Annotated[Literal["auto", "on", "off"], Choice] = _setting(
        "FLYNN_EXAMPLE",
        "auto",
        "Whether admins may have the scripted example played, by workers of its own with a scripted model: "
        "auto where the service runs its own database, on, or off.",
    )
    example_idle_minutes: float = _setting(
        "FLYNN_EXAMPLE_IDLE_MINUTES",
        10,
        "Minutes without anything to do after which the example's workers end.",
        ge=0.05,
        le=1440,
    )
    backups: bool = _setting(
        "FLYNN_BACKUPS",
        True,
        "Whether a service that runs its own database backs it and its workspaces up, so that any second of "
        "the last days can be restored.",
    )
    backup_dir: Directory | None = _setting(
        "FLYNN_BACKUP_DIR",
        None,
        "Directory of the backups, best on another disk. Unset: backups in the data directory.",
        "a path",
    )
    backup_hours: float = _setting(
        "FLYNN_BACKUP_HOURS", 24, "Hours between two base backups.", ge=0.001, le=744
    )
    backup_days: float = _setting(
        "FLYNN_BACKUP_DAYS", 7, "Days of which any second can be restored.", ge=0.001, le=3650
    )
    backup_first_minutes: float = _setting(
        "FLYNN_BACKUP_FIRST_MINUTES",
        5,
        "Minutes after its start at which a service that has no backup yet takes its first one.",
        ge=0,
        le=1440,
    )
    backup_max_bytes: int = _setting(
        "FLYNN_BACKUP_MAX_BYTES",
        53_687_091_200,
        "Most bytes that backups may take; beyond, the oldest go before their time, and /ready says so.",
        ge=1_048_576,
        le=2**60,
    )
    pool_size: int = _setting(
        "FLYNN_POOL_SIZE", 20, "Database connections that a process keeps open.", ge=1, le=80
    )
    pool_overflow: int = _setting(
        "FLYNN_POOL_OVERFLOW", 10, "Further connections that it opens under load.", ge=0, le=40
    )

    @classmethod
    def load(cls, env_file: Path | None = Path(".env"), **overrides: Any) -> Self:
        """Read the settings; `overrides`, by field name, win over everything; None is not one.

        Registers every secret for redaction, and warns of variables that start with FLYNN_ and that
        nobody reads. Raises ConfigurationError with one line for each wrong value.
        """
        unknown_fields = overrides.keys() - cls.model_fields.keys()
        if unknown_fields:
            raise TypeError(f"no such setting: {', '.join(sorted(unknown_fields))}")
        given = {variable(cls.model_fields[n]): v for n, v in overrides.items() if v is not None}
        try:
            in_file = dotenv_values(env_file, encoding="utf-8") if env_file else {}
            settings = cls(_env_file=env_file, **given)
        except ValidationError as error:
            raise ConfigurationError("\n".join(map(_line, error.errors()))) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{env_file} cannot be read: {error}") from None
        _check_sources({k: v for k, v in in_file.items() if v}, env_file)
        settings._check_password()
        for secret in settings.secrets():
            register_secret(secret)
        return settings

    def secrets(self) -> list[str]:
        """Every secret value in these settings, to be kept out of logs and of what the model reads."""
        held = (self.anthropic_api_key, self.postgres_password, self.alert_secret)
        keys = [secret.get_secret_value() for secret in held if secret]
        passwords = [addresses.password(url) for url in (self.database_url, self.redis_url) if url]
        return keys + [password for password in passwords if password]

    def _check_password(self) -> None:
        """Refuse, in production, a password of the database that is none. Raises ConfigurationError."""
        if self.env != "production" or self.database_url is None or addresses.vouched(self.database_url):
            return
        user, password = addresses.user(self.database_url), addresses.password(self.database_url)
        if known_to_all(password, user=user):
            fault = "is one that everybody knows" if password else "is missing"
            raise ConfigurationError(
                f"FLYNN_ENV is production, and the password of the database {fault}: allowed is one of your "
                "own, such as `openssl rand -hex 16` makes, in POSTGRES_PASSWORD or DATABASE_URL; give it to "
                "the database too (ALTER ROLE … PASSWORD …)"
            ) from None


_PLAIN = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR"),
    *("LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME"),
)


def plain_environment() -> dict[str, str]:
    """What a process of ours needs of the environment to run at all: no settings, and no secrets."""
    return {name: os.environ[name] for name in _PLAIN if name in os.environ}


def keep_plain_environment() -> None:
    """Leave of this process's own environment only that, for what it starts; no setting is read any more."""
    for name in os.environ.keys() - plain_environment().keys():
        del os.environ[name]


def variable(field: FieldInfo) -> str:
    """The environment variable that sets `field`."""
    return str(field.validation_alias)


def allowed(field: FieldInfo) -> str:
    """What `field` may be, in words."""
    if isinstance(field.json_schema_extra, dict):
        return str(field.json_schema_extra["allowed"])
    if get_origin(field.annotation) is Literal:
        *others, last = get_args(field.annotation)
        return f"{', '.join(others)} or {last}"
    if field.annotation is bool:
        return "true or false"
    low = next((m.ge for m in field.metadata if isinstance(m, Ge)), None)
    high = next((m.le for m in field.metadata if isinstance(m, Le)), None)
    kind = "whole number" if field.annotation is int else "number"
    return f"a {kind} from {low} to {high}"


VARIABLES = {variable(field): field for field in Settings.model_fields.values()}
"""Every setting by its environment variable."""


def _line(error: Any) -> str:
    name = str(error["loc"][0])
    shown = "(hidden)" if name in MAY_HOLD_SECRETS else f'"{error["input"]}"'
    return f"{name} is {shown}: allowed is {allowed(VARIABLES[name])}"


def _check_sources(in_file: dict[str, str], env_file: Path | None) -> None:
    """Refuse a redirected key, and warn of names that nobody reads."""
    here = {name for name, value in os.environ.items() if value}
    # A checkout's .env must not be able to have the user's own key sent elsewhere.
    if "ANTHROPIC_API_KEY" in here and "ANTHROPIC_BASE_URL" in in_file.keys() - here:
        raise ConfigurationError(
            f"ANTHROPIC_BASE_URL is set in {env_file}, but ANTHROPIC_API_KEY in the environment: "
            "allowed is both in the same place"
        )
    for name in sorted(here | in_file.keys()):
        if name.startswith("FLYNN_") and name not in {*VARIABLES, *OTHER_READERS, *OF_CLIENTS}:
            _log.warning("%s is set, but there is no such setting%s", name, _nearest(name))


def _nearest(name: str) -> str:
    # Compared without the prefix, which would make every name look near.
    ours = {known.removeprefix("FLYNN_"): known for known in VARIABLES}
    near = difflib.get_close_matches(name.removeprefix("FLYNN_"), ours, n=1)
    return f"; did you mean {ours[near[0]]}?" if near else ""
