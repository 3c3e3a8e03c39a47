"""setup.sh and start.sh in a checkout of their own: a project without requirements, installed for real."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("setup")]
"""They share one checkout, which takes seconds to make."""

ROOT = Path(__file__).resolve().parents[2]

PROJECT = """\
[build-system]
requires = []
build-backend = "building"
backend-path = ["."]

[project]
name = "flynn"
version = "0"
"""

# A build backend without requirements (PEP 517, PEP 660): it installs a program that tells how it was called.
BUILDING = """\
import zipfile

FILES = {
    "flynn_stub.py": "import sys\\n\\ndef main():\\n    print('flynn', *sys.argv[1:])\\n",
    "flynn-0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: flynn\\nVersion: 0\\n",
    "flynn-0.dist-info/WHEEL": (
        "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    ),
    "flynn-0.dist-info/entry_points.txt": "[console_scripts]\\nflynn = flynn_stub:main\\n",
}


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    record = "".join(f"{name},,\\n" for name in (*FILES, "flynn-0.dist-info/RECORD"))
    with zipfile.ZipFile(f"{wheel_directory}/flynn-0-py3-none-any.whl", "w") as wheel:
        for name, text in {**FILES, "flynn-0.dist-info/RECORD": record}.items():
            wheel.writestr(name, text)
    return "flynn-0-py3-none-any.whl"
"""


def call(checkout: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANTHROPIC_", "FLYNN_", "PYTHON"))}
    return subprocess.run(
        [checkout / "scripts" / command[0], *command[1:]],
        env={**kept, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def copy(directory: Path) -> Path:
    shutil.copytree(ROOT / "scripts", directory / "scripts")
    shutil.copy(ROOT / ".env.example", directory)
    (directory / "pyproject.toml").write_text(PROJECT)
    (directory / "building.py").write_text(BUILDING)
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-build.txt"):
        (directory / name).write_text("# none\n")
    return directory


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that has been set up once."""
    checkout = copy(tmp_path_factory.mktemp("checkout"))
    done = call(checkout, "setup.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "setup: making .venv with Python 3." in done.stdout
    assert "setup: made .env, readable for you alone" in done.stdout
    return checkout


def test_a_second_time_it_is_done_at_once(checkout: Path) -> None:
    before = (checkout / ".env").read_text()
    done = call(checkout, "setup.sh")
    assert done.returncode == 0
    assert "installing the" not in done.stdout
    assert (checkout / ".env").read_text() == before


def test_what_it_wrote_down_is_private(checkout: Path) -> None:
    assert stat.S_IMODE((checkout / ".env").stat().st_mode) == 0o600
    example, made = ((checkout / name).read_text().splitlines() for name in (".env.example", ".env"))
    (difference,) = [line for line in made if line not in example]
    name, _, password = difference.partition("=")
    assert name == "POSTGRES_PASSWORD"
    assert len(password) == 32


def test_changed_requirements_are_installed_again_and_once(checkout: Path) -> None:
    (checkout / "requirements.txt").write_text("# none, but another none\n")
    (said,) = (line for line in call(checkout, "setup.sh").stdout.splitlines() if "installing" in line)
    assert said.startswith(
        "setup: installing the runtime requirements: 0 packages into .venv, a minute or two"
    )
    assert "setup: installing the dev requirements" in call(checkout, "setup.sh", "--dev").stdout
    # What developers need includes what the service needs.
    assert "installing the" not in call(checkout, "setup.sh").stdout


def test_a_failed_installation_is_tried_again(checkout: Path) -> None:
    requirements = checkout / "requirements.txt"
    good = requirements.read_text()
    requirements.write_text("flynn-of-nowhere==1\n")
    for _ in range(2):
        done = call(checkout, "setup.sh", PIP_NO_INDEX="1")
        assert done.returncode == 1
        assert "No matching distribution found for flynn-of-nowhere==1" in done.stderr
        assert done.stderr.endswith("requirements could not be installed; the lines above say why\n")
    requirements.write_text(good)
    assert call(checkout, "setup.sh").returncode == 0


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert "setup: making .venv" in call(checkout, "setup.sh").stdout
    assert call(checkout, "start.sh", "--port", "1").stdout == "flynn serve --port 1\n"


def test_without_a_recent_python_it_says_so(tmp_path: Path) -> None:
    checkout = copy(tmp_path)
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = call(checkout, "setup.sh", PYTHON=str(old))
    assert done.returncode == 1
    assert done.stderr == f"setup: PYTHON={old} is no Python 3.11 or newer\n"
    assert not (checkout / ".env").exists()


def test_the_start_takes_the_demo_when_there_is_no_key(checkout: Path) -> None:
    done = call(checkout, "start.sh")
    assert done.returncode == 0
    assert "start: there is no key of Claude's API" in done.stdout
    assert "give a key in the page's field" in done.stdout
    assert done.stdout.endswith("flynn demo --no-again\n")


def test_the_start_serves_with_a_key_that_was_given_on_the_page(checkout: Path) -> None:
    stored = checkout / "data" / "anthropic.key"
    stored.parent.mkdir()
    stored.write_text("sk-plain\n")
    done = call(checkout, "start.sh")
    assert done.stdout == "flynn serve\n"
    assert done.stderr.startswith("start: the service starts")
    stored.unlink()
    assert call(checkout, "start.sh").stdout.endswith("flynn demo --no-again\n")


@pytest.mark.parametrize(
    "line",
    [
        "FLYNN_DATA_DIR={place}",
        "FLYNN_DATA_DIR={place}  # where it all is",
        '  export FLYNN_DATA_DIR = "{place}"  # where it all is',
        "FLYNN_DATA_DIR=/nowhere\nFLYNN_DATA_DIR='{place}'",
        "FLYNN_DATA_DIR=~/{name}",
    ],
)
def test_the_start_looks_for_that_key_where_the_env_file_says(
    checkout: Path, tmp_path: Path, line: str
) -> None:
    place = tmp_path / "our data"
    place.mkdir()
    env_file = checkout / ".env"
    before = env_file.read_text()
    env_file.write_text(f"{before}\n{line.format(place=place, name=place.name)}\n")
    home = {"HOME": str(tmp_path)}
    try:
        assert call(checkout, "start.sh", **home).stdout.endswith("flynn demo --no-again\n")
        (place / "anthropic.key").write_text("sk-plain\n")
        assert call(checkout, "start.sh", **home).stdout == "flynn serve\n"
        other = {**home, "FLYNN_DATA_DIR": str(tmp_path / "other")}
        assert call(checkout, "start.sh", **other).stdout.endswith("flynn demo --no-again\n"), (
            "the environment wins"
        )
    finally:
        env_file.write_text(before)


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"])
def test_the_start_serves_with_a_key_or_a_server_of_ones_own(checkout: Path, name: str) -> None:
    assert call(checkout, "start.sh", **{name: "x"}).stdout == "flynn serve\n"
    with_key = checkout / ".env"
    before = with_key.read_text()
    with_key.write_text(before + f'\n{name}="x"\n')
    assert call(checkout, "start.sh").stdout == "flynn serve\n"
    with_key.write_text(before)
    assert call(checkout, "start.sh").stdout.endswith("flynn demo --no-again\n")
