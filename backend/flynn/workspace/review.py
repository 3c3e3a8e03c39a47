"""A review of a tree: its files are listed, the linters run over them, the checklist is gone through."""

import asyncio
import time

from flynn.domain.review import Review
from flynn.sandbox.command import Sandbox
from flynn.workspace.checklist.checklist import go_through
from flynn.workspace.checks.linters import check_files
from flynn.workspace.checks.listing import list_files
from flynn.workspace.root import Workspace


async def review(workspace: Workspace, sandbox: Sandbox) -> Review:
    """Look at everything in `workspace`; nothing in it is changed, and nothing of it is trusted.

    Without a sandbox what needs no process is done, and the rest is named as not run. Raises
    WorkspaceError when the tree cannot be read.
    """
    began = time.monotonic()
    listing = await list_files(workspace, sandbox)
    sources = listing.sources
    checked, checklist = await asyncio.gather(
        check_files(sources.paths, sources, sandbox), asyncio.to_thread(go_through, sources)
    )
    notes = list(listing.notes)
    if sandbox.report.backend == "unconfined":
        notes.append("The linters ran WITHOUT A SANDBOX, because the operator says so.")
    if sources.unread:
        notes.append(
            f"Files that were not read, or not looked into, since there is a bound for all and for one: "
            f"{sources.unread:,}."
        )
    return Review(
        files=len(sources.paths),
        ran=checked.ran,
        not_run=checked.not_run,
        findings=checked.findings,
        checklist=checklist,
        notes=tuple(notes),
        duration_ms=round((time.monotonic() - began) * 1000),
    )
