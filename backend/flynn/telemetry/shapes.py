r"""The shapes of well-known secrets: what their issuers' documentation, or a standard, says they look like.

A shape is found by an anchor, a literal that each such secret holds, and judged by a pattern that is
matched right there. So text without anchors costs one pass of a plain search an anchor, and no pattern
runs over the text. Patterns are linear: what repeats is possessive, or is bounded, or cannot overlap with
what follows it. A shape has to be rare in ordinary text, since what matches cannot be edited any more;
values that only name a secret (`${TOKEN}`, `<password>`) are none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

TOKEN = "".join(map(chr, (*range(48, 58), *range(65, 91), *range(97, 123)))) + "_-.=+/~:%"
"""Every character of which tokens are made."""

CONTEXT = 16
"""The most characters in front of a secret that a pattern looks at."""

_BEFORE = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})|(?<=[\d\[]m))"
r"""Where a token may begin: not inside a word, but behind an escaped line end (`\n` in JSON), behind a
percent-encoded character, and behind a terminal's colour."""
_AFTER = r"(?![A-Za-z0-9_])"

_NAMES_ONE = (
    r"\$\{[A-Za-z_]\w*\}|\$[A-Za-z_]\w*|\$\([^()]*\)|\$?\{\{[^{}]*\}\}|\{\w*\}"
    r"|<[^<>]*>|%s|%\(\w+\)s|\*+|x{3,}|\.\.\."
)
"""A value that stands for a password and is none: a variable, a template's or a document's placeholder."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of secret. `pattern` is matched where an anchor begins.

    Its group `secret` is what goes, the whole match where there is no such group.
    """

    anchors: tuple[str, ...]
    pattern: re.Pattern[str]

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where secrets of this shape are in `text`."""
        for anchor in self.anchors:
            place = text.find(anchor)
            while place >= 0:
                after = place + 1
                if (found := self.pattern.match(text, place)) is not None:
                    group = "secret" if "secret" in self.pattern.groupindex else 0
                    yield found.span(group)
                    after = max(after, found.end())
                place = text.find(anchor, after)


def _token(anchors: str, rest: str) -> Shape:
    """A token that begins with one of `anchors` and goes on with `rest`."""
    heads = tuple(anchors.split())
    return Shape(heads, re.compile(f"{_BEFORE}(?:{'|'.join(map(re.escape, heads))}){rest}"))


def _within(anchors: str, pattern: str) -> Shape:
    """A secret that is told by what stands around it."""
    return Shape(tuple(anchors.split()), re.compile(pattern))


SHAPES = (
    # -- models
    _token("sk-ant-", r"[A-Za-z0-9_-]{8,}+"),  # Anthropic
    _token("sk-proj- sk-svcacct- sk-admin-", r"[A-Za-z0-9_-]{20,}+"),  # OpenAI
    _token("sk-", rf"[A-Za-z0-9]{{32,}}+{_AFTER}"),  # OpenAI's older keys, and those of many that copied them
    _token("hf_", rf"[A-Za-z0-9]{{34}}{_AFTER}"),  # Hugging Face
    # -- our own keys
    _token("fly_", r"[A-Za-z0-9_-]{40,}+"),
    # -- code hosts and registries
    _token("ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{36,}+"),  # GitHub
    _token("github_pat_", r"[A-Za-z0-9_]{22,}+"),
    _token(
        "glpat- gldt- glrt- glcbt- glptt- glft- glsoat- glimt- glagent- glffct-",
        r"[A-Za-z0-9_-]{20,}+(?:\.[0-9a-z]{2}\.[0-9a-z]{9})?",
    ),  # GitLab
    _token("npm_", rf"[A-Za-z0-9]{{36}}{_AFTER}"),
    _token("pypi-AgE", r"[A-Za-z0-9_-]{50,}+"),  # a macaroon, base64 of its version and location
    _token("rubygems_", rf"[0-9a-f]{{48}}{_AFTER}"),
    _token("dckr_pat_ dckr_oat_", r"[A-Za-z0-9_-]{27,}+"),  # Docker Hub
    _token("AKCp", rf"[A-Za-z0-9]{{69}}{_AFTER}"),  # Artifactory
    # `auths` of a container engine's config.json: base64 of user and password.
    _within('"auth"', r'"auth"\s{0,8}:\s{0,8}"(?=[^"]{0,400}[0-9=])(?P<secret>[A-Za-z0-9+/]{12,}+={0,2})"'),
    _within(
        "_authToken _auth", r"_auth(?:Token)?[ \t]{0,4}=[ \t]{0,4}(?P<secret>[A-Za-z0-9+/_.-]{12,}+={0,2})"
    ),
    # -- clouds
    _token("AKIA ASIA", rf"[A-Z0-9]{{16}}{_AFTER}"),  # AWS access key ids
    _within(
        "aws_secret_access_key AWS_SECRET_ACCESS_KEY SecretAccessKey secretAccessKey",
        r"(?i:aws_)?(?i:secret_?access_?key)[\"']?[ \t]{0,8}[=:][ \t]{0,8}[\"']?"
        r"(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
    ),
    _within(
        "aws_session_token AWS_SESSION_TOKEN SessionToken sessionToken",
        r"(?i:aws_)?(?i:session_?token)[\"']?[ \t]{0,8}[=:][ \t]{0,8}[\"']?"
        r"(?P<secret>[A-Za-z0-9/+]{100,}+={0,2})",
    ),
    _token("AIza", r"[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),  # Google API keys
    _token("GOCSPX-", r"[A-Za-z0-9_-]{28}(?![A-Za-z0-9_-])"),  # Google OAuth client secrets
    _token("ya29.", r"[A-Za-z0-9_.-]{30,}+"),  # Google access tokens
    _within("AccountKey=", r"AccountKey=(?P<secret>[A-Za-z0-9+/]{86}==)"),  # Azure storage
    _within("SharedAccessKey=", r"SharedAccessKey=(?P<secret>[A-Za-z0-9+/]{43}=)"),  # Azure buses
    _within("?sig= &sig=", r"[?&]sig=(?P<secret>[A-Za-z0-9+/%]{40,}+=?)"),  # Azure shared access signatures
    _within(
        "Q~", r"(?<=[A-Za-z0-9_~.-]{3}\d)(?P<secret>Q~[A-Za-z0-9_~.-]{31,34})(?![A-Za-z0-9_~.-])"
    ),  # Entra
    _token("dop_v1_ doo_v1_ dor_v1_", rf"[0-9a-f]{{64}}{_AFTER}"),  # DigitalOcean
    _token("hvs. hvb. hvr.", r"[A-Za-z0-9_-]{24,}+"),  # HashiCorp Vault
    _within(
        ".atlasv1.", r"(?<=[A-Za-z0-9]{14})(?P<secret>\.atlasv1\.[A-Za-z0-9_=-]{60,}+)"
    ),  # Terraform Cloud
    _token("dapi", rf"[0-9a-f]{{32}}(?:-\d)?{_AFTER}"),  # Databricks
    _token("HRKU-", r"[A-Za-z0-9_-]{36,}+"),  # Heroku
    _token("pul-", rf"[0-9a-f]{{40}}{_AFTER}"),  # Pulumi
    _token("dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.", r"[A-Za-z0-9_.-]{40,}+"),  # Doppler
    _token("tskey-auth- tskey-api- tskey-client-", r"[A-Za-z0-9-]{16,}+"),  # Tailscale
    _token("pscale_tkn_ pscale_pw_ pscale_oauth_", r"[A-Za-z0-9_.=-]{32,}+"),  # PlanetScale
    # -- operations
    _token("glc_", r"[A-Za-z0-9+/]{40,}+={0,2}"),  # Grafana Cloud
    _token("glsa_", rf"[A-Za-z0-9]{{32}}_[0-9a-fA-F]{{8}}{_AFTER}"),  # Grafana service accounts
    _token("NRAK-", rf"[A-Z0-9]{{27}}{_AFTER}"),  # New Relic
    _token("sntryu_", rf"[0-9a-f]{{64}}{_AFTER}"),  # Sentry
    _token("sntrys_", r"[A-Za-z0-9+/=_-]{60,}+"),
    _token("PMAK-", rf"[0-9a-f]{{24}}-[0-9a-f]{{34}}{_AFTER}"),  # Postman
    _token("bkua_", rf"[0-9a-f]{{40}}{_AFTER}"),  # Buildkite
    _token("lin_api_", r"[A-Za-z0-9]{40,}+"),  # Linear
    _token("ATATT3", r"[A-Za-z0-9_=-]{100,}+"),  # Atlassian
    # -- messages and money
    _token("xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- xapp-", r"[A-Za-z0-9-]{10,}+"),  # Slack
    _within(
        "hooks.slack.com/",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9/_-]{20,}+)",
    ),
    _within("/api/webhooks/", r"/api/webhooks/\d{15,22}/(?P<secret>[A-Za-z0-9_-]{60,}+)"),  # Discord
    _within(":AA", r"(?<=\d{8}):(?P<secret>AA[A-Za-z0-9_-]{33})(?![A-Za-z0-9_-])"),  # Telegram bots
    _token("SK", rf"[0-9a-f]{{32}}{_AFTER}"),  # Twilio
    _token("SG.", r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),  # SendGrid
    _token("sk_live_ sk_test_ rk_live_ rk_test_", r"[A-Za-z0-9]{16,}+"),  # Stripe
    _token("whsec_", r"[A-Za-z0-9+/]{32,}+={0,2}"),
    _token("sq0atp- sq0csp-", r"[A-Za-z0-9_-]{22,}+"),  # Square
    _token("shpat_ shpca_ shppa_ shpss_", rf"[0-9a-fA-F]{{32}}{_AFTER}"),  # Shopify
    # -- standards
    _token("eyJ", r"[A-Za-z0-9_-]{8,}+\.eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]*+"),  # JSON web tokens, RFC 7519
    _token("AGE-SECRET-KEY-1", rf"[0-9A-Z]{{58}}{_AFTER}"),  # age, bech32
    # RFC 6750, RFC 7617. What follows the word in prose holds no digit.
    _within(
        "Bearer bearer BEARER Basic basic BASIC",
        r"(?<![A-Za-z0-9_])(?i:bearer|basic)[ \t]{1,8}(?=[A-Za-z._~+/-]{0,4000}[0-9=])"
        r"(?P<secret>[A-Za-z0-9._~+/-]{16,}+=*+)",
    ),
    # The password of a URL's user information, RFC 3986 section 3.2.1.
    _within(
        "://",
        rf"(?<=[A-Za-z0-9+.-])://[^\s:/?#@\"']*+:(?!(?:{_NAMES_ONE})@)(?P<secret>[^\s/?#\"']+)(?=@)",
    ),
)
"""Every shape but private keys, which take many lines and are in flynn.telemetry.private_key."""

ANCHORS = tuple(dict.fromkeys(anchor for shape in SHAPES for anchor in shape.anchors))

OPEN = re.compile(
    r"(?:://[^\s/?#\"']*+"
    r"|(?:(?i:bearer|basic)[ \t]{1,8}"
    r"|(?i:secret_?access_?key|session_?token|\"auth\"|_auth(?:token)?)[\"']?\s{0,8}[=:]?\s{0,8}[\"']?)"
    r"[A-Za-z0-9_.=+/~%-]*+)\Z"
)
"""The end of a text in which a secret that has something around it may have begun."""
