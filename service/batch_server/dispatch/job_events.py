"""Requests that wait for a job to end, and are answered the moment it does."""

import asyncio
import contextlib
from collections.abc import Iterator


class Waiters:
    """Who waits for which job. Belongs to one event loop."""

    def __init__(self) -> None:
        self._events: dict[str, set[asyncio.Event]] = {}
        self._closed = False

    @contextlib.contextmanager
    def watch(self, job_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set when the job ends.

        Begin to watch before looking whether the job runs, so that its end can't fall in between.
        """
        event = asyncio.Event()
        if self._closed:
            event.set()
        self._events.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            events = self._events[job_id]
            events.discard(event)
            if not events:
                del self._events[job_id]

    def notify(self, job_id: str) -> None:
        """Tell all who wait for a job that it has ended."""
        for event in self._events.get(job_id, ()):
            event.set()

    def close(self) -> None:
        """Wake everybody: the server stops."""
        self._closed = True
        for events in self._events.values():
            for event in events:
                event.set()


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most so long."""
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
