"""What happens, told to whoever listens: the tray, the page, notifications, the command line."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Event", "EventBus", "Subscription"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: e.g. `entry` (an entry moved), `progress`, `hold`, `folder`, `config`,
            `attention` (failed recordings were dismissed).
        at: unix time in seconds.
        data: JSON-ready facts; for `entry` they hold `uid`, `state`, `path` and `reason`.
    """

    kind: str
    at: float
    data: dict[str, Any] = field(default_factory=dict)


class Subscription:
    """One listener's queue, an async iterator. A listener that falls behind loses the oldest events.

    `missed` counts those; a listener that finds it risen reads the whole picture anew.
    """

    def __init__(self, capacity: int) -> None:
        self._queue: deque[Event] = deque(maxlen=capacity)
        self._ready = asyncio.Event()
        self._closed = False
        self.missed = 0

    def push(self, event: Event) -> None:
        """Add an event; called on the bus's loop."""
        if len(self._queue) == self._queue.maxlen:
            self.missed += 1
        self._queue.append(event)
        self._ready.set()

    def close(self) -> None:
        """End the iteration once the queue is empty."""
        self._closed = True
        self._ready.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._queue.popleft()


class EventBus:
    """Publishes events to every subscription. Publishing never blocks and never fails."""

    def __init__(self, *, capacity: int = 1000) -> None:
        self._capacity = capacity
        self._subscriptions: set[Subscription] = set()

    def publish(self, event: Event) -> None:
        """Tell every listener; call it on the event loop's thread."""
        for subscription in self._subscriptions:
            subscription.push(event)

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Listen from now on, for as long as the block runs."""
        subscription = Subscription(self._capacity)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            subscription.close()

    def close(self) -> None:
        """End every listener's iteration."""
        for subscription in self._subscriptions:
            subscription.close()
