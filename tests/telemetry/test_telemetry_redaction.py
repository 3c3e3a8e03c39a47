"""Redaction: what goes, what stays, and that the text around it is left alone."""

import base64
import hashlib
import json
import string
import uuid
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flynn.telemetry.redaction import MARK, Redactor, redact

_RANDOM = Random(15)
_ALNUM = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"


def _some(length: int, alphabet: str = _ALNUM) -> str:
    return "".join(_RANDOM.choices(alphabet, k=length))


def armoured(kind: str, lines: int = 12, ending: str = "\n") -> str:
    """A private key in its armour, the key made up."""
    data = base64.b64encode(_RANDOM.randbytes(lines * 48 - 20)).decode()
    body = [data[at : at + 64] for at in range(0, len(data), 64)]
    return ending.join((f"-----BEGIN {kind}-----", *body, f"-----END {kind}-----"))


# Put together here, so that no file of ours holds anything that looks like a token.
TOKENS = {
    "Anthropic": "sk-ant-api03-" + _some(93) + "AA",
    "OpenAI": "sk-proj-" + _some(74) + "T3BlbkFJ" + _some(74),
    "OpenAI, older": "sk-" + _some(20) + "T3BlbkFJ" + _some(20),
    "Hugging Face": "hf_" + _some(34),
    "Flynn": "fly_" + _some(43, _ALNUM + "_-"),
    "GitHub": "ghp_" + _some(36),
    "GitHub App": "ghs_" + _some(36),
    "GitHub, fine-grained": "github_pat_" + _some(22) + "_" + _some(59),
    "GitLab": "glpat-" + _some(20, _ALNUM + "_-"),
    "GitLab, routable": "glpat-" + _some(27) + ".01." + _some(9, _HEX),
    "GitLab runner": "glrt-" + _some(20),
    "npm": "npm_" + _some(36),
    "PyPI": "pypi-AgEIcHlwaS5vcmc" + _some(150, _ALNUM + "_-"),
    "RubyGems": "rubygems_" + _some(48, _HEX),
    "Docker Hub": "dckr_pat_" + _some(27, _ALNUM + "_-"),
    "Artifactory": "AKCp" + _some(69),
    "AWS key id": "AKIA" + _some(16, string.ascii_uppercase + "234567"),
    "Google": "AIza" + _some(35, _ALNUM + "_-"),
    "Google OAuth": "GOCSPX-" + _some(28),
    "Google access": "ya29." + _some(120),
    "DigitalOcean": "dop_v1_" + _some(64, _HEX),
    "Vault": "hvs." + _some(90),
    "Databricks": "dapi" + _some(32, _HEX) + "-2",
    "Heroku": "HRKU-" + _some(60),
    "Pulumi": "pul-" + _some(40, _HEX),
    "Doppler": "dp.st.prd." + _some(40),
    "Tailscale": "tskey-auth-" + _some(12) + "CNTRL-" + _some(32),
    "PlanetScale": "pscale_pw_" + _some(43),
    "Grafana Cloud": "glc_" + _some(80),
    "Grafana": "glsa_" + _some(32) + "_" + _some(8, _HEX),
    "New Relic": "NRAK-" + _some(27, string.ascii_uppercase + string.digits),
    "Sentry": "sntryu_" + _some(64, _HEX),
    "Postman": "PMAK-" + _some(24, _HEX) + "-" + _some(34, _HEX),
    "Buildkite": "bkua_" + _some(40, _HEX),
    "Linear": "lin_api_" + _some(40),
    "Atlassian": "ATATT3xFfGF0" + _some(170),
    "Slack": "xoxb-" + _some(12, string.digits) + "-" + _some(24),
    "Slack app": "xapp-1-A" + _some(10, string.digits) + "-" + _some(40),
    "Twilio": "SK" + _some(32, _HEX),
    "SendGrid": "SG." + _some(22) + "." + _some(43),
    "Stripe": "sk_live_" + _some(24),
    "Stripe, restricted": "rk_live_" + _some(24),
    "Stripe webhook": "whsec_" + _some(32),
    "Square": "sq0csp-" + _some(43),
    "Shopify": "shpat_" + _some(32, _HEX),
    "JSON web token": "eyJ" + _some(33) + ".eyJ" + _some(60) + "." + _some(43),
    "age": "AGE-SECRET-KEY-1" + _some(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"),
    "RSA": armoured("RSA PRIVATE KEY"),
    "PKCS 8": armoured("PRIVATE KEY"),
    "OpenSSH": armoured("OPENSSH PRIVATE KEY", ending="\r\n"),
    "PGP": armoured("PGP PRIVATE KEY BLOCK"),
}

AROUND = [
    ("aws_secret_access_key = {}", _some(40, _ALNUM + "/+")),
    ('"SecretAccessKey": "{}",', _some(40, _ALNUM + "/+")),
    ("AWS_SESSION_TOKEN={}", _some(300, _ALNUM + "/+")),
    ("DefaultEndpointsProtocol=https;AccountName=x;AccountKey={};EndpointSuffix=y", _some(86) + "=="),
    ("Endpoint=sb://x/;SharedAccessKeyName=y;SharedAccessKey={}", _some(43) + "="),
    ("https://x.blob.example.com/c/b?sv=2024-01-01&sig={}", _some(43) + "%3D"),
    ("client_secret: abc8{}", "Q~" + _some(34)),
    ("credentials: " + "AbcdEfghIjklMn{}", ".atlasv1." + _some(67)),
    ('"auths": {{"ghcr.io": {{"auth": "{}"}}}}', base64.b64encode(b"octo:s3cret-t0ken").decode()),
    ("//registry.example.com/:_authToken={}", "a1" + _some(36)),
    ("https://hooks.slack.com/services/{}", "T0000/B0000/" + _some(24)),
    ("https://discord.com/api/webhooks/123456789012345678/{}", _some(68)),
    ("https://api.telegram.org/bot123456789:{}/getMe", "AA" + _some(33)),
    ("Authorization: Bearer {}", "abcdefghijklmnop1234=="),
    ("authorization: basic {}", "dXNlcjpwYXNzd29yZA=="),
    ("postgresql+asyncpg://user:{}@host:5432/db", "p%40ss"),
    ("redis://:{}@h:6379/0 and more", "geheim"),
    ("https://u:{}@host/x", "p@ss"),
    ("postgres://u:{}@db/x", "${PASSWORD:-geheim1}"),
]


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "key {} end",
        '"{}",',
        "TOKEN={}\nnext",
        r"a\n{}\n",
        "\x1b[32m{}\x1b[0m",
        "a%20{}",
        "<{}>",
        "({})",
    ],
)
def test_well_known_tokens_go(name: str, around: str) -> None:
    assert redact(around.format(TOKENS[name])) == around.format(MARK)


