"""Redaction: known secrets and the shapes of well-known tokens are replaced by a mark.

It is a net under careful code, not a licence to log or to show secrets: a secret that was never
registered and has no known shape passes.
"""

import re
from urllib.parse import quote

MARK = "⟦redacted⟧"
"""Stands where a secret stood. Its brackets are rare enough to be looked for."""

MIN_SECRET = 6
"""Shorter values are not registered: they would blank out ordinary words."""

_SHAPES = re.compile(
    "|".join(
        (
            r"\bsk-ant-[A-Za-z0-9_-]{8,}",  # Anthropic
            r"\bfly_[A-Za-z0-9_-]{32,}",  # our own keys
            r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",  # AWS access key ids
            r"(?<=(?i:aws_secret_access_key))(?P<aws>[\"']?\s*[=:]\s*[\"']?)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
            r"\bgh[pousr]_[A-Za-z0-9]{36,}",  # GitHub
            r"\bgithub_pat_[A-Za-z0-9_]{22,}",
            r"\bglpat-[A-Za-z0-9_-]{20,}",  # GitLab
            r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
            r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",  # JSON web tokens, RFC 7519
            r"(?P<bearer>\b(?i:bearer|basic)\s+)[A-Za-z0-9._~+/-]{16,}=*",  # RFC 6750, RFC 7617
            # The password of a URL's user information, RFC 3986 section 3.2.1.
            r"(?P<user>\b[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s:/?#@\"']*:)[^\s/?#\"']+(?=@)",
            r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----[\s\S]*?"
            r"(?:-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----|\Z)",  # RFC 7468
        )
    )
)


def _keep_what_leads_to_it(match: re.Match[str]) -> str:
    found = match.groupdict()
    return f"{found['aws'] or found['bearer'] or found['user'] or ''}{MARK}"


class Redactor:
    """Replaces registered secrets and well-known token shapes in text."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def register(self, secret: str) -> None:
        """Redact `secret` from now on, as it is and percent-encoded. Ignores values under MIN_SECRET."""
        secret = secret.strip()
        if len(secret) < MIN_SECRET or secret in self._secrets:
            return
        self._secrets |= {secret, quote(secret, safe="")}
        # The longest first, so that no secret is left half shown because a part of it is one too.
        ordered = sorted(self._secrets, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered)))

    def redact(self, text: str) -> str:
        """`text` with a mark in the place of each secret."""
        if self._pattern is not None:
            text = self._pattern.sub(MARK, text)
        return _SHAPES.sub(_keep_what_leads_to_it, text)


_REDACTOR = Redactor()


def register_secret(secret: str) -> None:
    """Keep `secret` out of everything that this process logs or shows. Holds until the process ends."""
    _REDACTOR.register(secret)


def redact(text: str) -> str:
    """`text` without the registered secrets of this process and without well-known tokens."""
    return _REDACTOR.redact(text)
