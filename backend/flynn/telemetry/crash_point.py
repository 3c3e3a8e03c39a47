"""Crash points: named places in the code at which the drills let a process die.

Each stands at a boundary of the loop: before or after a commit, a model call, a tool, a publication.
Nothing happens at one unless a program has armed them, which the drills' own program does before it
calls the command line; no setting and no variable of the environment can. So this room never ends a
process by itself.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

POINTS: Mapping[str, str] = MappingProxyType(
    {
        # A worker takes a run.
        "delivery.begun": "A job was fetched; its run is not claimed yet.",
        "claim.before-commit": "The claim is written, its transaction open.",
        "claim.after-commit": "The claim is committed; nobody was told.",
        "lost.before-commit": "What a lost worker left open is about to be closed.",
        "lost.after-commit": "What a lost worker left open is closed.",
        # A model call.
        "step.before-commit": "The manifest of a request is about to be appended, results with it.",
        "step.after-commit": "The manifest is committed; the request is not sent.",
        "model.before-request": "The request is about to be sent.",
        "model.item": "Something of the answer came: a block began, or words of it arrived.",
        "reply.before-commit": "The answer (or its failure) is whole, and not committed.",
        "reply.after-commit": "The answer (or its failure) is committed.",
        # Tool calls.
        "calls.before-commit": "Calls are about to be announced, results of earlier ones with them.",
        "calls.after-commit": "Calls are announced; none has acted.",
        "tool.before-act": "One call is about to act.",
        "command.launched": "The process tree of a command was started.",
        "command.ended": "The process tree of a command is gone; nobody was told how it ended.",
        "job.begun": "A command goes on in the background; the call that started it has not answered.",
        "file.staged": "New content is on the disk under a name of its own.",
        "file.renamed": "New content has taken its name.",
        "file.removed": "A file that is not to be there any more is gone.",
        "tool.after-act": "One call has acted; its result is not committed.",
        "approval.before-commit": "Requests for a yes (or their ends) are about to be appended.",
        "approval.after-commit": "Requests for a yes (or their ends) are committed.",
        "results.before-commit": "Results, or words that ask for an account, are about to be appended alone.",
        "results.after-commit": "Results, or words that ask for an account, are committed, and no more.",
        # The end of a task.
        "checked.before-commit": "What a task left was looked at; what was found is not committed.",
        "checked.after-commit": "What was found in what a task left is committed; the run has still to end.",
        # An undo.
        "revert.before-act": "What a call did is about to be taken back.",
        "revert.after-act": "What a call did is taken back, or cannot be; nothing of it is committed.",
        "rollback.acted": "One path of an undo is as it was; others may follow.",
        # Snapshots.
        "snapshot.before-base": "A writing call was announced; how the workspace is was not looked at.",
        "snapshot.after-base": "How the workspace is before the call is kept; the call has not acted.",
        "snapshot.before-look": "A writing call has acted; what it changed was not looked at.",
        "snapshot.after-look": "What a writing call changed is in the store; nothing of it is committed.",
        # A task's own checkout.
        "checkout.before-make": "The checkout's directory is there, and empty.",
        "checkout.after-make": "The checkout is whole; nothing says so yet.",
        "checkout.noted": "The checkout's note is on the disk; the log does not tell of it.",
        "checkout.told": "The log tells of the checkout; no model was called.",
        "lane.before-commit": "A run that can have no checkout is queued again, the transaction open.",
        "lane.after-commit": "A run that can have no checkout is queued again; nobody was told.",
        "handover.begun": "What is not committed is about to be.",
        "handover.sealed": "All is committed in the checkout; the workspace's repository has nothing of it.",
        "handover.received": "The workspace's repository has the commits, the branch does not.",
        "handover.settled": "The branch has the commits; neither the checkout's note nor the log says so.",
        "handover.told": "The log tells of the commits; the run has still to stop.",
        # How a run stops.
        "closed.before-commit": "Calls that will not run any more are about to be closed.",
        "closed.after-commit": "Calls that will not run any more are closed.",
        "wait.before-commit": "The run's wait is written, its transaction open.",
        "wait.after-commit": "The run waits; nobody was told.",
        "wake.before-commit": "A run whose time has come is queued, the transaction open.",
        "wake.after-commit": "A run whose time has come is queued; nobody was told.",
        "end.before-commit": "The run's end is written, its transaction open.",
        "end.after-commit": "The run is over; nobody was told.",
        "refuse.before-commit": "The end of a run that cannot be claimed is written, its transaction open.",
        "refuse.after-commit": "A run that cannot be claimed is over; nobody was told.",
        "hand-back.before-commit": "A worker that ends has written that it lets go, its transaction open.",
        "hand-back.after-commit": "A worker that ends has let go of the run; its job is not handed back.",
        "delivery.ended": "The run was let go of; its job is still there.",
        # What is done regularly.
        "chore.before-commit": "A chore is done, the transaction open that says so.",
        "chore.after-commit": "A chore is done for its slot.",
        # Telling the watchers.
        "publish.before": "Committed events are about to be handed to the bus.",
        "publish.after": "Committed events were handed to the bus.",
        # Intake.
        "message.before-commit": "Words and what follows from them are written, the transaction open.",
        "message.after-commit": "Words are committed; neither sender nor watchers were told.",
        "interrupt.before-commit": "An interrupt is written, its transaction open.",
        "interrupt.after-commit": "An interrupt is committed; neither sender nor watchers were told.",
        "decision.before-commit": "A decision on a call is written, its transaction open.",
        "decision.after-commit": "A decision on a call is committed; neither sender nor watchers were told.",
        "undo.before-commit": "An undo and its run are written, the transaction open.",
        "undo.after-commit": "An undo is committed; neither sender nor watchers were told.",
        "budget.before-commit": "Raised limits are written, their transaction open.",
        "budget.after-commit": "Raised limits are committed; neither sender nor watchers were told.",
        "task.before-commit": "A task with its first words is written, its transaction open.",
        "task.after-commit": "A task is committed; neither sender nor watchers were told.",
    }
)
"""Every point: its name, and the state of affairs when it is reached."""

_action: Callable[[str], None] | None = None


def arm(action: Callable[[str], None] | None) -> None:
    """Call `action` with the name of every point that is reached from now on; None disarms them."""
    global _action  # noqa: PLW0603 -- one process dies or lives as a whole
    _action = action


def reach(name: str) -> None:
    """Say that the point `name`, one of POINTS, is reached. Costs a comparison unless armed."""
    if _action is not None:
        _action(name)
