"""The fan-out within a process: who listens to which conversation."""

from collections.abc import Iterable
from uuid import UUID

from flynn.live.presence import Present
from flynn.live.subscription import Item, Subscription, weight


class Fanout:
    """Hands items to the subscriptions of a conversation, in the order of the calls."""

    def __init__(self) -> None:
        self._listeners: dict[UUID, set[Subscription]] = {}

    def add(self, conversation_id: UUID, subscription: Subscription) -> bool:
        """Register a listener. True when it is the conversation's first."""
        listeners = self._listeners.setdefault(conversation_id, set())
        listeners.add(subscription)
        return len(listeners) == 1

    def remove(self, conversation_id: UUID, subscription: Subscription) -> bool:
        """Take a listener out. True when nobody listens to the conversation any more."""
        listeners = self._listeners.get(conversation_id, set())
        listeners.discard(subscription)
        if listeners:
            return False
        return self._listeners.pop(conversation_id, None) is not None

    def deliver(self, conversation_id: UUID, item: Item) -> None:
        """Push `item` to everybody who listens to the conversation."""
        listeners = self._listeners.get(conversation_id)
        if listeners:
            weighs = weight(item)
            for subscription in listeners:
                subscription.push(item, weighs)

    def tell(self, conversation_id: UUID, present: Present) -> None:
        """Tell everybody who listens to the conversation who is there."""
        for subscription in self._listeners.get(conversation_id, ()):
            subscription.tell(present)

    def conversations(self) -> Iterable[UUID]:
        """The conversations that somebody listens to."""
        return self._listeners.keys()

    def __contains__(self, conversation_id: UUID) -> bool:
        return conversation_id in self._listeners
