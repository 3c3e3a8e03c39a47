"""Services as compose files declare them: each with all that its files say about it, and where.

Files of one directory are one project: compose.yaml, its override, and the variants beside it
(docker-compose.prod.yml). What any of them says about a service counts.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from flynn.workspace.checks.schema import is_compose
from flynn.workspace.checks.source import Sources, directory_of, name_of
from flynn.workspace.checks.yaml_node import Node

_MAIN = re.compile(r"^(?:docker-)?compose\.ya?ml$")
DATABASES = frozenset(
    (
        *(
            "postgres",
            "postgresql",
            "pgvector",
            "postgis",
            "timescaledb",
            "timescaledb-ha",
            "mysql",
            "mariadb",
        ),
        *(
            "percona",
            "mongo",
            "mongodb",
            "clickhouse",
            "clickhouse-server",
            "cockroach",
            "cassandra",
            "mssql",
        ),
        *("neo4j", "influxdb"),
    )
)
"""Engines that keep what nothing else has, by the last part of their images' names."""
ENGINES = DATABASES | {"redis", "valkey", "rabbitmq", "elasticsearch", "opensearch", "memcached", "nats"}
"""Those, and what else services need to be up before they begin."""


_MOST_EXTENDED = 5
_DAEMON = re.compile(r"(?:server|entrypoint(?:\.sh)?|postgres|mysqld\w*|mariadbd\w*|mongo[ds])$")
"""The program with which a command starts an engine."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one file says about a service. `line` is that of its name."""

    path: str
    line: int
    node: Node


@dataclass(frozen=True)
class Service:
    """A service of a project."""

    name: str
    parts: tuple[Part, ...]
    once: bool = False
    """It ends by itself: another service waits for its completion, or it is told not to restart and has
    no ports."""

    @property
    def path(self) -> str:
        """The file that declares it first."""
        return self.parts[0].path

    @property
    def line(self) -> int:
        """The line of its name there."""
        return self.parts[0].line

    def find(self, *keys: str) -> tuple[Part, Node] | None:
        """What lies under `keys`, one beneath the other, in the first file that has it."""
        return next(self.all(*keys), None)

    def all(self, *keys: str) -> Iterator[tuple[Part, Node]]:
        """The same of every file that has it."""
        for part in self.parts:
            node = part.node.get(*keys)
            if node is not None:
                yield part, node

    @property
    def is_whole(self) -> bool:
        """Whether it can be run: it has an image, or is built."""
        return self.find("image") is not None or self.find("build") is not None

    @cached_property
    def image(self) -> str:
        """The image that it runs, as the first file writes it; empty where it is built only."""
        found = self.find("image")
        return found[1].scalar() if found else ""

    @cached_property
    def engine(self) -> str | None:
        """The well-known data engine that it runs; None for every other service, such as one that only uses
        the engine's image to make a backup.
        """
        name = repository(self.image).rpartition("/")[2].lower()
        if name not in ENGINES or self.find("entrypoint") is not None:
            return None
        command = self.find("command")
        first = next(iter(words(command[1]).split()), "") if command else ""
        return name if not first or first.startswith("-") or _DAEMON.search(first) else None

    @property
    def is_database(self) -> bool:
        """Whether it keeps what nothing else has."""
        return self.engine in DATABASES

    @cached_property
    def context(self) -> str | None:
        """The directory it is built in, relative to the root; None where it is not built, or elsewhere."""
        found = self.find("build")
        if found is None:
            return None
        part, build = found
        context = build.scalar() if build.text is not None else _scalar(build, "context") or "."
        return None if "://" in context else _within(directory_of(part.path), context)

    @cached_property
    def dockerfile(self) -> str | None:
        """The path of the Dockerfile it is built from, relative to the root; None as for the context."""
        found = self.find("build")
        if found is None or self.context is None or found[1].get("dockerfile_inline") is not None:
            return None
        return _within(self.context, _scalar(found[1], "dockerfile") or "Dockerfile")


