"""One item of the checklist over a few files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flynn.domain.checklist import ChecklistItem
from flynn.workspace.checklist.look import Look
from flynn.workspace.checks.source import Sources
from flynn.workspace.root import Workspace
from flynn.workspace.tree import walk
from tests.workspace.plant import Files, plant

Check = Callable[[Look], ChecklistItem]
Told = tuple[str, list[str]]
Judge = Callable[[Check, Files], Told]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """The verdict of `check` over `files`, and the places of the proofs that gave it."""

    def run(check: Check, files: Files) -> Told:
        root = plant(tmp_path / "tree", files)
        with Workspace.open(root) as workspace:
            paths = [leaf.path for leaf in walk(workspace, ".", skip=frozenset({".git"}))]
            item = check(Look(Sources(workspace, paths)))
        telling = [proof for proof in item.proofs if proof.verdict is item.verdict]
        assert item.title
        assert all(proof.why for proof in item.proofs)
        return item.verdict.value, [f"{proof.path or ''}:{proof.line or ''}" for proof in telling]

    return run


def compose(*services: str, head: str = "services:\n") -> str:
    """A compose file of services, each a text of its own without indentation."""
    lines = [f"  {line}\n" for service in services for line in service.strip("\n").split("\n")]
    return head + "".join(lines)
