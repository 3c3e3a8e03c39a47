"""Environment variables: where code, compose files and workflows read them from outside."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flynn.workspace.checklist.compose import compose_files, pairs
from flynn.workspace.checklist.look import Look
from flynn.workspace.checks.shellcheck import is_script
from flynn.workspace.checks.source import Sources
from flynn.workspace.checks.yaml_node import Node

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_STANDARD = re.compile(
    r"^(?:PATH|HOME|USER|LOGNAME|SHELL|PWD|OLDPWD|LANG|LANGUAGE|LC_\w+|TZ|TERM|COLORTERM|TMP|TEMP|TMPDIR|HOSTNAME|CI|"
    r"EDITOR|VISUAL|PAGER|DISPLAY|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|DEBUG|NODE_ENV|MODE|DEV|PROD|SSR|BASE_URL|"
    r"UID|GID|EUID|PPID|RANDOM|SECONDS|LINENO|IFS|SHLVL|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy|GITHUB_\w+|"
    r"RUNNER_\w+|ACTIONS_\w+|COMPOSE_\w+|DOCKER_\w+|BUILDKIT_\w+|BASH\w*|FUNCNAME|PYTHON\w+|PYTEST_\w+|VIRTUAL_ENV|"
    r"XDG_\w+|SSH_\w+|npm_\w+|DEBIAN_FRONTEND|KUBERNETES_\w+|SYSTEMROOT|APPDATA|PROGRAMFILES|USERPROFILE)$"
)
"""What systems, shells, runners and tools set themselves: nobody documents it."""

_READS = re.compile(
    rf"\bos\.(?:environ(?:\.(?:get|pop|setdefault)\(|\[)|getenv\(|environb\[)\s*[\"'](?P<py>{_NAME})[\"']"
    rf"|\b(?:env|environ|environment)(?:\.(?:get|str|int|bool|list|float|url|db|json|path)\(|\[|\()\s*[\"'](?P<mapping>[A-Z][A-Z0-9_]+)[\"']"
    rf"|\bprocess\.env(?:\.(?P<js>{_NAME})|\[\s*[\"'](?P<js2>{_NAME})[\"'])"
    rf"|\bimport\.meta\.env\.(?P<vite>{_NAME})"
    rf"|\b(?:Deno|Bun)\.env(?:\.get\(\s*[\"']|\.)(?P<deno>{_NAME})"
    rf"|\bos\.(?:Getenv|LookupEnv)\(\s*\"(?P<go>{_NAME})\""
    rf"|\bENV(?:\.fetch\(|\[)\s*[\"'](?P<rb>{_NAME})[\"']"
    rf"|\benv::var(?:_os)?\(\s*\"(?P<rs>{_NAME})\""
    rf"|\bSystem\.getenv\(\s*\"(?P<java>{_NAME})\""
    rf"|\bgetenv\(\s*[\"'](?P<php>{_NAME})[\"']|\$_(?:ENV|SERVER)\[\s*[\"'](?P<php2>{_NAME})[\"']"
    rf"|\bGetEnvironmentVariable\(\s*\"(?P<cs>{_NAME})\""
    rf"|\bSystem\.(?:get_env|fetch_env!?)\(\s*\"(?P<ex>{_NAME})\""
)
_HINTS = ("env", "ENV", "Env")
_SETTINGS = re.compile(r"class\s+\w+\s*\(.*\bBaseSettings\b.*\)\s*:")
_FIELD = re.compile(rf"^    (?P<name>{_NAME})\s*:\s*(?P<rest>.*)$", re.MULTILINE)
_PREFIX = re.compile(r"\benv_prefix\s*=\s*[\"'](?P<prefix>\w*)[\"']")
_ALIAS = re.compile(rf"\b(?:validation_alias|alias|env)\s*=\s*[\"'](?P<name>{_NAME})[\"']")
_CALL = re.compile(r"=\s*(?P<function>[\w.]+)\s*\(")
_PLAIN_CALLS = ("Field", "SecretStr", "Path", "timedelta", "Decimal", "PostgresDsn", "RedisDsn")
_INTERPOLATED = re.compile(
    rf"\$\$|\$\{{(?P<braced>{_NAME})(?P<rest>[^{{}}]*(?:\{{[^{{}}]*\}}[^{{}}]*)*)\}}|\$(?P<bare>{_NAME})"
)
_SHELL = re.compile(r"\$\{(?P<name>[A-Z][A-Z0-9_]{2,}):?\?")
_ASSIGNED = re.compile(
    r"^[ \t]*(?:local |export |readonly |declare )?([A-Z][A-Z0-9_]{2,})=(?!\"?\$\{\1)", re.MULTILINE
)
_WORKFLOW = re.compile(rf"\b(?:secrets|vars)(?:\.|\[\s*')(?P<name>{_NAME})")
_LONGEST_LINE = 2_000


@dataclass(frozen=True, slots=True)
class Reading:
    """A place where a variable is read. `by` is "code", "compose" or "workflow"."""

    name: str
    path: str
    line: int
    by: str


def readings(look: Look) -> list[Reading]:
    """The first place of each kind where each variable is read, in the order of paths and lines."""
    found: dict[tuple[str, str], Reading] = {}
    for reading in (*_of_compose(look.sources), *_of_code(look), *_of_workflows(look)):
        if not _STANDARD.match(reading.name):
            found.setdefault((reading.name, reading.by), reading)
    return list(found.values())


def interpolated(text: str) -> Iterator[str]:
    """The variables that compose puts into `text`."""
    for found in _INTERPOLATED.finditer(text):
        name = found["braced"] or found["bare"]
        if name:
            yield name
        if found["rest"]:
            yield from interpolated(found["rest"])


def _of_compose(sources: Sources) -> Iterator[Reading]:
    for path in compose_files(sources):
        for document in sources.yaml(path)[:1]:
            for line, text in _scalars(document):
                yield from (Reading(name, path, line, "compose") for name in interpolated(text))
            listed = document.get("services")
            for service in (listed.mapping() if listed is not None else {}).values():
                for name, value, line in pairs(service.get("environment")):
                    if value is None and re.fullmatch(_NAME, name):
                        yield Reading(name, path, line, "compose")


def _scalars(document: Node) -> Iterator[tuple[int, str]]:
    """Every text in a document with the line it begins on, each once."""
    seen: set[int] = set()
    pending = [document]
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.text is not None and "$" in node.text:
            yield node.line, node.text
        pending += [*reversed(list(node.mapping().values())), *reversed(node.sequence())]


def _of_code(look: Look) -> Iterator[Reading]:
    for path in look.code:
        text = look.sources.text(path)
        if text is None or not any(hint in text for hint in _HINTS):
            continue
        for number, line in _lines(text):
            for found in _READS.finditer(line):
                name = next(filter(None, found.groups()))
                yield Reading(name, path, number, "code")
        if "BaseSettings" in text:
            yield from _of_settings(path, text)
    for path in look.sources.deployed:
        if is_script(path, look.sources):
            yield from _of_script(path, look.sources.text(path) or "")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.lstrip().startswith(("#", "//", "*")):
            yield number, line[:_LONGEST_LINE]


def _of_settings(path: str, text: str) -> Iterator[Reading]:
    """The fields of pydantic's settings classes, which are variables by their names in capitals."""
    lines = text.split("\n")
    for first, line in enumerate(lines, 1):
        if not line.startswith("class ") or not _SETTINGS.match(line[:_LONGEST_LINE]):
            continue
        body = _body(lines, first)
        given = _PREFIX.search("\n".join(body))
        prefix = given["prefix"] if given else ""
        for number, block in _fields(body):
            field = _FIELD.match(block)
            if (
                field is None
                or field["name"].startswith(("_", "model_config"))
                or "ClassVar" in field["rest"]
            ):
                continue
            alias, call = _ALIAS.search(block), _CALL.search(block)
            if alias is not None:
                yield Reading(alias["name"], path, first + number, "code")
            elif call is None or call["function"] in _PLAIN_CALLS:
                yield Reading(f"{prefix}{field['name']}".upper(), path, first + number, "code")


def _body(lines: list[str], start: int) -> list[str]:
    """The lines of a class whose first one has the index `start`: up to one that is not indented."""
    end = start
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith((" ", "\t", ")"))):
        end += 1
    return lines[start:end]


def _fields(body: list[str]) -> Iterator[tuple[int, str]]:
    """The statements of a class with their numbers from 1: a line of four spaces and what hangs below it."""
    start, block = 0, ""
    for number, line in enumerate(body, 1):
        if re.match(r" {4}[^\s)\]}]", line):
            if block:
                yield start, block
            start, block = number, line
        elif block:
            block += f"\n{line}"
    if block:
        yield start, block


def _of_script(path: str, text: str) -> Iterator[Reading]:
    """`${NAME:?message}` is how a script demands something from outside."""
    own = set(_ASSIGNED.findall(text))
    for number, line in _lines(text):
        for found in _SHELL.finditer(line):
            if found["name"] not in own:
                yield Reading(found["name"], path, number, "code")


def _of_workflows(look: Look) -> Iterator[Reading]:
    for path in look.pipelines.workflows:
        for number, line in _lines(look.sources.text(path) or ""):
            for found in _WORKFLOW.finditer(line):
                yield Reading(found["name"], path, number, "workflow")
