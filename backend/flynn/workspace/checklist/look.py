"""What the items of the checklist look at: the files of a repository, and what was made of them once."""

from functools import cached_property

from flynn.workspace.checklist.compose import Service, services
from flynn.workspace.checklist.dockerfile import Dockerfile, dockerfiles, read_dockerfile
from flynn.workspace.checklist.workflow import Pipelines, pipelines
from flynn.workspace.checks.source import Sources, aside, name_of

_CODE = (
    *(
        ".py",
        ".js",
        ".cjs",
        ".mjs",
        ".jsx",
        ".ts",
        ".cts",
        ".mts",
        ".tsx",
        ".go",
        ".rb",
        ".rs",
        ".java",
        ".kt",
    ),
    *(".scala", ".php", ".cs", ".ex", ".exs", ".vue", ".svelte"),
)
_TEST_MARKS = ("test_", "_test.", ".test.", ".spec.", "_spec.", "conftest.")


class Look:
    """A repository as the checklist sees it."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    @cached_property
    def services(self) -> list[Service]:
        """The services of its compose files."""
        return services(self.sources)

    @cached_property
    def running(self) -> list[Service]:
        """The services that go on running."""
        return [service for service in self.services if not service.once]

    @cached_property
    def dockerfiles(self) -> list[Dockerfile]:
        """Its Dockerfiles."""
        return dockerfiles(self.sources)

    @cached_property
    def pipelines(self) -> Pipelines:
        """Its pipelines."""
        return pipelines(self.sources)

    @cached_property
    def code(self) -> tuple[str, ...]:
        """The files of its programs, without tests."""
        return tuple(path for path in self.sources.paths if is_code(path))

    @cached_property
    def by_dockerfile(self) -> dict[str, list[Service]]:
        """The services that are built from each Dockerfile, by its path."""
        found: dict[str, list[Service]] = {}
        for service in self.services:
            if service.dockerfile is not None:
                found.setdefault(service.dockerfile, []).append(service)
        return found

    def built(self, service: Service) -> Dockerfile | None:
        """The Dockerfile of a service that is built here."""
        return read_dockerfile(service.dockerfile, self.sources) if service.dockerfile else None


def is_code(path: str) -> bool:
    """Whether `path` is a part of a program, and no test or example."""
    return path.endswith(_CODE) and not aside(path) and not is_test(path)


def is_test(path: str) -> bool:
    """Whether the name of a file says that it is a test."""
    name = name_of(path)
    return any(mark in name for mark in _TEST_MARKS) or name.startswith("test-")
