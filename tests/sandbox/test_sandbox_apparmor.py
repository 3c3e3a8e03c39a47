"""AppArmor's restriction of user namespaces: told from what the kernel says, and lifted by one profile."""

import os
import subprocess
from pathlib import Path

import pytest

from flynn.sandbox.apparmor import HERE, AppArmor, profile

ROOT = Path(__file__).parents[2]


def machine(place: Path, value: str | None, *, ships: bool = False) -> AppArmor:
    """One whose kernel says `value`, None: knows no such thing, and whose system `ships` a profile or not."""
    (place / "kernel").mkdir()
    if value is not None:
        (place / "kernel" / "apparmor_restrict_unprivileged_userns").write_text(value)
    profiles = place / "apparmor.d"
    (profiles / "disable").mkdir(parents=True)
    if ships:
        (profiles / "bwrap-userns-restrict").write_text("# the shipped one\n")
    return AppArmor(sysctl=place, profiles=profiles)


@pytest.mark.parametrize(("value", "restricted"), [("1\n", True), ("0\n", False), ("", False), (None, False)])
def test_the_kernel_says_whether_it_restricts(tmp_path: Path, value: str | None, restricted: bool) -> None:
    assert machine(tmp_path, value).restricts() is restricted


def shell(line: str, place: Path) -> list[str]:
    """Run `line` without root and without AppArmor; gives how the parser was called."""
    programs = place / "programs"
    programs.mkdir()
    (programs / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (programs / "apparmor_parser").write_text(f'#!/bin/sh\necho "$@" >>{place}/parsed\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-ec", line], check=True, capture_output=True, env=environment)
    return (place / "parsed").read_text().splitlines()


def test_the_line_for_a_shell_writes_what_is_in_deploy(tmp_path: Path) -> None:
    shipped = (ROOT / "deploy" / "apparmor-bwrap").read_text()
    lines = [line for line in shipped.splitlines() if not line.startswith("#")]
    assert lines == profile()
    apparmor = machine(tmp_path, "1")
    written = apparmor.profiles / "flynn-bwrap"
    assert shell(apparmor.commands(), tmp_path) == [f"-r {written}"]
    assert written.read_text().splitlines() == lines
    for command in ("install -m 644 deploy/apparmor-bwrap /etc/apparmor.d/flynn-bwrap", "apparmor_parser -r"):
        assert f"#   sudo {command}" in shipped


def test_a_shipped_profile_is_enabled_and_ours_is_not_put_beside_it(tmp_path: Path) -> None:
    apparmor = machine(tmp_path, "1", ships=True)
    shipped = apparmor.profiles / "bwrap-userns-restrict"
    disabled = apparmor.profiles / "disable" / "bwrap-userns-restrict"
    disabled.symlink_to(shipped)
    assert apparmor.ships() == shipped
    assert shell(apparmor.commands(), tmp_path) == [f"-r {shipped}"]
    assert not disabled.is_symlink()
    assert not (apparmor.profiles / "flynn-bwrap").exists()
    assert shipped.read_text() == "# the shipped one\n"


def test_ours_goes_when_one_is_shipped(tmp_path: Path) -> None:
    apparmor = machine(tmp_path, "1", ships=True)
    ours = apparmor.profiles / "flynn-bwrap"
    ours.write_text("# of before the upgrade\n")
    assert shell(apparmor.commands(), tmp_path) == [
        f"-R {ours}",
        f"-r {apparmor.profiles / 'bwrap-userns-restrict'}",
    ]
    assert not ours.exists()


def test_a_program_elsewhere_is_named_and_has_no_shipped_profile(tmp_path: Path) -> None:
    apparmor = machine(tmp_path, "1", ships=True)
    assert apparmor.ships("/usr/local/bin/bwrap") is None
    assert "profile flynn-bwrap /usr/local/bin/bwrap flags=(unconfined) {" in apparmor.commands(
        "/usr/local/bin/bwrap"
    )
    assert HERE.commands("/opt/bwrap").endswith("sudo apparmor_parser -r /etc/apparmor.d/flynn-bwrap")
