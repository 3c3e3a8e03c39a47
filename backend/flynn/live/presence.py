"""Presence: who watches a conversation. A hint, like all of live/: nothing of it is in the log."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

MOST_NAMES = 50
"""People of one conversation that are named; of more there is a number."""

GATHER = 0.1
"""Seconds in which people who come and go are gathered, so that a crowd is one notice."""


@dataclass(frozen=True, slots=True, order=True)
class Person:
    """A principal that watches, over however many connections."""

    name: str
    id: str


@dataclass(frozen=True, slots=True)
class Present:
    """Who is there: up to MOST_NAMES names, in order, and how many people in all."""

    names: tuple[str, ...] = ()
    count: int = 0

    @classmethod
    def of(cls, people: Iterable[Person], more: int = 0) -> "Present":
        """Present are `people`, each counted once, and `more` whose names are not known here."""
        found = sorted(set(people))
        return cls(tuple(person.name for person in found[:MOST_NAMES]), len(found) + more)


class Attendance:
    """Who is there by this process. Calls `changed` with a conversation when somebody came or left."""

    def __init__(self, changed: Callable[[UUID], None]) -> None:
        self._changed = changed
        self._here: dict[UUID, Counter[Person]] = {}

    @contextmanager
    def attend(self, conversation_id: UUID, person: Person) -> Iterator[None]:
        """`person` is there meanwhile."""
        people = self._here.setdefault(conversation_id, Counter())
        people[person] += 1
        if people[person] == 1:
            self._changed(conversation_id)
        try:
            yield
        finally:
            people[person] -= 1
            if not people[person]:
                del people[person]
                if not people:
                    del self._here[conversation_id]
                self._changed(conversation_id)

    def people(self, conversation_id: UUID) -> list[Person]:
        """Who is there, in order."""
        return sorted(self._here.get(conversation_id, ()))

    def conversations(self) -> list[UUID]:
        """Where anybody is there."""
        return list(self._here)

    def __contains__(self, conversation_id: UUID) -> bool:
        return conversation_id in self._here
