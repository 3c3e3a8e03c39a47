"""Differences on their way: from the call that made them to the commit of the event that tells of it."""

from collections.abc import Sequence

from flynn.domain.difference import Difference
from flynn.domain.events import EventData, Recorded, WorkspaceChanged


class Differences:
    """Those that are not committed yet, by the trees of their event."""

    def __init__(self) -> None:
        self._unsaved: dict[tuple[str | None, str | None], Difference] = {}

    def put(self, event: WorkspaceChanged, difference: Difference) -> None:
        """Take the difference that `event` tells of."""
        if difference.text:
            self._unsaved[event.before, event.after] = difference

    def wanted(self, events: Sequence[EventData]) -> bool:
        """Whether any of `events` has a difference here."""
        return any(self._of(event) is not None for event in events)

    def of(self, recorded: Sequence[Recorded]) -> dict[int, Difference]:
        """Those of the events in `recorded`, by seq."""
        found = ((item.seq, self._of(item.event)) for item in recorded)
        return {seq: difference for seq, difference in found if difference is not None}

    def saved(self, events: Sequence[EventData]) -> None:
        """Note that those of `events` are committed."""
        for event in events:
            if isinstance(event, WorkspaceChanged):
                self._unsaved.pop((event.before, event.after), None)

    def _of(self, event: EventData) -> Difference | None:
        if not isinstance(event, WorkspaceChanged):
            return None
        return self._unsaved.get((event.before, event.after))
