"""Settings: where they come from, what is refused and in which words, and that .env.example says the same."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flynn.app.alerts import check_alerts
from flynn.app.rules import fallback_of
from flynn.domain.addresses import libpq_url
from flynn.domain.callback import new_secret
from flynn.domain.errors import ConfigurationError
from flynn.settings import MODEL_ALIASES, VARIABLES, Settings, plain_environment
from flynn.telemetry.redaction import redact

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n in VARIABLES or n.startswith("FLYNN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def refusal(**values: str) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        with pytest.raises(ConfigurationError) as caught:
            Settings.load()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return caught.value.detail.splitlines()


def test_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    settings = Settings.load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.anthropic_api_key is None
    assert settings.database_url is settings.redis_url is None
    assert settings.data_dir == tmp_path / "data"
    assert settings.workspace is None
    assert settings.model_aliases == MODEL_ALIASES
    assert settings.model_aliases["haiku"] == "claude-haiku-5-5"
    assert settings.message_max_bytes == 1_048_576
    # Trigger, output and results of one step stay under the price step of 100,000 tokens.
    assert settings.max_prompt_tokens < 100_000


def test_the_environment_wins_over_the_file_and_overrides_win_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text('FLYNN_PORT=8001\nFLYNN_HOST="::1"\nUNRELATED=x\n')
    assert Settings.load().port == 8001
    monkeypatch.setenv("FLYNN_PORT", "8002")
    assert Settings.load().port == 8002
    assert Settings.load(port=8003, host=None).port == 8003
    assert Settings.load(host=None).host == "::1"
    assert Settings.load(env_file=None).host == "127.0.0.1"


def test_an_empty_value_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYNN_PORT", "")
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("FLYNN_ALLOWED_ORIGINS", "")
    settings = Settings.load()
    assert (settings.port, settings.database_url, settings.allowed_origins) == (8000, None, ())


def test_short_names_of_other_programs_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "example.com")
    monkeypatch.setenv("PORT", "9")
    monkeypatch.setenv("SANDBOX", "none")
    settings = Settings.load()
    assert (settings.host, settings.port, settings.sandbox) == ("127.0.0.1", 8000, "auto")


def test_white_space_around_a_key_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", " sk-ant-1\n")
    key = Settings.load().anthropic_api_key
    assert key is not None
    assert key.get_secret_value() == "sk-ant-1"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("FLYNN_PORT", "abc", "a whole number from 1 to 65535"),
        ("FLYNN_PORT", "0", "a whole number from 1 to 65535"),
        ("FLYNN_PORT", "65536", "a whole number from 1 to 65535"),
        ("FLYNN_LEASE_SECONDS", "1", "a number from 3 to 300"),
        ("FLYNN_RUN_MAX_DOLLARS", "nan", "a number from 0.01 to 10000"),
        (
            "FLYNN_SANDBOX_READONLY",
            "/usr:no/such",
            "directories that exist, by absolute path, separated by colons",
        ),
        (
            "FLYNN_WEBHOOK_HOSTS",
            "quorra,http://x",
            "a list of hosts such as quorra.internal,10.0.0.5:8080",
        ),
        ("FLYNN_SANDBOX", "docker", "auto, bubblewrap, landlock, none or unconfined"),
        ("FLYNN_ENDPOINT_CACHE", "maybe", "true or false"),
        ("FLYNN_ENDPOINT_AUTH", "basic", "bearer or x-api-key"),
        ("LOG_LEVEL", "loud", "debug, info, warning or error"),
        ("FLYNN_MODEL_ALIASES", "haiku", "alias=model pairs, separated by commas"),
        ("FLYNN_MAX_OUTPUT_TOKENS", "32001", "a whole number from 256 to FLYNN_MAX_OUTPUT_TOKENS_CEILING"),
        ("ANTHROPIC_BASE_URL", "api.anthropic.com", "an address such as https://api.anthropic.com"),
        ("FLYNN_ALERT_LIMITS", "Disk", "name=number or name=off pairs, separated by commas"),
        ("FLYNN_ALERT_LIMITS", "Disk=nan", "name=number or name=off pairs, separated by commas"),
        ("FLYNN_ALERT_LIMITS", "Disk=-1", "name=number or name=off pairs, separated by commas"),
    ],
)
def test_a_wrong_value_is_one_line_that_says_what_is_allowed(name: str, value: str, allowed: str) -> None:
    assert refusal(**{name: value}) == [f'{name} is "{value}": allowed is {allowed}']


def test_every_wrong_value_has_its_line() -> None:
    lines = refusal(FLYNN_PORT="x", FLYNN_SANDBOX="y", REDIS_URL="z")
    assert {line.split(" ")[0] for line in lines} == {"FLYNN_PORT", "FLYNN_SANDBOX", "REDIS_URL"}
    assert len(lines) == 3


@pytest.mark.parametrize(
    "url", ["mysql://u:geheim@h/d", "postgres://u:geheim@h", "postgres://u:geheim@h:x/d"]
)
def test_a_refused_secret_is_not_shown(url: str) -> None:
    (line,) = refusal(DATABASE_URL=url)
    assert line == "DATABASE_URL is (hidden): allowed is postgresql://user:password@host:port/name"


def test_secrets_are_in_no_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-api03-geheim")
    monkeypatch.setenv("DATABASE_URL", "postgres://u:geheim%2F1@h/d")
    monkeypatch.setenv("REDIS_URL", "redis://:geheim2@h:6379/0")
    monkeypatch.setenv("POSTGRES_PASSWORD", "geheim3")
    settings = Settings.load()
    assert "geheim" not in f"{settings!r} {settings}"
    assert "geheim" not in redact("sk-ant-api03-geheim geheim/1 geheim%2F1 geheim2 geheim3")
    assert set(settings.secrets()) == {"sk-ant-api03-geheim", "geheim/1", "geheim2", "geheim3"}


@pytest.mark.parametrize(
    ("given", "sqlalchemy", "libpq"),
    [
        ("postgres://u:p@h:5432/d", "postgresql+asyncpg://u:p@h:5432/d", "postgresql://u:p@h:5432/d"),
        ("postgresql://u:p@h/d", "postgresql+asyncpg://u:p@h/d", "postgresql://u:p@h/d"),
        ("postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg://u:p@h/d", "postgresql://u:p@h/d"),
        (
            "postgresql://u:p@h/d?sslmode=require",
            "postgresql+asyncpg://u:p@h/d?ssl=require",
            "postgresql://u:p@h/d?sslmode=require",
        ),
        # The user's password is missing: the one of the compose file completes it.
        ("postgresql://u@h/d", "postgresql+asyncpg://u:a%40b%2Fc@h/d", "postgresql://u:a%40b%2Fc@h/d"),
        (
            "postgresql:///d?host=/run/pg",
            "postgresql+asyncpg:///d?host=/run/pg",
            "postgresql:///d?host=/run/pg",
        ),
    ],
)
def test_a_database_address_serves_both_drivers(
    given: str, sqlalchemy: str, libpq: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", given)
    monkeypatch.setenv("POSTGRES_PASSWORD", "a@b/c")
    settings = Settings.load()
    assert settings.database_url == sqlalchemy
    assert settings.database_url is not None
    assert libpq_url(settings.database_url) == libpq


@pytest.mark.parametrize(
    "password", [None, "postgres", "Password", "changeme", "localdev123", "test123", "owner"]
)
def test_production_refuses_a_password_of_the_database_that_is_none(password: str | None) -> None:
    given = {"DATABASE_URL": "postgresql://owner@db.example/d"}
    if password is not None:
        given["POSTGRES_PASSWORD"] = password
    (line,) = refusal(FLYNN_ENV="production", **given)
    fault = "is missing" if password is None else "is one that everybody knows"
    assert line.startswith(f"FLYNN_ENV is production, and the password of the database {fault}: allowed is")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres:9c2f7be1@db.example/d",
        "postgresql:///d?host=/run/postgresql",
        "postgresql://postgres@db.example/d?sslcert=/keys/flynn.crt",
        "postgresql://postgres@db.example/d?passfile=/keys/pgpass",
    ],
)
def test_production_takes_a_password_of_ones_own_and_what_stands_for_one(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYNN_ENV", "Production")
    monkeypatch.setenv("DATABASE_URL", url)
    assert Settings.load().env == "production"


def test_development_takes_any_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://postgres:postgres@localhost/d")
    assert Settings.load().env == "development"


def test_the_service_s_own_database_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYNN_ENV", "production")
    assert Settings.load().database_url is None


def test_lists_and_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYNN_ALLOWED_ORIGINS", "https://Team.example/, http://localhost:5173")
    monkeypatch.setenv("FLYNN_MODEL_ALIASES", "haiku=local-model, fast = other")
    settings = Settings.load()
    assert settings.allowed_origins == ("https://team.example", "http://localhost:5173")
    assert settings.model_aliases == MODEL_ALIASES | {"haiku": "local-model", "fast": "other"}


@pytest.mark.parametrize(
    "origin", ["*", "team.example", "https://a/path", "https://*.a", "ftp://a", "https://u@a"]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    (line,) = refusal(FLYNN_ALLOWED_ORIGINS=f"https://fine.example,{origin}")
    assert line.startswith("FLYNN_ALLOWED_ORIGINS is ")


@pytest.mark.parametrize("key", ["sk-ant-…", "sk-ant 1", "sk-ant-ключ"])
def test_a_key_that_no_header_carries_is_refused_and_not_shown(key: str) -> None:
    (line,) = refusal(ANTHROPIC_API_KEY=key)
    assert line.startswith("ANTHROPIC_API_KEY is (hidden): allowed is the whole key as it was made")
    assert key not in line


def test_a_misspelt_name_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FLYNN_PROT", "1")
    monkeypatch.setenv("FLYNN_REQUIRE_ALL", "1")
    monkeypatch.setenv("FLYNN_KEY", "fly_1")
    monkeypatch.setenv("FLYNN_URL", "http://127.0.0.1:8000")
    (tmp_path / ".env").write_text("FLYNN_SANBOX=none\nFLYNN_QQQ=1\nOTHER_SANDBOX=1\n")
    with caplog.at_level(logging.WARNING):
        Settings.load()
    assert caplog.messages == [
        "FLYNN_PROT is set, but there is no such setting; did you mean FLYNN_PORT?",
        "FLYNN_QQQ is set, but there is no such setting",
        "FLYNN_SANBOX is set, but there is no such setting; did you mean FLYNN_SANDBOX?",
    ]


def test_a_file_cannot_send_the_users_own_key_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("ANTHROPIC_BASE_URL=https://collector.example\n")
    assert Settings.load().anthropic_base_url == "https://collector.example"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-1")
    with pytest.raises(
        ConfigurationError, match=r"ANTHROPIC_BASE_URL is set in \.env, but ANTHROPIC_API_KEY"
    ):
        Settings.load()
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://gateway.example/v1/")
    assert Settings.load().anthropic_base_url == "https://gateway.example/v1"


def test_an_unreadable_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"FLYNN_HOST=\xff\n")
    with pytest.raises(ConfigurationError, match=r"^\.env cannot be read: "):
        Settings.load()


def test_an_override_must_name_a_setting() -> None:
    with pytest.raises(TypeError, match="no such setting: prot"):
        Settings.load(prot=1)


def test_the_example_names_the_same_variables_and_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = (ROOT / ".env.example").read_text()
    lines = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.MULTILINE))
    assert lines.keys() == VARIABLES.keys()
    # Read with every default spelt out, the file changes nothing.
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    assert Settings.load() == Settings.load(env_file=None)
    # A value spelt out is one that the settings would refuse to read as anything else.
    assert {name for name, value in lines.items() if not value} == {
        "ANTHROPIC_API_KEY",
        "DATABASE_URL",
        "FLYNN_AGENTS_DIR",
        "FLYNN_FALLBACK_MODEL",
        "FLYNN_VOLUMES",
        "FLYNN_ALLOWED_ORIGINS",
        "FLYNN_ALERT_LIMITS",
        "FLYNN_ALERT_SECRET",
        "FLYNN_ALERT_URL",
        "FLYNN_BACKUP_DIR",
        "FLYNN_PERMISSIONS",
        "FLYNN_SANDBOX_READONLY",
        "FLYNN_WEBHOOK_HOSTS",
        "FLYNN_WORKSPACE",
        "POSTGRES_PASSWORD",
        "REDIS_URL",
    }


def test_the_example_is_the_one_that_the_settings_describe() -> None:
    script = ROOT / "scripts" / "env_example.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_toolchains_are_directories_separated_by_colons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYNN_SANDBOX_READONLY", "/usr/lib: /usr/bin:")
    assert Settings.load(env_file=None).sandbox_readonly == (Path("/usr/lib"), Path("/usr/bin"))


def test_a_fallback_model_is_checked_at_the_start() -> None:
    def of(model: str) -> str | None:
        return fallback_of(Settings.load(fallback_model=model, model_aliases="mine=claude-opus-5-5"))

    assert fallback_of(Settings.load()) is None
    assert of("sonnet") == of("claude-sonnet-5-5") == "claude-sonnet-5-5"
    assert of("mine") == "claude-opus-5-5"
    with pytest.raises(ConfigurationError, match="whose price is not known: The model 'gpt' is not known"):
        of("gpt")
    with pytest.raises(ConfigurationError, match="Allowed is a model that takes efforts"):
        of("claude-haiku-4-5")


def test_alerts_are_checked_at_the_start_and_their_secrets_are_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLYNN_ALERT_URL", "http://10.0.0.5:9000/hook?token=geheim1")
    monkeypatch.setenv("FLYNN_ALERT_LIMITS", "Disk=0.9, QueueAge = off")
    settings = Settings.load()
    assert settings.alert_limits == {"Disk": 0.9, "QueueAge": None}
    with pytest.raises(ConfigurationError, match=r"FLYNN_ALERT_SECRET is not: allowed is whsec_ and"):
        check_alerts(settings)
    monkeypatch.setenv("FLYNN_ALERT_SECRET", "geheim2")
    with pytest.raises(ConfigurationError, match=r"^FLYNN_ALERT_SECRET is \(hidden\): allowed is whsec_ and"):
        Settings.load()
    monkeypatch.setenv("FLYNN_ALERT_SECRET", secret := new_secret())
    settings = Settings.load()
    check_alerts(settings)
    assert secret in settings.secrets()
    assert "geheim" not in repr(settings)
    assert secret not in repr(settings)
    monkeypatch.setenv("FLYNN_ALERT_LIMITS", "Disc=0.9")
    with pytest.raises(ConfigurationError, match='names "Disc": allowed are the alerts ErrorRate, Latency'):
        check_alerts(Settings.load())


def test_a_process_of_ours_is_started_without_settings_and_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "AWS_SECRET_ACCESS_KEY", "PATH"):
        monkeypatch.setenv(name, "/some/value")
    environment = plain_environment()
    assert environment["PATH"] == "/some/value"
    assert not environment.keys() & {*VARIABLES, "AWS_SECRET_ACCESS_KEY"}
