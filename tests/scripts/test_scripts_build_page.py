"""Building the page: with Node from PyPI where a machine has none, never too large, and into the wheel."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, leave_out

PROGRAMS = (
    *("bash", "sh", "env", "dirname", "flock", "find", "sort", "xargs", "sha256sum", "cut", "cat", "cmp"),
    *("cp", "rm", "mv", "chmod", "gzip", "wc", "sed", "uname"),
)
"""What the build needs of a machine, Node apart."""
NOT_TO_BE_HAD = 3


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The part of a checkout that the page is built from, without anything that was built before."""
    place = tmp_path / "checkout"
    shutil.copytree(
        ROOT / "console",
        place / "console",
        ignore=shutil.ignore_patterns("node_modules", ".node", ".lock", ".building", "build.log"),
    )
    (place / "scripts").mkdir()
    (place / "backend" / "flynn").mkdir(parents=True)
    (place / "docs").mkdir()
    for name in ("scripts/build-page.sh", "requirements-node.txt", "docs/runbook.md"):
        shutil.copy2(ROOT / name, place / name)
    return place


def build(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build the page on a machine without Node."""
    programs = checkout.parent / "bin"
    programs.mkdir(exist_ok=True)
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found is not None, name
        if not (programs / name).exists():
            (programs / name).symlink_to(found)
    return subprocess.run(
        [checkout / "scripts" / "build-page.sh"],
        env={**os.environ, "PATH": str(programs), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_without_node_and_without_a_way_to_it_the_build_says_so(checkout: Path) -> None:
    done = build(checkout)
    assert done.returncode == NOT_TO_BE_HAD
    assert "there is no Node 20.19 or newer, and no .venv to get one: run scripts/setup.sh" in done.stdout
    assert not (checkout / "console" / ".building").exists()


@pytest.mark.slow
def test_node_from_pypi_builds_the_page(checkout: Path, request: pytest.FixtureRequest) -> None:
    (checkout / ".venv").symlink_to(Path(sys.prefix))
    done = build(checkout)
    if done.returncode == NOT_TO_BE_HAD:
        leave_out(request.node, ["node"])
    assert done.returncode == 0, done.stdout
    assert "getting Node, since this machine has none that is new enough" in done.stdout
    page = checkout / "backend" / "flynn" / "_page"
    assert '<div id="root">' in (page / "index.html").read_text()
    assert {path.suffix for path in (page / "assets").iterdir()} == {".js", ".css"}
    assert build(checkout).stdout == "", "nothing has changed, so nothing is built"

    # A page that has grown too large is not taken, and the one before it stays.
    before = (page / "index.html").read_bytes()
    letters = os.urandom(400_000).hex()
    (checkout / "console" / "public" / "large.txt").write_text(letters)
    done = build(checkout)
    assert (done.returncode, "at most 500000 are taken" in done.stdout) == (1, True), done.stdout
    assert (page / "index.html").read_bytes() == before


@pytest.mark.slow
@pytest.mark.needs("browser")
def test_the_wheel_carries_the_page(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts" / "build-page.sh"], check=True)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=ROOT, check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    built = {
        f"flynn/_page/{path.relative_to(ROOT / 'backend/flynn/_page')}"
        for path in (ROOT / "backend" / "flynn" / "_page").rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    assert "flynn/_page/index.html" in built
    assert built <= set(names)
    assert not [name for name in names if "node_modules" in name]
