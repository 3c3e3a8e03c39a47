"""What the doctor says of the sandbox, the linters and backups, and what it prescribes."""

import asyncio
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flynn.cli.backup_diagnosis import backups_finding
from flynn.cli.doctor import service_findings
from flynn.cli.record import Running
from flynn.cli.sandbox_diagnosis import linters_finding, linters_of, sandbox_finding, sandbox_remedy
from flynn.ops.backup.catalogue import Catalogue
from flynn.ops.readiness import sandbox_part
from flynn.sandbox.apparmor import BUBBLEWRAP
from flynn.sandbox.command import SandboxReport
from flynn.sandbox.machine import find_bubblewrap
from flynn.sandbox.opening import open_sandbox
from flynn.settings import Settings
from flynn.workspace.checks.equipment import Instrument, equipment
from flynn.workspace.checks.program import ProgramLinter
from tests.api.served import serve
from tests.ops.test_ops_backup_retention import base
from tests.sandbox.test_sandbox_apparmor import machine

REFUSED = (
    "bubblewrap: the probe did not end well (status 1): bwrap: setting up uid map: Permission denied",
    "bubblewrap: the probe did not end well (status 1): bwrap: loopback: Failed RTM_NEWADDR: Operation not "
    "permitted",
)


@pytest.mark.parametrize("reason", REFUSED)
def test_where_apparmor_restricts_the_profile_is_prescribed(tmp_path: Path, reason: str) -> None:
    apparmor = machine(tmp_path, "1\n")
    for report in (
        SandboxReport(backend="landlock", layers=("landlock",), missing=("namespaces",), reason=reason),
        SandboxReport(backend=None, reason=reason),
    ):
        found = sandbox_finding(report, apparmor)
        assert found.state == "degraded"
        assert found.remedy is not None
        said, line = found.remedy.split("\n")
        assert "kernel.apparmor_restrict_unprivileged_userns is 1" in said
        assert "deploy/apparmor-bwrap" in said
        assert line.startswith("printf '%s\\n' 'abi <abi/4.0>,'")
        assert line.endswith(f"sudo apparmor_parser -r {apparmor.profiles}/flynn-bwrap")


@pytest.mark.parametrize("reason", REFUSED)
def test_a_shipped_profile_is_prescribed_where_there_is_one(tmp_path: Path, reason: str) -> None:
    apparmor = machine(tmp_path, "1\n", ships=True)
    said, line = sandbox_remedy(reason, apparmor).split("\n")
    program = str(find_bubblewrap() or BUBBLEWRAP)
    assert line == apparmor.commands(program)
    shipped = program == BUBBLEWRAP
    assert ("and no other beside it" in said) is shipped
    assert ("deploy/apparmor-bwrap" in said) is not shipped


async def test_a_running_service_says_why_landlock_is_what_it_took(tmp_path: Path) -> None:
    (tmp_path / "machine").mkdir()
    report = SandboxReport(backend="landlock", layers=("landlock",), missing=("x",), reason=REFUSED[0])
    async with serve(tmp_path) as served:
        served.parts.append(sandbox_part(report))
        running = Running(served.url, os.getpid(), served.keys["owner"])
        apparmor = machine(tmp_path / "machine", "1\n")
        found = {finding.part: finding async for finding in service_findings(running, apparmor)}
    assert found["service"].state == "ok"
    assert found["sandbox"].state == "degraded"
    assert found["sandbox"].detail.endswith(REFUSED[0])
    assert found["sandbox"].remedy == sandbox_remedy(REFUSED[0], apparmor)
    assert found["sandbox"].remedy.startswith("AppArmor keeps user namespaces")


