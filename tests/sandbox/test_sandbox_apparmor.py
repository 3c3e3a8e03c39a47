"""AppArmor's restriction of user namespaces: told from what the kernel says, and lifted by one profile."""

import subprocess
from pathlib import Path

import pytest

from flynn.sandbox import apparmor

ROOT = Path(__file__).parents[2]


def kernel(place: Path, value: str | None) -> Path:
    """A /proc/sys of a kernel that says `value`; None: of one that knows no such thing."""
    (place / "kernel").mkdir()
    if value is not None:
        (place / "kernel" / "apparmor_restrict_unprivileged_userns").write_text(value)
    return place


@pytest.mark.parametrize(("value", "restricted"), [("1\n", True), ("0\n", False), ("", False), (None, False)])
def test_the_kernel_says_whether_it_restricts(tmp_path: Path, value: str | None, restricted: bool) -> None:
    assert apparmor.restricts(kernel(tmp_path, value)) is restricted


def test_the_line_for_a_shell_writes_what_is_in_deploy(tmp_path: Path) -> None:
    shipped = (ROOT / "deploy" / "apparmor-bwrap").read_text()
    lines = [line for line in shipped.splitlines() if not line.startswith("#")]
    assert lines == apparmor.profile()
    # Everything but what needs root is done for real, in a shell.
    place = tmp_path / "profile"
    line = apparmor.commands().replace(f"sudo tee {apparmor.PROFILE}", f"tee {place}")
    line, _, loading = line.rpartition(" && ")
    assert loading == f"sudo apparmor_parser -r {apparmor.PROFILE}"
    subprocess.run(["sh", "-c", line], check=True, capture_output=True)
    assert place.read_text().splitlines() == lines
    for command in ("sudo install -m 644 deploy/apparmor-bwrap", loading):
        assert f"#   {command}" in shipped


def test_a_program_elsewhere_is_named() -> None:
    assert apparmor.profile("/usr/local/bin/bwrap")[2] == (
        "profile flynn-bwrap /usr/local/bin/bwrap flags=(unconfined) {"
    )
