"""Images: pinned to a version, and buildable as far as files can tell."""

import posixpath
import re
from collections.abc import Iterator
from itertools import islice

from flynn.domain.checklist import ChecklistItem, Proof, failed, passed, undecided
from flynn.workspace.checklist.compose import repository
from flynn.workspace.checklist.dockerfile import Dockerfile, Instruction
from flynn.workspace.checklist.look import Look
from flynn.workspace.checks.source import directory_of

_DEFAULT = re.compile(r"\$\{\w+:?-([^{}]*)\}")
_FLOATING = frozenset({"latest", "edge", "nightly", "main", "master", "dev"})
_BUILDS = re.compile(
    r"\bdocker\s+(?:buildx\s+)?(?:image\s+)?(?:build|bake)\b|\bdocker[ -]compose\b.*\bbuild\b|--build\b|"
    r"\b(?:podman|buildah|nerdctl)\s+(?:build|bud)\b|\bkaniko\b|\bdepot\s+build\b"
)
_WRITTEN = re.compile(
    r"(?:^|/)(?:requirements[\w.-]*\.txt|pyproject\.toml|setup\.(?:py|cfg)|Pipfile|package\.json|go\.mod|Gemfile|"
    r"Cargo\.toml|composer\.json|pom\.xml|[\w.-]+\.(?:py|js|ts|sh|conf|cfg|ini|ya?ml|toml|sql|go|rb|rs|php))$"
)
"""Files that people write, and keep in the repository."""
_MOST_MISSING = 20
_MOST_COPIED = 500
"""Files that a Dockerfile copies of which it is looked whether they are there."""
_BUILD_ACTIONS = ("docker/build-push-action", "docker/bake-action", "redhat-actions/buildah-build")


def pinned_images(look: Look) -> ChecklistItem:
    """Every image that is pulled has a tag that stays, or a digest."""
    proofs = list(_pinned(look)) or [undecided("No image is named in compose, Dockerfiles or workflows.")]
    return ChecklistItem.of("images-pinned", "Images are pinned to a version", proofs)


def built_images(look: Look) -> ChecklistItem:
    """What is missing for a build is seen; that it succeeds only a build can show."""
    proofs = list(_built(look)) or [undecided("There is no Dockerfile, so nothing is built from here.")]
    return ChecklistItem.of("images-build", "Docker images build", proofs)


def _pinned(look: Look) -> Iterator[Proof]:
    for service in look.services:
        for part, node in service.all("image"):
            if service.find("build") is None:  # else it names what is built
                yield _judged(node.scalar(), part.path, part.node.line_of("image"))
    for file in look.dockerfiles:
        for stage in file.images:
            yield _judged(stage.base, file.path, stage.line)
    for path, line, image in look.pipelines.images:
        yield _judged(image, path, line)


def _judged(image: str, path: str, line: int) -> Proof:
    plain = _DEFAULT.sub(lambda match: match[1], image)
    if "@sha256:" in plain:
        return passed(f"{image} is pinned to a digest.", path, line)
    tag = plain[len(repository(plain)) + 1 :]
    if "$" in plain:
        return undecided(f"Which version {image} means is decided by a variable.", path, line)
    if not tag:
        return failed(f"{image} has no tag, which means latest.", path, line)
    if tag.lower() in _FLOATING:
        return failed(f"{image} moves: name a version.", path, line)
    return passed(f"{image} is pinned to a version.", path, line)


def _built(look: Look) -> Iterator[Proof]:
    for service in look.services:
        wanted = service.dockerfile
        if wanted is not None and wanted not in look.sources.known:
            found = service.find("build")
            line = found[0].node.line_of("build") if found else service.line
            yield failed(f"{service.name} is built from {wanted}, which is not there.", service.path, line)
    for file in look.dockerfiles:
        building = look.by_dockerfile.get(file.path)
        context = building[0].context if building else None
        yield from islice(_missing(file, context, look), _MOST_MISSING)
    if look.dockerfiles:
        yield _in_pipeline(look)


def _missing(file: Dockerfile, context: str | None, look: Look) -> Iterator[Proof]:
    """What a COPY names plainly and is not there. A directory or a built file may be made before the build,
    and where compose does not name the context another one than the obvious may be meant.
    """
    place = directory_of(file.path) if context is None else context
    for item, name in islice(_copied(file), _MOST_COPIED):
        if _exists(name, place, look):
            continue
        if context is not None and _WRITTEN.search(name):
            why = f"COPY takes {name}, which is not in the build context {context}."
            yield failed(why, file.path, item.line)
        else:
            why = f"COPY takes {name}, which is not there now; it may be made before the build."
            yield undecided(why, file.path, item.line)


def _copied(file: Dockerfile) -> Iterator[tuple[Instruction, str]]:
    """What is copied from the context and named plainly, each name once."""
    seen: set[str] = set()
    for stage in file.stages:
        for item in stage.instructions:
            if item.word != "COPY" or "--from=" in item.rest or item.rest.startswith(("[", "<<")):
                continue
            *names, _ = [word for word in item.rest.split() if not word.startswith("--")] or [""]
            for name in names:
                if name not in seen and not re.search(r"[*?\[$<]", name):
                    seen.add(name)
                    yield item, name


def _exists(name: str, context: str, look: Look) -> bool:
    for base in (context, "."):
        path = posixpath.normpath(posixpath.join(base, name.lstrip("/") or "."))
        if path in look.sources.known or path in look.sources.directories:
            return True
        if look.sources.workspace.exists(path):  # ignored by git, and there all the same
            return True
    return False


def _in_pipeline(look: Look) -> Proof:
    for step in look.pipelines.steps:
        if _BUILDS.search(step.command):
            why = "The pipeline builds an image here; whether that succeeds its last run can tell."
            return undecided(why, step.path, step.line)
    for use in look.pipelines.uses:
        if use.name.startswith(_BUILD_ACTIONS):
            why = "The pipeline builds an image here; whether that succeeds its last run can tell."
            return undecided(why, use.path, use.line)
    first = look.dockerfiles[0]
    return undecided("Only a build can show it, and no workflow makes one.", first.path, first.stages[0].line)
