"""Templates of .env files: what people copy, and fill in."""

import re

from flynn.workspace.checks.source import name_of

_TEMPLATE = re.compile(
    r"^(?:\.env\.(?:example|sample|template|dist|defaults)|\.?env[._-](?:example|sample|template|dist)|"
    r"(?:example|sample|template)\.env|\.env\.[\w-]+\.(?:example|sample|template|dist))$"
)


def is_template(path: str) -> bool:
    """Whether `path` is a template of a .env file."""
    return bool(_TEMPLATE.match(name_of(path)))
