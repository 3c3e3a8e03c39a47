#!/usr/bin/env python3
"""Writes .env.example from the settings: every variable, its sentence and its default.

.venv/bin/python scripts/env_example.py           write it
.venv/bin/python scripts/env_example.py --check   fail, with status 1, when it is out of date
"""

import sys
import textwrap
from pathlib import Path
from typing import Any

from flynn.settings import VARIABLES, allowed

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"

HEAD = """\
# Settings of Flynn. scripts/setup.sh copies this file to .env, which must stay out of version control.
# What is set in the environment wins over .env. A line that begins with # shows a default; an empty
# value means that the setting is unset.
"""

TO_FILL_IN = {"ANTHROPIC_API_KEY", "POSTGRES_PASSWORD"}
"""Variables that .env sets, empty at first."""


def default(value: Any) -> str:
    """A default as it is written in the file."""
    match value:
        case None | ():
            return ""
        case bool():
            return str(value).lower()
        case dict():
            return ",".join(f"{name}={model}" for name, model in value.items())
        case Path():
            return f"./{value}"
        case _:
            return str(value)


def render() -> str:
    """The whole file."""
    parts = [HEAD]
    for name, field in VARIABLES.items():
        sentence = field.description or ""
        if field.annotation in (int, float):
            sentence += f" Allowed: {allowed(field)}."
        sentence = textwrap.fill(sentence, 100, initial_indent="# ", subsequent_indent="# ")
        mark = "" if name in TO_FILL_IN else "#"
        parts.append(f"{sentence}\n{mark}{name}={default(field.default)}\n")
    return "\n".join(parts)


def main() -> int:
    """Write the file, or check it."""
    if sys.argv[1:] not in ([], ["--check"]):
        sys.stderr.write("env_example.py: the only option is --check\n")
        return 2
    if not sys.argv[1:]:
        EXAMPLE.write_text(render())
        return 0
    if EXAMPLE.exists() and EXAMPLE.read_text() == render():
        return 0
    sys.stderr.write(".env.example is out of date; run: .venv/bin/python scripts/env_example.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
