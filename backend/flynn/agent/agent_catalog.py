"""The agents that can be served: every sub-agent file beneath some directories of the operator.

A file that cannot be served is reported with its line and reason, and the others load. Directories
are read once; nothing is ever read from a workspace.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from flynn.agent.agent_file import MAX_CHARACTERS, TOOL_NAMES, AgentFile, AgentUnusable, parse_agent
from flynn.domain.errors import NotFound

_MAX_BYTES = 4 * MAX_CHARACTERS


@dataclass(frozen=True, slots=True)
class Refused:
    """A file, or a directory, that could not be served, and why."""

    path: Path
    line: int
    reason: str

    def __str__(self) -> str:
        """As compilers write it: `path:line: reason`."""
        return f"{self.path}:{self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Catalog:
    """Agents by name, and what was refused."""

    agents: Mapping[str, AgentFile] = field(default_factory=lambda: MappingProxyType({}))
    refused: tuple[Refused, ...] = ()

    def get(self, name: str) -> AgentFile:
        """Return the agent called `name`. Raises NotFound, which lists the names there are."""
        try:
            return self.agents[name]
        except KeyError:
            known = ", ".join(self.agents) or "none"
            raise NotFound(f"there is no agent {name!r}; the agents here are: {known}") from None

    def __iter__(self) -> Iterator[AgentFile]:
        """Iterate over the agents, by name."""
        return iter(self.agents.values())

    def __len__(self) -> int:
        return len(self.agents)


def load_agents(directories: Iterable[Path], *, known_tools: Collection[str] = TOOL_NAMES) -> Catalog:
    """Read every `*.md` beneath `directories`, in depth, hidden ones left out.

    Of two files with one name (letter case apart) the one in the earlier directory wins, then the one
    whose path sorts first; the other is refused. Raises nothing for what a file holds.
    """
    agents: dict[str, AgentFile] = {}
    taken: dict[str, Path] = {}
    refused: list[Refused] = []
    for directory in directories:
        if not directory.is_dir():
            refused.append(Refused(directory, 1, "there is no such directory"))
            continue
        for path in _files(directory):
            try:
                agent = parse_agent(_read(path), source=str(path), known_tools=known_tools)
            except AgentUnusable as problem:
                refused.append(Refused(path, problem.line, problem.reason))
                continue
            rival = taken.setdefault(agent.name.casefold(), path)
            if rival == path:
                agents[agent.name] = agent
            else:
                refused.append(Refused(path, 1, f"the name {agent.name!r} is taken by {rival}"))
    return Catalog(MappingProxyType(dict(sorted(agents.items()))), tuple(refused))


def _files(directory: Path) -> list[Path]:
    return sorted(
        path
        for path in directory.rglob("*.md")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    )


def _read(path: Path) -> str:
    """Read `path` as UTF-8. Raises AgentUnusable with the line of the first byte that is not."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise AgentUnusable(f"cannot be read: {error.strerror}", source=str(path), line=1) from error
    if len(data) > _MAX_BYTES:
        raise AgentUnusable(f"the file is larger than {_MAX_BYTES:,} bytes", source=str(path), line=1)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        reason = f"byte {error.start:,} (0x{data[error.start]:02x}) is not UTF-8; save the file as UTF-8"
        raise AgentUnusable(reason, source=str(path), line=data.count(b"\n", 0, error.start) + 1) from None
