"""What the doctor says of the sandbox and the linters, and what it prescribes."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from flynn.cli.sandbox_diagnosis import linters_finding, linters_of, sandbox_finding, sandbox_remedy
from flynn.sandbox.command import SandboxReport
from flynn.sandbox.opening import open_sandbox
from flynn.settings import Settings
from flynn.workspace.checks.equipment import Instrument, equipment
from flynn.workspace.checks.program import ProgramLinter
from tests.sandbox.test_sandbox_apparmor import kernel

REFUSED = (
    "bubblewrap: the probe did not end well (status 1): bwrap: setting up uid map: Permission denied",
    "bubblewrap: the probe did not end well (status 1): bwrap: loopback: Failed RTM_NEWADDR: Operation not "
    "permitted",
)


@pytest.mark.parametrize("reason", REFUSED)
def test_where_apparmor_restricts_the_profile_is_prescribed(tmp_path: Path, reason: str) -> None:
    sysctl = kernel(tmp_path, "1\n")
    for report in (
        SandboxReport(backend="landlock", layers=("landlock",), missing=("namespaces",), reason=reason),
        SandboxReport(backend=None, reason=reason),
    ):
        found = sandbox_finding(report, sysctl=sysctl)
        assert found.state == "degraded"
        assert found.remedy is not None
        said, line = found.remedy.split("\n")
        assert "kernel.apparmor_restrict_unprivileged_userns is 1" in said
        assert "deploy/apparmor-bwrap" in said
        assert line.startswith("printf '%s\\n' 'abi <abi/4.0>,'")
        assert line.endswith("sudo apparmor_parser -r /etc/apparmor.d/flynn-bwrap")


def test_elsewhere_it_is_not(tmp_path: Path) -> None:
    plain = kernel(tmp_path, "0\n")
    assert "apparmor" not in sandbox_remedy(REFUSED[0], sysctl=plain).lower()
    assert "docs/container.md" in sandbox_remedy(REFUSED[0], sysctl=plain)
    assert sandbox_remedy("bubblewrap: no program at /usr/bin", sysctl=plain).startswith("Install bubblewrap")
    assert sandbox_remedy("the sandbox is turned off by the operator", sysctl=plain) == (
        "Set FLYNN_SANDBOX=auto."
    )


def test_an_absent_bubblewrap_needs_both_where_apparmor_restricts(tmp_path: Path) -> None:
    remedy = sandbox_remedy("bubblewrap: no program at /usr/bin", sysctl=kernel(tmp_path, "1"))
    assert remedy.startswith("Install bubblewrap. AppArmor keeps")


@pytest.mark.needs("bubblewrap")
def test_a_bubblewrap_that_works_needs_no_remedy(tmp_path: Path) -> None:
    sandbox = asyncio.run(open_sandbox(private_root=tmp_path / "private"))
    found = sandbox_finding(sandbox.report, sysctl=kernel(tmp_path, "1\n"))
    assert found.detail.startswith("bubblewrap (")
    assert found.remedy is None


@pytest.mark.needs("bubblewrap")
def test_the_linters_start_in_the_sandbox_and_say_their_versions(tmp_path: Path) -> None:
    async def look() -> list[Instrument]:
        return await equipment(await open_sandbox(private_root=tmp_path / "private"))

    found = {instrument.tool: instrument for instrument in asyncio.run(look())}
    assert set(found) == {"check-jsonschema", "zizmor", "hadolint", "shellcheck", "ruff", "promtool"}
    for tool in set(found) - {"promtool"}:
        assert found[tool].trouble is None
        assert found[tool].version is not None
    told = linters_finding(list(found.values()))
    assert told.state == "ok"
    assert f"hadolint {found['hadolint'].version}" in told.detail
    assert found["promtool"].optional


def test_a_missing_linter_is_named_with_what_brings_it(tmp_path: Path) -> None:
    absent = ProgramLinter(
        tool="no-such-linter",
        package="no-such-package",
        wants=lambda _path, _sources: True,
        read=lambda _done, _paths, _sources: [],
        words=(),
        ends=(0,),
    )

    async def look() -> list[Instrument]:
        return await equipment(await open_sandbox(private_root=tmp_path, prefer="none"), [absent])

    told = linters_finding(asyncio.run(look()))
    assert told.state == "degraded"
    assert told.detail == "no-such-linter: it is not installed"
    assert told.remedy == "pip install --force-reinstall no-such-package"


def test_without_a_sandbox_no_linter_is_blamed(tmp_path: Path) -> None:
    async def look() -> list[Instrument]:
        return await equipment(await open_sandbox(private_root=tmp_path, prefer="none"))

    told = linters_finding(asyncio.run(look()))
    assert told.state == "degraded"
    assert told.remedy == "See the sandbox above: linters run nowhere else."


async def test_where_no_sandbox_of_its_own_can_be_opened_the_linters_are_a_finding_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    found = await linters_of(Settings.load(None, data_dir=tmp_path))
    assert (found.part, found.state) == ("linters", "degraded")
    assert found.detail.startswith("not looked at: ")
    assert found.remedy is not None
    assert "temporary directory" in found.remedy
