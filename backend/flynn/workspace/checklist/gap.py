"""Gaps: files that the checklist would look into and cannot, which leave open what they say.

An item that would have looked into one does not pass, and nothing is said to be missing that may stand there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from flynn.domain.checklist import ChecklistItem, Verdict, undecided
from flynn.workspace.checklist.dockerfile import dockerfile_obstacle
from flynn.workspace.checklist.language import CODE, is_code
from flynn.workspace.checklist.shape import of_compose, of_workflow
from flynn.workspace.checklist.template import is_template
from flynn.workspace.checklist.workflow import ELSEWHERE, is_own_workflow
from flynn.workspace.checks.hadolint import is_dockerfile
from flynn.workspace.checks.schema import is_named_compose
from flynn.workspace.checks.shellcheck import is_script
from flynn.workspace.checks.source import Obstacle, Sources, aside, name_of

Kind: TypeAlias = Literal[
    "compose", "workflow", "pipeline", "dockerfile", "code", "script", "template", "text"
]
"""What a file is to the checklist. `pipeline`: one of another service; `text`: others that people write."""

_SERVICES: tuple[Kind, ...] = ("compose",)
_LOOKS: dict[str, tuple[Kind, ...]] = {
    "health-checks": ("compose", "dockerfile"),
    "images-build": ("compose", "dockerfile", "workflow"),
    "images-pinned": ("compose", "dockerfile", "workflow"),
    "pipeline": ("workflow", "pipeline", "script"),
    "structured-logs": ("code",),
    "environment": ("compose", "code", "script", "template"),
    "secrets": ("compose",),
    "backups": ("compose", "workflow", "code", "script"),
    "monitoring": ("compose", "code"),
    **dict.fromkeys(
        ("resource-limits", "restart-policy", "startup-order", "data-volumes", "scaling"), _SERVICES
    ),
    "non-root": ("compose", "dockerfile"),
    "pooling": ("code",),
}
"""Which kinds of files the items make something of, by the items' ids."""
_LOOKS_AT_TEXT: dict[str, tuple[Kind, ...]] = {
    "secrets": ("workflow", "pipeline", "dockerfile", "code", "script", "template", "text"),
    "environment": ("workflow",),
}
"""Which of them are read as text by items that do not care whether they parse."""
_TEXTS = (
    *(".yml", ".yaml", ".toml", ".json", ".ini", ".cfg", ".conf", ".env", ".envrc", ".properties", ".xml"),
    *(".tf", ".tfvars", ".sql", ".txt", ".md", ".rst", ".adoc", ".html", ".service", ".timer", ".gradle"),
    *(".npmrc", ".netrc", ".pypirc", "Makefile", "Jenkinsfile", "Vagrantfile", ".pem", ".key"),
)
_LOCKS = ("-lock.json", "-lock.yaml", ".min.js")
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Gap:
    """A file that was not read, or not understood. `textless`: nobody could read it; else it is a text that
    does not parse.
    """

    kind: Kind
    path: str
    obstacle: Obstacle
    textless: bool

    def concerns(self, item: str) -> bool:
        """Whether the item with the id `item` would have looked into it."""
        return self.kind in _LOOKS[item] or (self.textless and self.kind in _LOOKS_AT_TEXT.get(item, ()))

    @property
    def why(self) -> str:
        """What is wrong with it, in a sentence."""
        return f"{name_of(self.path)} {self.obstacle.why}."


def gaps(sources: Sources) -> tuple[Gap, ...]:
    """The files that cannot be looked into, those first of which most is made."""
    kinds = ((path, _kind(path, sources)) for path in sources.paths)
    known = [(path, kind) for path, kind in kinds if kind is not None]
    known.sort(key=lambda pair: (pair[1] in ("code", "script", "text"), pair[0]))
    return tuple(_found(known, sources))


def reconsidered(item: ChecklistItem, found: Iterable[Gap]) -> ChecklistItem:
    """`item` with what `found` leaves open about it, instead of what it says for want of evidence."""
    own = [gap for gap in found if gap.concerns(item.id)]
    if not own:
        return item
    proofs = [proof for proof in item.proofs if proof.path is not None or proof.verdict is Verdict.FAILED]
    proofs += [undecided(gap.why, gap.path, gap.obstacle.line) for gap in own[:_MOST_NAMED]]
    if len(own) > _MOST_NAMED:
        proofs.append(undecided(f"{len(own) - _MOST_NAMED:,} more files could not be looked into."))
    return ChecklistItem.of(item.id, item.title, proofs)


def _found(known: Iterable[tuple[str, Kind]], sources: Sources) -> Iterator[Gap]:
    for path, kind in known:
        if sources.text(path) is None:
            yield Gap(kind, path, sources.obstacle(path) or Obstacle("cannot be read"), textless=True)
        elif (obstacle := _fault(path, kind, sources)) is not None:
            yield Gap(kind, path, obstacle, textless=False)


def _fault(path: str, kind: Kind, sources: Sources) -> Obstacle | None:
    """What keeps a text from being understood."""
    match kind:
        case "compose":
            return _yaml_fault(path, sources) or of_compose(sources.yaml(path))
        case "workflow":
            return _yaml_fault(path, sources) or of_workflow(sources.yaml(path))
        case "dockerfile":
            return dockerfile_obstacle(path, sources)
        case _:
            return None


def _yaml_fault(path: str, sources: Sources) -> Obstacle | None:
    return None if sources.yaml(path) else sources.obstacle(path)


def _kind(path: str, sources: Sources) -> Kind | None:
    if is_own_workflow(path):
        return "workflow"
    if path in ELSEWHERE:
        return "pipeline"
    if aside(path):
        return None
    if is_named_compose(path):
        return "compose"
    if is_dockerfile(path):
        return "dockerfile"
    if is_template(path):
        return "template"
    if is_code(path):
        return "code"
    if is_script(path, sources) or name_of(path).lower() in ("makefile", "justfile"):
        return "script"
    written = path.endswith((*_TEXTS, *CODE)) or name_of(path).startswith(".env")
    return "text" if written and not path.endswith(_LOCKS) else None
