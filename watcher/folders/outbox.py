"""Delivers recordings: a bounded queue, and a record of what was delivered but is not in the ledger yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from watcher.folders.model import Moved, Settled, Sighting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from watcher.clock import Clock
    from watcher.timings import FolderTimings

__all__ = ["Outbox"]

_CAPACITY = 512

Version = tuple[int, int, int]


class Outbox:
    """The queue between the watch folders and the intake.

    Args:
        known: returns, for each sighting, whether the ledger has it.
        on_candidate: called when a new candidate is first noticed.
        timings: how long a delivered file is remembered.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        known: Callable[[Sequence[Sighting]], Awaitable[Sequence[bool]]],
        on_candidate: Callable[[Path], None] | None,
        timings: FolderTimings,
    ) -> None:
        self._clock = clock
        self._timings = timings
        self._ask = known
        self._on_candidate = on_candidate
        self._queue: asyncio.Queue[Settled | Moved | None] = asyncio.Queue(_CAPACITY)
        self._delivered: dict[Path, tuple[Version, float | None]] = {}
        self._moves: dict[tuple[Path, Path], tuple[float, Path]] = {}
        self._progress = asyncio.Event()

    def __contains__(self, path: object) -> bool:
        """Whether a path was delivered recently."""
        return path in self._delivered

    @property
    def waiting(self) -> int:
        """How many items have not been taken yet."""
        return self._queue.qsize()

    @property
    def is_full(self) -> bool:
        """Whether the consumer has fallen behind."""
        return self._queue.full()

    async def known(self, sightings: Sequence[Sighting]) -> Sequence[bool]:
        """Query the ledger; what it has needs no record here."""
        known = await self._ask(sightings)
        for sighting, is_known in zip(sightings, known, strict=True):
            if is_known:
                self._delivered.pop(sighting.path, None)
        return known

    def is_new(self, sighting: Sighting) -> bool:
        """Whether this version of a file has not just been delivered."""
        delivered = self._delivered.get(sighting.path)
        if delivered is None or delivered[0] != sighting.version:
            return True
        return delivered[1] is not None and self._clock.monotonic() - delivered[1] > self._timings.redeliver_after

    def announce(self, path: Path) -> None:
        """Report that a candidate was first noticed."""
        if self._on_candidate is not None and path not in self._delivered:
            self._on_candidate(path)

    async def put_settled(self, item: Settled) -> None:
        """Deliver a recording; waits while the queue is full."""
        self._delivered[item.path] = (item.size, item.mtime_ns, item.inode), None
        await self._queue.put(item)

    async def put_moved(self, item: Moved, reported_by: Path) -> None:
        """Deliver a move, once: both watch folders report a move from one to the other.

        Args:
            item: the move, with its paths before and after.
            reported_by: the watch folder whose OS events reported it.
        """
        now = self._clock.monotonic()
        self._moves = {move: (at, by) for move, (at, by) in self._moves.items() if now - at < self._timings.same_move}
        _, first = self._moves.get((item.old, item.new), (now, reported_by))
        if first == reported_by:
            self._moves[item.old, item.new] = now, reported_by
            self._moves.pop((item.new, item.old), None)
            self._delivered.pop(item.old, None)
            await self._queue.put(item)

    async def take(self) -> Settled | Moved | None:
        """Return the next item, or None once closed."""
        item = await self._queue.get()
        if item is None:
            self._queue.put_nowait(None)
        elif isinstance(item, Settled):
            self._delivered[item.path] = (item.size, item.mtime_ns, item.inode), self._clock.monotonic()
        self.notify_progress()
        return item

    def close(self) -> None:
        """Close the queue and drop what was not taken; the scan at the next start finds it again."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)
        self.notify_progress()

    def forget(self, path: Path) -> None:
        """Forget a file that is gone: if it comes back, it is new, even with the same content."""
        if self._delivered.get(path, (None, None))[1] is not None:
            del self._delivered[path]

    def redeliver(self, path: Path) -> None:
        """Let the next scan deliver a file again, even if it has not changed."""
        self._delivered.pop(path, None)

    def forget_below(self, folder: Path) -> None:
        """Forget the files in a folder that is no longer watched."""
        for path in [path for path in self._delivered if path.is_relative_to(folder)]:
            del self._delivered[path]

    def forget_old(self) -> None:
        """Forget files that were taken long ago; scans query the ledger for them anyway."""
        now = self._clock.monotonic()
        old = [
            path
            for path, (_, at) in self._delivered.items()
            if at is not None and now - at > self._timings.redeliver_after
        ]
        for path in old:
            del self._delivered[path]

    def notify_progress(self) -> None:
        """Wake the callers of `wait_for_progress`."""
        progress, self._progress = self._progress, asyncio.Event()
        progress.set()

    async def wait_for_progress(self, timeout: float) -> None:  # noqa: ASYNC109 - reaching the timeout is not an error
        """Wait until something progresses, for at most `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._progress.wait()
        except TimeoutError:
            return