@pytest.mark.parametrize(("around", "secret"), AROUND)
def test_what_stands_around_a_secret_tells_it_and_stays(around: str, secret: str) -> None:
    assert redact(around.format(secret)) == around.format(MARK)


def _lockfile() -> str:
    digest = base64.b64encode(hashlib.sha512(b"package").digest()).decode()
    return json.dumps({"node_modules/x": {"version": "1.2.3", "integrity": f"sha512-{digest}"}}, indent=1)


@pytest.mark.parametrize(
    "text",
    [
        "fly_to_the_moon",
        "sk-ant-",
        "http://localhost:8000/a@b",
        "ssh://git@github.com:22/a/b.git",
        "see https://example.com/x: user@example.com",
        "the bearer of bad news; Basic internationalization of everything",
        "Authorization: Bearer ${API_TOKEN_2}",
        "password = os.environ['PASSWORD']",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        armoured("CERTIFICATE"),
        armoured("PUBLIC KEY"),
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "if '-----BEGIN PRIVATE KEY-----' in text:\n    raise Refused('a private key')\n\n\nother = 1\n",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "image: redis:7.2-alpine@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "commit 9dc26ea1f2b3c4d5e6f708192a3b4c5d6e7f8091",
        "task-sk-1 risk-" + _some(40) + " TASK" + _some(32, _HEX) + " desk-" + _some(40),
        "import hf_transfer, npm_config_registry, ghp_import; whsec_ sk_live_ SG. hvs. xoxb-",
        "postgresql://flynn:${POSTGRES_PASSWORD}@postgres:5432/flynn",
        "redis://:$REDIS_PASSWORD@redis:6379/0 amqp://u:{{ vault.password }}@mq https://u:<password>@h",
        "https://user:%(password)s@host https://user:{password}@host https://user:****@host",
        'auth: true\n"auth": "AuthenticationBackend"\n',
        "def dapi(): return 'dapi' + suffix",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + _some(43) + " octo@example.com",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("seed", range(20))
def test_digests_identifiers_and_pictures_stay(seed: int) -> None:
    random = Random(seed)
    picture = base64.b64encode(random.randbytes(60_000)).decode()
    lines = [
        *(str(uuid.UUID(bytes=random.randbytes(16))) for _ in range(50)),
        *(random.randbytes(20).hex() for _ in range(50)),
        *(f"sha256:{random.randbytes(32).hex()}" for _ in range(50)),
        *(f"sha512-{base64.b64encode(random.randbytes(64)).decode()}" for _ in range(50)),
        f"data:image/png;base64,{picture}",
        *(picture[at : at + 76] for at in range(0, len(picture), 76)),
        _lockfile(),
    ]
    text = "\n".join(lines)
    assert redact(text) == text


_KEY = armoured("RSA PRIVATE KEY")


@pytest.mark.parametrize(
    "rewritten",
    [
        "\n".join(f"{number}\t{line}" for number, line in enumerate(_KEY.split("\n"), 1)),
        "\n".join(f"deploy/key.pem-{number}-{line}" for number, line in enumerate(_KEY.split("\n"), 1)),
        "\n".join(f"    {line}" for line in _KEY.split("\n")),
        "\n".join(f"+{line}" for line in _KEY.split("\n")),
        json.dumps({"private_key": _KEY + "\n"}),
        "\n".join(f'"{line}\\n" +' for line in _KEY.split("\n")),
        "\n".join(_KEY.split("\n")[:9]),
        "\n".join(_KEY.split("\n")[:9])
        + "\n[… 700 characters left out here …]\nthe next file\nis not secret",
        "\n".join(_KEY.split("\n")[3:]),
        "".join(_KEY.split("\n")[:9]),
    ],
    ids=[
        "numbered",
        "searched",
        "indented",
        "added",
        "json",
        "source",
        "head",
        "head and more",
        "tail",
        "joined",
    ],
)
def test_no_line_of_a_private_key_stays(rewritten: str) -> None:
    redacted = redact(rewritten)
    assert MARK in redacted
    assert not [line for line in _KEY.split("\n")[1:-1] if line in redacted]
    assert ("is not secret" in rewritten) == ("is not secret" in redacted)


def test_registered_secrets_go_longest_first_and_however_they_are_written() -> None:
    redactor = Redactor()
    redactor.register("geheim")
    redactor.register("geheim-und/mehr\n")
    assert redactor.redact("a geheim-und/mehr b geheim c geheim-und%2Fmehr d") == (
        f"a {MARK} b {MARK} c {MARK} d"
    )
    redactor.register('ge"heim\\ ü')
    for written in (
        'ge"heim\\ ü',
        json.dumps('ge"heim\\ ü')[1:-1],
        "ge%22heim%5C%20%C3%BC",
        "ge%22heim%5C+%C3%BC",
    ):
        assert redactor.redact(f"<{written}>") == f"<{MARK}>"


def test_short_values_ordinary_words_and_parts_of_the_mark_are_not_registered() -> None:
    redactor = Redactor()
    redactor.register("")
    redactor.register("a b")
    redactor.register("redacted")
    redactor.register("Postgres")
    assert redactor.redact("a b c redacted POSTGRES postgres") == "a b c redacted POSTGRES postgres"


def test_secrets_that_overlap_leave_one_mark_and_nothing_of_either() -> None:
    redactor = Redactor()
    redactor.register("geheimnis")
    redactor.register("nisgeheim")
    assert redactor.redact("a geheimnisgeheim b") == f"a {MARK} b"


def test_a_token_that_only_a_mark_sets_free_goes_too() -> None:
    redactor = Redactor()
    redactor.register("geheim")
    assert redactor.redact(f"geheim{TOKENS['npm']}") == MARK * 2


_PIECES = st.one_of(
    st.sampled_from([*TOKENS.values(), *(around.format(secret) for around, secret in AROUND)]),
    st.sampled_from(
        [MARK, "geheim-und/mehr", "geheim", "heimat", " ", "\n", ":", "@", "://", '"', "-----BEGIN "]
    ),
    st.text(max_size=8),
)


@given(st.lists(_PIECES, max_size=12).map("".join))
def test_redacting_again_changes_nothing(text: str) -> None:
    redactor = Redactor()
    redactor.register("geheim-und/mehr")
    redactor.register("heimat")
    once = redactor.redact(text)
    assert redactor.redact(once) == once
    assert "geheim-und/mehr" not in once


_HOSTILE = [
    "a",
    "://",
    "a://b:",
    "eyJaaaaaaaaa.",
    "bearer ",
    ":a@",
    "sk-",
    "AKIA",
    "SG.",
    '"auth":"',
    "://:<",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----END PRIVATE KEY-----\n",
    "A" * 63 + "1\n",
    "-----BEGIN ",
    "Bearer a",
    "?sig=%",
]


@pytest.mark.parametrize("piece", _HOSTILE)
def test_hostile_text_is_redacted_at_all(piece: str) -> None:
    """A megabyte: whatever took the square of it would not come back while anybody waits."""
    text = piece * (1_000_000 // len(piece)) + "!"
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("piece", _HOSTILE)
def test_searching_grows_with_the_text_and_not_with_its_square(piece: str) -> None:
    """Counted in characters, not in seconds: eight times the text, about eight times the work."""
    few, many = (_work(piece * (size // len(piece)) + "!") for size in (4_000, 32_000))
    assert many <= 12 * few + 200


def _work(text: str) -> int:
    """How many characters redaction searches for anchors or cuts out."""
    redactor = Redactor()
    counted = _Counted(text)
    redactor.spans(counted)
    redactor.open_from(counted)
    return counted.looked


class _Counted(str):
    """Text that counts how much of it is searched or cut out."""

    looked = 0

    def find(self, *arguments: object) -> int:
        found = str.find(self, *arguments)  # type: ignore[arg-type]
        start = int(arguments[1]) if len(arguments) > 1 else 0  # type: ignore[call-overload]
        self.looked += (found if found >= 0 else len(self)) - start + 1
        return found

    def __getitem__(self, key: object) -> str:
        piece = str.__getitem__(self, key)  # type: ignore[index]
        self.looked += len(piece)
        return piece
