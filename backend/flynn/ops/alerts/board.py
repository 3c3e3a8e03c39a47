"""The board: what fires, by this process and by the others as far as the database says.

Whoever wants to be told of changes is told at once of this process's own, whatever else is broken.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from flynn.domain.alert import AlertNotice, AlertsView, AlertView

Told = Callable[[AlertNotice], None]


class Board:
    """What fires, by key. What several processes say of one thing is one alert."""

    def __init__(self) -> None:
        self.evaluated_at: datetime | None = None
        self.complete = False
        self._own: dict[str, AlertView] = {}
        self._others: dict[str, AlertView] = {}
        self._shown: dict[str, AlertView] = {}
        self._listeners: list[Told] = []

    def on_change(self, listener: Told) -> None:
        """Tell `listener` of each alert that begins or ends, from now on. It must not raise or block."""
        self._listeners.append(listener)

    def firing(self) -> list[AlertView]:
        """What fires now, the oldest first."""
        return sorted(self._shown.values(), key=lambda alert: (alert.since, alert.key))

    def view(self) -> AlertsView:
        """The whole for people."""
        return AlertsView(items=self.firing(), evaluated_at=self.evaluated_at, complete=self.complete)

    def own(self, key: str) -> AlertView | None:
        """What this process says under `key`."""
        return self._own.get(key)

    def set_own(self, alert: AlertView) -> None:
        """This process says so, or says it anew with another figure or id."""
        self._own[alert.key] = alert
        self._show()

    def drop_own(self, key: str) -> None:
        """This process does not say so any more; others may."""
        self._own.pop(key, None)
        self._show()

    def set_others(self, alerts: Sequence[AlertView]) -> None:
        """What the database says that other processes see."""
        self.complete = True
        self._others = {alert.key: alert for alert in alerts}
        self._show()

    def _show(self) -> None:
        before, self._shown = self._shown, {**self._others, **self._own}
        notices = [
            *(AlertNotice(state="resolved", alert=before[key]) for key in before.keys() - self._shown.keys()),
            *(
                AlertNotice(state="firing", alert=self._shown[key])
                for key in self._shown.keys() - before.keys()
            ),
        ]
        for notice in notices:
            for listener in self._listeners:
                listener(notice)
