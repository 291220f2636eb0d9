"""Wakes requests that wait for a job as soon as the job ends."""

import asyncio
import contextlib
from collections.abc import Iterator


class JobEvents:
    """Which requests wait for which job. Belongs to one event loop."""

    def __init__(self) -> None:
        self._events: dict[str, set[asyncio.Event]] = {}
        self._closed = False

    @contextlib.contextmanager
    def watch(self, job_id: str) -> Iterator[asyncio.Event]:
        """Return an event that is set when the job ends.

        Start to watch before you check whether the job runs; otherwise it may end in between.
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

    def ended(self, job_id: str) -> None:
        """Wake every request that waits for a job."""
        for event in self._events.get(job_id, ()):
            event.set()

    def close(self) -> None:
        """Wake every request, because the server stops."""
        self._closed = True
        for events in self._events.values():
            for event in events:
                event.set()


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait until an event is set, at most for so many seconds."""
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
