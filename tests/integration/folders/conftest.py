"""A FolderWatch on real folders, with a ledger that remembers what it was given."""

import asyncio
import contextlib

import pytest

from tests.support import sounds
from tests.support.waiting import reached
from watcher.clock import SystemClock
from watcher.folders import FolderWatch, Moved, Settled, StabilityPolicy
from watcher.models import WatchFolder


def wav(frames=1600):
    """The bytes of a whole wav."""
    return sounds.wav(sounds.silence(frames))


class Desk:
    """Takes what a FolderWatch hands on, as the daemon does, and remembers it."""

    def __init__(self, folders, **options):
        self.items = []
        self.known = set()
        self.hints = []
        self.remembers = True
        options.setdefault("rescan", 300.0)
        options.setdefault("policy", StabilityPolicy(incomplete=3.0))
        options.setdefault("on_candidate", self.hints.append)
        self.watch = FolderWatch(folders, clock=SystemClock(), known=self._known, **options)

    async def _known(self, sightings):
        return [(seen.path, seen.size, seen.mtime_ns) in self.known for seen in sightings]

    async def take(self):
        async for item in self.watch:
            self.items.append(item)
            if isinstance(item, Settled) and self.remembers:
                self.known.add((item.path, item.size, item.mtime_ns))
            elif isinstance(item, Moved):
                for path, size, mtime in [row for row in self.known if row[0] == item.old]:
                    self.known.discard((path, size, mtime))
                    self.known.add((item.new, size, mtime))

    @property
    def settled(self):
        return [item for item in self.items if isinstance(item, Settled)]

    @property
    def moved(self):
        return [(item.old, item.new) for item in self.items if isinstance(item, Moved)]

    def paths(self):
        return sorted(item.path for item in self.settled)

    async def until(self, what, *, seconds=60.0):
        """Wait until `what()` is true."""
        await reached(what, lambda: f"handed on: {self.items[-20:]}, {self.watch.status()}", within=seconds)

    async def until_settled(self, *paths, seconds=60.0):
        await self.until(lambda: set(paths) <= set(self.paths()), seconds=seconds)
        return {item.path: item for item in self.settled}

    async def until_watching(self, how="events"):
        def ready():
            states = self.watch.status()
            return bool(states) and all(state.watching == how and state.last_scan for state in states)

        await self.until(ready)

    async def nothing_left(self):
        """Wait until all that is there was looked at, with a scan of its own; return what is not whole."""
        self.watch.rescan_now()
        return await self.watch.scan_complete()


@pytest.fixture
def desk(tmp_path):
    """Make a running Desk: `async with desk(folder, ...) as d`."""

    @contextlib.asynccontextmanager
    async def start(*folders, **options):
        folders = [f if isinstance(f, WatchFolder) else WatchFolder(f, settle=0.3) for f in folders]
        how = options.pop("how", "events")
        made = Desk(folders, **options)
        tasks = [asyncio.create_task(made.watch.run()), asyncio.create_task(made.take())]
        try:
            if how is not None:
                await made.until_watching(how)
            yield made
        finally:
            tasks[0].cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError), results
        assert results[1] is None, results

    return start


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    return folder
