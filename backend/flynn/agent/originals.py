"""Originals on their way: what changed files held before, from the call that changed them to its commit.

They are committed with the event that tells of the change, so that a call that can be undone by the log
can be undone in fact; what the log does not tell of is forgotten with the run.
"""

from collections.abc import Iterable

from flynn.domain.events import EventData, ToolFinished
from flynn.domain.evidence import FileChanged
from flynn.domain.original import Original


class Originals:
    """Those that are not committed yet, by digest."""

    def __init__(self) -> None:
        self._unsaved: dict[str, Original] = {}

    def put(self, originals: Iterable[Original]) -> None:
        """Take what a call has just replaced."""
        self._unsaved.update((original.sha256, original) for original in originals)

    def find(self, digest: str) -> Original | None:
        """The one with this digest, while it is not committed yet."""
        return self._unsaved.get(digest)

    def unsaved(self, events: Iterable[EventData]) -> list[Original]:
        """Those that the changes in `events` need and that nobody has committed yet."""
        if not self._unsaved:
            return []
        wanted = {
            item.before
            for event in events
            if isinstance(event, ToolFinished)
            for item in event.evidence
            if isinstance(item, FileChanged) and item.kept
        }
        return [original for digest, original in self._unsaved.items() if digest in wanted]

    def saved(self, originals: Iterable[Original]) -> None:
        """Note that `originals` are committed."""
        for original in originals:
            self._unsaved.pop(original.sha256, None)
