"""Secrets: none is kept in the repository."""

import re
from collections.abc import Iterator

from flynn.domain.checklist import ChecklistItem, Proof, failed, passed, undecided
from flynn.telemetry.redaction import ORDINARY, Redactor
from flynn.workspace.checklist.compose import compose_files, pairs
from flynn.workspace.checklist.look import Look
from flynn.workspace.checklist.template import is_template
from flynn.workspace.checks.source import Sources, aside, name_of

_MOST_NAMED = 50
_DOTENV = re.compile(r"^\.env(?:\.[\w.-]+)?$|^[\w-]+\.env$|^\.envrc$")
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|PASS|SECRET|TOKEN|APIKEY|API_KEY|ACCESS_KEY|PRIVATE_KEY|SECRET_KEY|CREDENTIALS?)(?:_|$)"
    r"|_KEY$",
    re.IGNORECASE,
)
_NO_SECRET_NAME = re.compile(
    r"_(?:FILE|PATH|URL|NAME|ID|LENGTH|TTL|EXPIR\w*|MINUTES|SECONDS|TYPE|ALGORITHM)$|PUBLIC", re.IGNORECASE
)
_PLACEHOLDER = re.compile(
    r"^$|^\$|^<.*>$|^\{\{.*\}\}$|^(?:x{3,}|\*+|\.{3}|true|false|none|null|\d{1,3})$|"
    r"change|replace|example|placeholder|dummy|your[-_ ]|todo|insert|local|dev|test|fake|sample",
    re.IGNORECASE,
)
_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=(?P<value>.*)$")
_ENTRY = re.compile(r"(?<![\w$.-])(?P<name>[A-Z][A-Z0-9_]+)[\"']?\s*[:=]\s*[\"']?(?P<value>[^\s\"',}\]#]+)")
"""A variable of an environment and its value, in whatever YAML it stands."""
_LONGEST_LINE = 2_000
_KEY_FILE = re.compile(r"^(?:id_(?:rsa|dsa|ecdsa|ed25519)|.*\.(?:p12|pfx|jks|keystore))$")
_OWN_HOST = re.compile(
    r"@(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0|host\.docker\.internal|[a-z][\w-]*)(?=[:/\"'\s]|$)"
)
"""This machine, or the name of a service in a network of containers."""
_REPEATED = re.compile(r"(.)\1{9}")
"""Nobody issues such a token: it stands in a document for one."""
_READ_LAST = (".lock", ".svg", ".map", ".min.js", ".csv")
_REDACTOR = Redactor()
"""Knows the shapes of well-known secrets, and no secret of this process."""


def committed_secrets(look: Look) -> ChecklistItem:
    """No .env with values, no key file, no token of a known shape, no password written into compose."""
    proofs = list(_proofs(look))
    if len(proofs) > _MOST_NAMED:
        more = len(proofs) - _MOST_NAMED
        proofs = [*proofs[:_MOST_NAMED], failed(f"{more} more places hold secrets.")]
    if not proofs:
        proofs = [passed("No secret of a known shape is in the files, and no .env with values.")]
    return ChecklistItem.of("secrets", "No secrets are committed", proofs)


def _proofs(look: Look) -> Iterator[Proof]:
    sources = look.sources
    for path in sources.paths:
        name = name_of(path)
        if _DOTENV.match(name) and not is_template(path) and not aside(path):
            yield from _of_dotenv(path, sources)
        elif _KEY_FILE.match(name) and not aside(path):
            yield _kept("This file holds keys", path, None, sources)
    for path in compose_files(sources):
        yield from _of_compose(path, sources)
    for gap in look.gaps:
        if gap.kind == "compose":
            yield from _of_broken_compose(gap.path, sources)
    for path in sources.paths:
        if not path.endswith(_READ_LAST):
            yield from _of_text(path, sources.text(path), sources)
    for gap in look.gaps:
        if gap.textless:
            yield from _of_text(gap.path, sources.raw(gap.path), sources)


def _of_dotenv(path: str, sources: Sources) -> Iterator[Proof]:
    text = sources.text(path)
    for number, line in enumerate((sources.raw(path) if text is None else text).split("\n"), 1):
        found = _LINE.match(line.strip())
        if found is None:
            continue
        value = found["value"].split(" #")[0].strip().strip("\"'")
        if _is_secret(found["name"], value):
            yield _kept(f"{found['name']} has a value here", path, number, sources)


def _of_compose(path: str, sources: Sources) -> Iterator[Proof]:
    for document in sources.yaml(path)[:1]:
        listed = document.get("services")
        for service in (listed.mapping() if listed is not None else {}).values():
            for name, value, line in pairs(service.get("environment")):
                if value is not None and "$" not in value and _is_secret(name, value):
                    yield _kept(f"{name} is written into the compose file", path, line, sources)


def _of_broken_compose(path: str, sources: Sources) -> Iterator[Proof]:
    """What can be seen by lines in a compose file that cannot be understood."""
    text = sources.text(path)
    seen = {proof.line for proof in _of_compose(path, sources)}
    for number, line in enumerate((sources.raw(path) if text is None else text).split("\n"), 1):
        if number in seen or line.lstrip().startswith("#"):
            continue
        for found in _ENTRY.finditer(line[:_LONGEST_LINE]):
            if "$" not in found["value"] and _is_secret(found["name"], found["value"]):
                yield _kept(f"{found['name']} is written into the compose file", path, number, sources)


def _kept(what: str, path: str, line: int | None, sources: Sources) -> Proof:
    """A secret in a file, which fails the item when git keeps the file, or would."""
    if sources.tracked is not None and path in sources.tracked:
        return failed(f"{what}, and git tracks the file.", path, line)
    if not sources.filtered:
        return undecided(
            f"{what}; whether git ignores the file is not known without the sandbox.", path, line
        )
    return failed(f"{what}, and git does not ignore the file.", path, line)


def _is_secret(name: str, value: str) -> bool:
    return (
        bool(_SECRET_NAME.search(name))
        and not _NO_SECRET_NAME.search(name)
        and not _PLACEHOLDER.search(value)
        and value.lower() not in ORDINARY
    )


def _of_text(path: str, text: str | None, sources: Sources) -> Iterator[Proof]:
    """Secrets of known shapes. Passwords in addresses of one's own machine are none, nor are tests' ones."""
    if text is None:
        return
    line, counted = 1, 0
    for begin, end in _REDACTOR.spans(text):
        line += text.count("\n", counted, begin)
        counted = begin
        if _harmless(text, begin, end, path):
            continue
        yield _kept("A secret of a known shape stands here", path, line, sources)


def _harmless(text: str, begin: int, end: int, path: str) -> bool:
    before = text[max(begin - 300, 0) : begin]
    in_url = "://" in before.rpartition("\n")[2].rpartition(" ")[2]
    secret = text[begin:end]
    if in_url and (_OWN_HOST.match(text[end : end + 200]) or not _is_password(secret)):
        return True
    template = is_template(path) and bool(_PLACEHOLDER.search(secret))
    return template or aside(path) or bool(_REPEATED.search(secret))


def _is_password(word: str) -> bool:
    """Whether the password of an address may be one: no placeholder, and no expression of a program."""
    return word.lower() not in ORDINARY and not _PLACEHOLDER.search(word) and not re.search(r"[${}()%]", word)