def services(sources: Sources) -> list[Service]:
    """The services of all compose files that are no tests or examples."""
    projects: dict[str, list[tuple[str, Node]]] = {}
    for path in sorted(compose_files(sources), key=_main_first):
        documents = sources.yaml(path)
        if documents:
            projects.setdefault(directory_of(path), []).append((path, documents[0]))
    found = [service for files in projects.values() for service in _of_project(files, sources)]
    whole = {service.name for service in found if service.is_whole}
    # What has neither image nor build, and is nobody's extension, is laid over a file elsewhere.
    return [service for service in found if service.is_whole or service.name not in whole]


def compose_files(sources: Sources) -> list[str]:
    """The paths of compose files that are no tests or examples."""
    return [path for path in sources.deployed if is_compose(path, sources)]


def repository(image: str) -> str:
    """An image's name without tag and digest."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def is_official(image: str) -> bool:
    """Whether an image is one of Docker's official ones, which carry no health check and run as root unless
    their pages say otherwise.
    """
    name = repository(image).removeprefix("docker.io/").removeprefix("index.docker.io/")
    return bool(name) and "$" not in name and "/" not in name.removeprefix("library/")


def words(node: Node | None) -> str:
    """A command as one line, whether it is written as a text or as a list."""
    if node is None:
        return ""
    return node.scalar() or " ".join(item.scalar() for item in node.sequence())


def pairs(node: Node | None) -> Iterator[tuple[str, str | None, int]]:
    """An environment, written as a mapping or as a list: name, value (None: taken from outside) and line."""
    if node is None:
        return
    for name, value in node.mapping().items():
        yield name, None if value.null else value.scalar(), node.line_of(name)
    for item in node.sequence():
        name, equals, value_text = item.scalar().partition("=")
        yield name, value_text if equals else None, item.line


def _of_project(files: list[tuple[str, Node]], sources: Sources) -> Iterable[Service]:
    parts: dict[str, list[Part]] = {}
    awaited: set[str] = set()
    for path, document in files:
        listed = document.get("services")
        if listed is None:
            continue
        for name, node in listed.mapping().items():
            if name.startswith("x-") or node.entries is None:
                continue
            part = Part(path, listed.line_of(name), node)
            parts.setdefault(name, []).extend((part, *_extended(part, sources)))
            depends = node.get("depends_on")
            for other, condition in (depends.mapping() if depends else {}).items():
                wanted = condition.get("condition")
                if wanted is not None and wanted.scalar() == "service_completed_successfully":
                    awaited.add(other)
    for name, own in parts.items():
        yield Service(name, tuple(own), once=name in awaited or _ends(Service(name, tuple(own))))


def _extended(part: Part, sources: Sources) -> Iterator[Part]:
    """What a service extends, and what that extends."""
    for _ in range(_MOST_EXTENDED):
        extends = part.node.get("extends")
        if extends is None:
            return
        name = extends.scalar() or _scalar(extends, "service")
        file = _scalar(extends, "file")
        path = posixpath.normpath(posixpath.join(directory_of(part.path), file)) if file else part.path
        documents = sources.yaml(path) if path in sources.known else []
        listed = documents[0].get("services") if documents else None
        node = listed.get(name) if listed is not None else None
        if listed is None or node is None:
            return
        part = Part(path, listed.line_of(name), node)
        yield part


def _ends(service: Service) -> bool:
    restart = service.find("restart")
    return restart is not None and restart[1].scalar() == "no" and service.find("ports") is None


def _within(directory: str, path: str) -> str | None:
    """`path` as seen from `directory`; None when it leads out, or a variable says where."""
    joined = posixpath.normpath(posixpath.join(directory, path))
    return None if "$" in joined or joined.startswith(("..", "/")) else joined


def _scalar(node: Node, key: str) -> str:
    found = node.get(key)
    return found.scalar() if found is not None else ""


def _main_first(path: str) -> tuple[bool, str]:
    return not _MAIN.match(name_of(path)), path
