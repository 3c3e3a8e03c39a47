"""Keeping: what a conversation has changed in all, made from its snapshots when a run of it stops.

Doors show it where the workspace is not mounted. What cannot be made is left as it was, with the seq up to
which that tells.
"""

from collections.abc import Sequence

from flynn.agent.changes import tell
from flynn.domain.difference import NET_BYTES, Difference
from flynn.store import differences, runs
from flynn.store.database import Database
from flynn.telemetry.logging import get_logger
from flynn.tools.thread import in_thread
from flynn.worker.journal import Journal
from flynn.workspace.snapshots.snapshots import SnapshotFailed, Snapshots


async def keep_net(
    database: Database,
    journal: Journal,
    snapshots: Snapshots | None,
    *,
    besides: Sequence[tuple[str, str]] = (),
) -> None:
    """Keep the conversation's difference as a whole, if it has changed anything since it was kept last.

    `besides` are pairs of trees that the log does not tell of yet. Raises LeaseLost.
    """
    if snapshots is None:
        return
    conversation_id = journal.conversation_id
    async with database.statement() as connection:
        told = await differences.told(connection, conversation_id)
        kept = await differences.read(connection, conversation_id)
    last = max((item.seq for item in told), default=0)
    pairs = [item.pair for item in told if item.pair is not None]
    if not besides and (not pairs or (kept is not None and kept.until_seq >= last)):
        return
    until = journal.transcript.seq + 1 if besides else last

    def make() -> Difference:
        return tell(snapshots.net([*pairs, *besides]).left(), snapshots, NET_BYTES)[1]

    try:
        difference = await in_thread(make, snapshots.stop)
    except SnapshotFailed as error:
        get_logger("flynn.worker").warning("no difference is kept of all that was changed", why=str(error))
        return
    async with database.begin() as connection:
        await runs.check_epoch(connection, conversation_id, journal.epoch)
        await differences.save_net(connection, conversation_id, difference, until)
