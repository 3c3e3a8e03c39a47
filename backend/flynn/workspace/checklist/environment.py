"""Environment variables: each one that is read is in the template that people copy."""

import re
from collections.abc import Iterator

from flynn.domain.checklist import ChecklistItem, Proof, failed, passed, undecided
from flynn.workspace.checklist.look import Look
from flynn.workspace.checklist.template import is_template
from flynn.workspace.checklist.variable import Reading, readings
from flynn.workspace.checks.source import name_of

_DOCUMENTED = re.compile(r"^\s*(?:#\s*)?(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_NAMED = 50


def documented_environment(look: Look) -> ChecklistItem:
    """What code and compose read is in the template; what workflows read there, or in a document."""
    return ChecklistItem.of("environment", "Environment variables are documented", list(_proofs(look)))


def _proofs(look: Look) -> Iterator[Proof]:
    read = readings(look)
    templates = [path for path in look.sources.deployed if is_template(path)]
    if not read:
        where = (templates[0], 1) if templates else (None, None)
        yield passed("Nothing that is known reads an environment variable.", *where)
        return
    listed = {name for path in templates for name in _names(path, look)}
    missing = [reading for reading in read if reading.name not in listed]
    if missing:
        said = _in_documents({reading.name for reading in missing}, look)
        missing = [
            reading
            for reading in missing
            if reading.name not in said or (templates and reading.by != "workflow")
        ]
    for reading in missing[:_MOST_NAMED]:
        yield look.lacking(_why(reading, templates), reading.path, reading.line, "template")
    if len(missing) > _MOST_NAMED:
        yield failed(f"{len(missing) - _MOST_NAMED} more variables are not documented.")
    if not missing:
        count = len({reading.name for reading in read})
        yield passed(
            f"{count} {'variable is' if count == 1 else 'variables are'} read, and documented.",
            templates[0] if templates else None,
            1 if templates else None,
        )
    elif look.sources.unread:
        yield undecided("Not all files were read.")


def _why(reading: Reading, templates: list[str]) -> str:
    if not templates:
        return f"{reading.name} is read here, and there is no .env.example or document that names it."
    also = " or in a document" if reading.by == "workflow" else ""
    return f"{reading.name} is read here, and not in {name_of(templates[0])}{also}."


def _names(path: str, look: Look) -> set[str]:
    """The variables that a template names, those in comments too: `# PORT=8000` shows a default."""
    found = (_DOCUMENTED.match(line) for line in look.sources.lines(path))
    return {match["name"] for match in found if match}


def _in_documents(names: set[str], look: Look) -> set[str]:
    """Those of `names` that a Markdown document has as a word."""
    said: set[str] = set()
    for path in look.sources.paths:
        if path.lower().endswith((".md", ".rst", ".adoc")):
            text = look.sources.text(path) or ""
            said |= names & set(_WORD.findall(text))
    return said
