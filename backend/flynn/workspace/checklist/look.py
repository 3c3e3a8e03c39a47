"""What the items of the checklist look at: the files of a repository, and what was made of them once."""

from functools import cached_property

from flynn.domain.checklist import Proof, failed, undecided
from flynn.workspace.checklist.compose import Service, services
from flynn.workspace.checklist.dockerfile import Dockerfile, dockerfiles, read_dockerfile
from flynn.workspace.checklist.gap import Gap, Kind, gaps
from flynn.workspace.checklist.language import is_code
from flynn.workspace.checklist.workflow import Pipelines, pipelines
from flynn.workspace.checks.source import Sources, directory_of


class Look:
    """A repository as the checklist sees it."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """The files that cannot be looked into."""
        return gaps(self.sources)

    def lacking(self, why: str, path: str | None, line: int | None, *kinds: Kind) -> Proof:
        """The proof that something is missing, which fails an item: unless it may stand in a file of `kinds`
        that cannot be looked into. Something wrong at one place hides nothing at others. What compose files
        say of a service, those of its directory say.
        """
        for gap in self.gaps:
            beside = path is None or directory_of(gap.path) == directory_of(path)
            if gap.kind in kinds and not gap.obstacle.local and (beside or gap.kind != "compose"):
                return undecided(f"As far as could be read: {why}", path, line)
        return failed(why, path, line)

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