def test_elsewhere_it_is_not(tmp_path: Path) -> None:
    plain = machine(tmp_path, "0\n")
    assert "apparmor" not in sandbox_remedy(REFUSED[0], plain).lower()
    assert "docs/container.md" in sandbox_remedy(REFUSED[0], plain)
    assert sandbox_remedy("bubblewrap: no program at /usr/bin", plain) == (
        "Install bubblewrap, on a kernel with Landlock (6.12 or newer; an older one suffices only as root)."
    )
    off = sandbox_remedy("the sandbox is turned off by the operator", plain)
    assert off == "Set FLYNN_SANDBOX=auto: it takes bubblewrap where that works."


@pytest.mark.needs("landlock")
def test_landlock_that_was_asked_for_is_not_for_want_of_bubblewrap(tmp_path: Path) -> None:
    report = asyncio.run(open_sandbox(private_root=tmp_path / "private", prefer="landlock")).report
    restricting = machine(tmp_path, "1\n")
    found = sandbox_finding(report, restricting)
    assert report.backend == "landlock"
    assert found.remedy == "Set FLYNN_SANDBOX=auto: it takes bubblewrap where that works."
    told = sandbox_part(report).detail or ""
    assert sandbox_remedy(told, restricting) == found.remedy, "a running service's is the same"


def test_a_sandbox_that_lacks_something_is_told_shortly_and_with_what_helps(tmp_path: Path) -> None:
    report = asyncio.run(open_sandbox(private_root=tmp_path / "private")).report
    part = sandbox_part(report)
    detail = part.detail or ""
    assert 0 < len(detail) < 250
    assert (part.state == "degraded") is bool(report.missing)
    if report.missing and os.getuid() == 0:
        assert "start the service as another user than root" in detail


def test_an_absent_bubblewrap_needs_both_where_apparmor_restricts(tmp_path: Path) -> None:
    remedy = sandbox_remedy("bubblewrap: no program at /usr/bin", machine(tmp_path, "1"))
    assert remedy.startswith("Install bubblewrap. AppArmor keeps")


@pytest.mark.needs("bubblewrap")
def test_a_bubblewrap_that_works_needs_no_remedy(tmp_path: Path) -> None:
    sandbox = asyncio.run(open_sandbox(private_root=tmp_path / "private"))
    found = sandbox_finding(sandbox.report, machine(tmp_path, "1\n"))
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


async def test_where_no_sandbox_can_be_opened_for_the_linters_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    found = await linters_of(Settings.load(None, data_dir=tmp_path))
    assert (found.part, found.state) == ("linters", "degraded")
    assert "No such file or directory" in found.detail
    assert found.remedy is not None
    assert "TMPDIR" in found.remedy


async def test_backups_at_rest_are_told_by_their_number_and_age(tmp_path: Path) -> None:
    settings = Settings.load(None, data_dir=tmp_path, backup_hours=24)
    found = await backups_finding(settings)
    assert (found.state, found.detail) == (
        "ok",
        f"none yet; a service that runs takes the first after {settings.backup_first_minutes:g} minutes",
    )
    now = datetime.now(UTC)
    for number, hours, state in ((1, 40, "degraded"), (2, 30, "ok")):
        draft = tmp_path / "draft"
        draft.mkdir()
        at = now - timedelta(hours=hours)
        Catalogue(tmp_path / "backups").directory.mkdir(exist_ok=True)
        Catalogue(tmp_path / "backups").add_base(
            draft, base(number, "a", 0).model_copy(update={"started_at": at, "finished_at": at})
        )
        found = await backups_finding(settings)
        assert found.state == state
        assert found.detail.startswith(
            f"{number} in {tmp_path / 'backups'}, the newest of {at:%Y-%m-%d %H:%M}"
        )
        assert ("backup" in (found.remedy or "")) is (state == "degraded")
    off = await backups_finding(Settings.load(None, data_dir=tmp_path, backups=False))
    assert (off.state, off.remedy) == ("degraded", "Set it to true.")
    theirs = Settings.load(None, data_dir=tmp_path, database_url="postgresql://somebody@localhost/theirs")
    assert (await backups_finding(theirs)).state == "ok"
