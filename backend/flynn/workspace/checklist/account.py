"""The account of a container: what is built here does not run as root."""

from collections.abc import Iterator

from flynn.domain.checklist import ChecklistItem, Proof, passed, undecided
from flynn.workspace.checklist.compose import is_official, repository
from flynn.workspace.checklist.dockerfile import Dockerfile
from flynn.workspace.checklist.look import Look

_ROOT = frozenset({"root", "0", "root:root", "0:0"})
_RUN_AS_ROOT = frozenset(
    (
        *("alpine", "almalinux", "amazoncorretto", "amazonlinux", "archlinux", "buildpack-deps", "busybox"),
        *("caddy", "centos", "composer", "dart", "debian", "eclipse-temurin", "elixir", "erlang", "fedora"),
        *("gcc", "golang", "gradle", "haskell", "httpd", "ibmjava", "julia", "maven", "node", "nginx"),
        *("openjdk", "oraclelinux", "perl", "php", "pypy", "python", "r-base", "rockylinux", "ruby", "rust"),
        *("scratch", "swift", "tomcat", "ubuntu"),
    )
)
"""Official images that set no user."""
_NOT_ROOT = ("nonroot", "unprivileged", "rootless")
"""In names of images that say so themselves."""


def accounts(look: Look) -> ChecklistItem:
    """The last USER of each image, or the user that compose gives it."""
    proofs = list(_proofs(look)) or [undecided("There is no Dockerfile, so nothing is built from here.")]
    return ChecklistItem.of("non-root", "Images do not run as root", proofs)


def _proofs(look: Look) -> Iterator[Proof]:
    for file in look.dockerfiles:
        given = [
            (part, node)
            for service in look.by_dockerfile.get(file.path, [])
            for part, node in service.all("user")
        ]
        if given and all(node.scalar() not in _ROOT for _, node in given):
            part, node = given[0]
            yield passed(f"Compose runs it as {node.scalar()}.", part.path, part.node.line_of("user"))
        else:
            yield _of_image(file, look)


def _of_image(file: Dockerfile, look: Look) -> Proof:
    user = file.last("USER")
    if user is not None:
        if "$" in user.rest:
            return undecided(f"Which user {user.rest} is, a variable decides.", file.path, user.line)
        if user.rest.split("#")[0].strip().lower() in _ROOT:
            return look.lacking("The image runs as root.", file.path, user.line, "compose")
        return passed(f"The image runs as {user.rest}.", file.path, user.line)
    base, line = file.lineage()[-1].base, file.stages[-1].line
    if any(word in base.lower() for word in _NOT_ROOT):
        return passed(f"{base} does not run as root.", file.path, line)
    if base.lower() == "scratch" or (
        is_official(base) and repository(base).rpartition("/")[2] in _RUN_AS_ROOT
    ):
        return look.lacking(f"No USER is set, and {base} runs as root.", file.path, line, "compose")
    return undecided(f"No USER is set; as whom {base} runs is not to be seen here.", file.path, line)
