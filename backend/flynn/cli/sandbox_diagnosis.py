"""What `flynn doctor` says of the sandbox and of the linters, which run in it."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from flynn.cli.diagnosis import Finding
from flynn.domain.errors import FlynnError
from flynn.sandbox.apparmor import BUBBLEWRAP, HERE, AppArmor
from flynn.sandbox.command import SandboxReport
from flynn.sandbox.machine import find_bubblewrap
from flynn.sandbox.opening import open_sandbox
from flynn.settings import Settings
from flynn.workspace.checks.equipment import Instrument, equipment

_REFUSED = ("userns", "user namespace", "uid map", "permission", "not permitted")
"""Signs in bubblewrap's words that it may not make user namespaces."""


async def sandbox_findings(settings: Settings) -> AsyncIterator[Finding]:
    """The sandbox that is opened here, and the linters in it."""
    try:
        sandbox = await open_sandbox(
            private_root=settings.data_dir / "private",
            prefer=settings.sandbox,
            extra_readonly=settings.sandbox_readonly,
        )
    except (OSError, FlynnError) as error:
        yield Finding(
            "sandbox", "degraded", f"not opened: {error}", "Without it Bash, Glob and Grep are off."
        )
        return
    yield sandbox_finding(sandbox.report)
    yield linters_finding(await equipment(sandbox))


async def linters_of(settings: Settings) -> Finding:
    """The linters alone, in a sandbox of their own: a service runs, and its sandbox is its own."""
    try:
        with tempfile.TemporaryDirectory(prefix="flynn-doctor-") as private:
            sandbox = await open_sandbox(
                private_root=Path(private) / "private",
                prefer=settings.sandbox,
                extra_readonly=settings.sandbox_readonly,
            )
            return linters_finding(await equipment(sandbox))
    except (OSError, FlynnError) as error:
        return Finding(
            "linters",
            "degraded",
            f"not looked at, since no sandbox could be opened for them: {error}",
            "Make room in the directory for temporary files (TMPDIR), or correct its permissions.",
        )


def sandbox_finding(report: SandboxReport, apparmor: AppArmor = HERE) -> Finding:
    """The sandbox in words, with the remedy for what it lacks."""
    reason = f"; {report.reason}" if report.reason else ""
    remedy: str | None = sandbox_remedy(report.reason or "", apparmor)
    if report.backend is None:
        return Finding("sandbox", "degraded", f"off: {report.reason}", remedy)
    if report.backend == "unconfined":
        return Finding(
            "sandbox",
            "degraded",
            f"COMMANDS RUN WITHOUT A SANDBOX; missing: {', '.join(report.missing)}",
            "Set FLYNN_SANDBOX=auto, unless the container or the machine around is the wall.",
        )
    missing = f"; missing: {'; '.join(report.missing)}" if report.missing else ""
    detail = f"{report.backend} ({', '.join(report.layers)}){missing}{reason}"
    if report.backend == "bubblewrap":
        # What it lacks there, no program and no profile can give.
        remedy = None
    return Finding("sandbox", "degraded" if report.missing else "ok", detail, remedy)


def sandbox_remedy(reason: str, apparmor: AppArmor = HERE) -> str:
    """What would give a stronger sandbox, where there is none or not the strongest for `reason`."""
    words = reason.lower()
    if "operator" in words:
        return "Set FLYNN_SANDBOX=auto: it takes bubblewrap where that works."
    if "bubblewrap: no program" in words and apparmor.restricts():
        return f"Install bubblewrap. {_profile(apparmor)}"
    if any(sign in words for sign in _REFUSED):
        if apparmor.restricts():
            return _profile(apparmor)
        return (
            "User namespaces are refused. In a container, use the options of docs/container.md; elsewhere "
            "set kernel.unprivileged_userns_clone=1 where that is 0, or rely on Landlock."
        )
    return (
        "Install bubblewrap, on a kernel with Landlock (6.12 or newer; an older one suffices only as root)."
    )


def _profile(apparmor: AppArmor) -> str:
    program = str(find_bubblewrap() or BUBBLEWRAP)
    shipped = apparmor.ships(program)
    given = (
        f"Load the profile that this system ships for bubblewrap ({shipped}), and no other beside it"
        if shipped is not None
        else "Give bubblewrap alone a profile that allows them, which deploy/apparmor-bwrap is too"
    )
    return (
        "AppArmor keeps user namespaces from bubblewrap here (kernel.apparmor_restrict_unprivileged_userns "
        f"is 1, as on Ubuntu since 23.10). {given}; then start again:\n{apparmor.commands(program)}"
    )


def linters_finding(found: list[Instrument]) -> Finding:
    """The linters of `flynn review` with their versions, and which are missing."""
    there = [f"{i.tool} {i.version or 'of an unknown version'}" for i in found if i.trouble is None]
    wrong = [i for i in found if i.trouble is not None and not i.optional]
    absent = [f"{i.tool} (optional): {i.trouble}" for i in found if i.trouble is not None and i.optional]
    said = [*there, *(f"{i.tool}: {i.trouble}" for i in wrong), *absent]
    packages = sorted({i.package for i in wrong if i.package is not None})
    remedy = f"pip install --force-reinstall {' '.join(packages)}" if packages else None
    if wrong and all("sandbox" in (i.trouble or "") for i in wrong):
        remedy = "See the sandbox above: linters run nowhere else."
    return Finding("linters", "degraded" if wrong else "ok", "; ".join(said), remedy)
