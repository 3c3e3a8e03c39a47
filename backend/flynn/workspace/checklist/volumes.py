"""Volumes: what a database keeps outlives its container."""

from collections.abc import Iterator

from flynn.domain.checklist import ChecklistItem, Proof, passed, undecided
from flynn.workspace.checklist.compose import Service, words
from flynn.workspace.checklist.look import Look

_PLACES: dict[str, tuple[str, ...]] = {
    "mysql": ("/var/lib/mysql",),
    "mariadb": ("/var/lib/mysql",),
    "percona": ("/var/lib/mysql",),
    "mongo": ("/data/db",),
    "redis": ("/data",),
    "valkey": ("/data",),
}
_POSTGRES = frozenset({"postgres", "pgvector", "postgis", "timescaledb"})
_PLACES |= dict.fromkeys(_POSTGRES, ("/var/lib/postgresql", "/var/lib/postgresql/data"))
"""Where the engines' images keep their data, by the images' own pages."""
_PERSISTENT = ("--appendonly yes", "--save")


def data_volumes(look: Look) -> ChecklistItem:
    """Each database has a volume, at the place where its image keeps the data when that is known."""
    kept = [service for service in look.services if _keeps(service)]
    proofs = list(_proofs(kept, look)) or [undecided("No compose file declares a database.")]
    return ChecklistItem.of("data-volumes", "Databases keep their data in volumes", proofs)


def _keeps(service: Service) -> bool:
    """A database; a cache only when it is told to write its data down."""
    if service.is_database:
        return True
    command = service.find("command")
    return service.engine in ("redis", "valkey") and any(
        option in words(command[1] if command else None) for option in _PERSISTENT
    )


def _proofs(kept: list[Service], look: Look) -> Iterator[Proof]:
    for service in kept:
        mounts = list(_mounts(service))
        wanted = _PLACES.get(service.engine or "", ())
        moved = _moved(service)
        places = (*wanted, *moved)
        at = [(path, line) for path, line, target in mounts if not wanted or _covers(target, places)]
        if at:
            yield passed(f"{service.name} keeps its data in a volume.", *at[0])
        elif mounts and moved:
            yield undecided(
                f"Where {service.name} keeps its data is set by hand.", service.path, service.line
            )
        else:
            where = f" at {wanted[-1]}" if wanted else ""
            why = f"{service.name} has no volume{where}: its data goes with its container."
            yield look.lacking(why, service.path, service.line, "compose")


def _covers(target: str, places: tuple[str, ...]) -> bool:
    return any(f"{place.rstrip('/')}/".startswith(f"{target.rstrip('/')}/") for place in places if target)


def _mounts(service: Service) -> Iterator[tuple[str, int, str]]:
    """Path, line and target of each volume; a tmpfs is none."""
    for part, node in service.all("volumes"):
        for item in node.sequence():
            if item.text is not None:
                pieces = item.text.split(":")
                yield part.path, item.line, pieces[1] if len(pieces) > 1 else pieces[0]
            else:
                kind, target = item.get("type"), item.get("target")
                if target is not None and (kind is None or kind.scalar() != "tmpfs"):
                    yield part.path, item.line, target.scalar()


def _moved(service: Service) -> tuple[str, ...]:
    """The data directory that the environment names instead of the image's own."""
    found: list[str] = []
    for _, node in service.all("environment"):
        for name in ("PGDATA", "MYSQL_DATADIR"):
            value = node.get(name)
            if value is not None:
                found.append(value.scalar())
            found += [
                item.scalar().partition("=")[2]
                for item in node.sequence()
                if item.scalar().startswith(f"{name}=")
            ]
    return tuple(found)
