"""The daemon's events as a live stream of server-sent events (WHATWG HTML, "Server-sent events")."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.control.responses import encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from watcher.events import Event, EventBus, Subscription

__all__ = ["EventStreams"]

_PROGRESS_SECONDS = 0.25
_MOST_REMEMBERED = 256


class EventStreams:
    """Every open stream. A listener that fell behind is told `resync`: it reads the whole picture anew.

    Args:
        bus: the daemon's.
        version: told to each listener at first, so that a page notices an update.
        heartbeat: seconds after which a quiet stream shows that it is alive.
    """

    def __init__(self, bus: EventBus, *, version: str, heartbeat: float = 15.0) -> None:
        self._bus = bus
        self._version = version
        self._heartbeat = heartbeat
        self._open: set[Subscription] = set()

    def close(self) -> None:
        """End every stream."""
        for subscription in self._open:
            subscription.close()

    async def listen(self) -> AsyncIterator[bytes]:
        """Yield the stream for one listener."""
        with self._bus.subscribe() as subscription:
            self._open.add(subscription)
            try:
                yield _message("hello", {"kind": "hello", "data": {"version": self._version}})
                async for chunk in self._relay(subscription):
                    yield chunk
            finally:
                self._open.discard(subscription)

    async def _relay(self, subscription: Subscription) -> AsyncIterator[bytes]:
        missed = 0
        pace = _Pace()
        while True:
            try:
                async with asyncio.timeout(self._heartbeat):
                    event = await anext(subscription)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            except StopAsyncIteration:
                return
            if subscription.missed != missed:
                missed = subscription.missed
                yield _message("resync", {"kind": "resync", "at": event.at, "data": {"missed": missed}})
            if pace.lets_through(event):
                yield _message(event.kind, {"kind": event.kind, "at": event.at, "data": event.data})


class _Pace:
    """Thins out progress, which comes with every block that is sent; its last event always passes."""

    def __init__(self) -> None:
        self._last: dict[object, float] = {}

    def lets_through(self, event: Event) -> bool:
        if event.kind != "progress":
            return True
        of = event.data.get("uid")
        if event.data.get("sent") == event.data.get("total"):
            self._last.pop(of, None)
            return True
        if abs(event.at - self._last.get(of, float("-inf"))) < _PROGRESS_SECONDS:
            return False
        if len(self._last) >= _MOST_REMEMBERED:
            self._last.clear()
        self._last[of] = event.at
        return True


def _message(kind: str, body: dict[str, object]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + encode(body) + b"\n\n"
