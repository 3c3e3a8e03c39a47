"""The pinned requirements: complete, hashed, alike in every file, and naming no package index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    *("requirements.txt", "requirements-dev.txt", "requirements-build.txt", "requirements-audit.txt"),
    "requirements-backup.txt",
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(name: str) -> dict[str, str]:
    """Package to version, of one file."""
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", (ROOT / name).read_text(), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in found}


@pytest.mark.parametrize("name", FILES)
def test_every_pin_has_hashes_and_nothing_names_an_index(name: str) -> None:
    text = (ROOT / name).read_text()
    assert text.splitlines()[1].split() == ["#", "scripts/lock.sh"]
    blocks = re.split(r"\n(?=[A-Za-z0-9])", "\n".join(x for x in text.splitlines() if x[:1] != "#"))
    for block in blocks:
        assert "==" in block
        assert "--hash=sha256:" in block, block.splitlines()[0]
    assert not re.search(r"https?:|file:|^-|--index|--find-links| @ |^\.|^/", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requirements.txt", PROJECT["project"]["dependencies"]),
        ("requirements-dev.txt", PROJECT["project"]["dependencies"]),
        ("requirements-dev.txt", PROJECT["project"]["optional-dependencies"]["dev"]),
        ("requirements-build.txt", PROJECT["dependency-groups"]["build"]),
        ("requirements-audit.txt", PROJECT["dependency-groups"]["audit"]),
        ("requirements-backup.txt", PROJECT["dependency-groups"]["backup"]),
    ],
)
def test_what_pyproject_asks_for_is_pinned(name: str, wanted: list[str]) -> None:
    pinned = pins(name)
    for requirement in map(Requirement, wanted):
        if requirement.marker and not requirement.marker.evaluate({"sys_platform": "linux"}):
            continue
        version = pinned.get(canonicalize_name(requirement.name))
        assert version, f"{requirement} is not in {name}; run scripts/lock.sh"
        assert requirement.specifier.contains(version), (
            f"{requirement} does not allow {version}; run scripts/lock.sh"
        )


def test_the_files_agree_so_that_they_can_be_installed_together() -> None:
    development = pins("requirements-dev.txt")
    for name in FILES:
        shared = pins(name).keys() & development.keys()
        assert {p: pins(name)[p] for p in shared} == {p: development[p] for p in shared}
    assert pins("requirements.txt").items() <= development.items()


def test_the_service_installs_no_tool_of_its_developers() -> None:
    assert not pins("requirements.txt").keys() & {"pytest", "mypy", "bandit", "pip-audit", "uv", "playwright"}
