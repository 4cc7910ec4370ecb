"""Who listens to what happens: numbered events in bounded queues.

`EventHub.publish` numbers every event. Each subscriber has a queue of its own; when it is full the oldest event goes,
and the next thing that subscriber reads is a `dropped` event with their number. Without subscribers publishing costs
one addition. Nothing in the agent depends on an event being seen.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

QUEUE_EVENTS: Final = 1_000  # about a minute of a busy site
DROPPED: Final = "dropped"


class Event(NamedTuple):
    """One thing that happened: its number, name, wall time (ms) and fields (plain JSON values)."""

    number: int
    name: str
    at_ms: int
    fields: dict[str, Any]


class Subscription:
    """One listener's queue. Read with `next`; end with `close`."""

    def __init__(self, hub: EventHub, names: frozenset[str] | None, limit: int) -> None:
        self._hub = hub
        self._names = names
        self._queue: deque[Event] = deque(maxlen=limit)
        self._filled = asyncio.Event()
        self.dropped = 0

    async def next(self) -> Event:
        """Wait for the next event; a `dropped` event with field `n` stands for those that found no room."""
        while not self._queue:
            self._filled.clear()
            await self._filled.wait()
        if self.dropped:
            first = self._queue[0]
            lost, self.dropped = self.dropped, 0
            return Event(first.number - 1, DROPPED, first.at_ms, {"n": lost})
        return self._queue.popleft()

    def close(self) -> None:
        """Stop listening."""
        self._hub.remove(self)

    def offer(self, event: Event) -> None:
        """Take an event if it is wanted; the hub calls this."""
        if self._names is not None and event.name not in self._names:
            return
        if len(self._queue) == self._queue.maxlen:
            self.dropped += 1
        self._queue.append(event)
        self._filled.set()


class EventHub:
    """Hands events to subscribers; `wall_ms` stamps them."""

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self._wall_ms = wall_ms
        self._subscriptions: list[Subscription] = []
        self.number = 0

    @property
    def listening(self) -> bool:
        """Whether anybody would see an event; lets a caller skip the work of describing it."""
        return bool(self._subscriptions)

    def publish(self, name: str, /, **fields: Any) -> None:
        """Tell every subscriber."""
        self.number += 1
        if self._subscriptions:
            event = Event(self.number, name, self._wall_ms(), fields)
            for subscription in self._subscriptions:
                subscription.offer(event)

    def subscribe(self, names: Iterable[str] | None = None, *, limit: int = QUEUE_EVENTS) -> Subscription:
        """Listen to the named events (None = all), keeping at most `limit` that wait to be read."""
        subscription = Subscription(self, None if names is None else frozenset(names), limit)
        self._subscriptions.append(subscription)
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Forget a subscription; forgetting it twice is harmless."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
