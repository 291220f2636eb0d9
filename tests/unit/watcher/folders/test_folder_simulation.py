"""FolderWatch in one thread, on files in memory and on virtual time: hours pass in milliseconds."""

import asyncio
import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.virtual_time import InlineExecutor, inline, run_virtually
from watcher.folders import FolderWatch, Settled, Watching
from watcher.folders.events.observer import EventKind, FileEvent
from watcher.folders.model import Sighting
from watcher.folders.stability.decide import Observation
from watcher.folders.system import FolderSystem
from watcher.models import WatchFolder

ROOT = Path("/recordings")


@dataclass
class MemoryFile:
    """A file in memory. `has_writer` is what a look at the open files would show."""

    path: str
    size: int = 0
    changed: float = 0.0
    has_writer: bool = False

    @property
    def name(self):
        return Path(self.path).name

    def is_dir(self, *, follow_symlinks):
        assert not follow_symlinks
        return False

    def stat(self, *, follow_symlinks=False):
        assert not follow_symlinks
        changed = int(self.changed * 1e9)
        times = {"st_mtime_ns": changed, "st_ctime_ns": changed, "st_atime_ns": changed}
        return os.stat_result((stat.S_IFREG | 0o644, hash(self.path) & 0xFFFF, 1, 1, 0, 0, self.size, 0, 0, 0), times)


class MemoryFiles:
    """One folder of files. While `mounted` is false, it doesn't exist."""

    def __init__(self, clock):
        self.clock = clock
        self.mounted = True
        self.files = {}

    def write(self, name, size, *, has_writer=False):
        path = ROOT / name
        self.files[path] = MemoryFile(os.fspath(path), size, self.clock.now() + 0.0001, has_writer)

    def identify(self, folder):
        if folder != ROOT or not self.mounted:
            raise FileNotFoundError(2, "no such folder", os.fspath(folder))
        return 1, 1, ()

    def filesystem_of(self, folder):
        return "ext4"

    def list_folder(self, folder):
        self.identify(Path(folder))
        return list(self.files.values())

    def lstat(self, path):
        if path not in self.files:
            raise FileNotFoundError(2, "no such file", os.fspath(path))
        return self.files[path].stat()

    def exists(self, path):
        return path in self.files

    def observe(self, path):
        found = self.files.get(path)
        if found is None:
            return Observation(None)
        return Observation(Sighting.of(path, found.stat()), found.has_writer, complete=True)

    def read_start(self, file, count):
        raise FileNotFoundError(2, "no such file", os.fspath(file))


class MemoryObserver:
    """Passes on the events that a test reports."""

    def __init__(self, on_event):
        self.report = on_event
        self.watched = set()

    def watch(self, root, *, recursive):
        assert recursive
        self.watched.add(root)

    def unwatch(self, root):
        self.watched.discard(root)

    def is_alive(self, root):
        return root in self.watched

    def stop(self):
        self.watched.clear()


class Simulation:
    """A running FolderWatch on memory files."""

    def __init__(self, clock, **settings):
        self.clock = clock
        self.files = MemoryFiles(clock)
        self.known = set()
        self.settled = []
        self.observer = None
        system = FolderSystem(
            files=self.files, new_executor=InlineExecutor, in_thread=inline, new_observer=self._new_observer
        )
        folder = WatchFolder(ROOT, **settings)
        self.watch = FolderWatch([folder], clock=clock, known=self._known, rescan=300.0, system=system)

    def _new_observer(self, on_event):
        self.observer = MemoryObserver(on_event)
        return self.observer

    async def _known(self, sightings):
        return [seen.path in self.known for seen in sightings]

    async def _take(self):
        async for item in self.watch:
            assert isinstance(item, Settled)
            self.known.add(item.path)
            self.settled.append((item.path.name, self.clock.monotonic()))

    async def __aenter__(self):
        self._tasks = [asyncio.create_task(self.watch.run()), asyncio.create_task(self._take())]
        await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, *_):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def test_an_hour_of_recording_settles_once_when_its_writer_closes_it():
    async def work(clock):
        async with Simulation(clock) as it:
            for minute in range(60):
                it.files.write("talk.wav", 1000 * (minute + 1), has_writer=True)
                if minute == 0:
                    it.observer.report(FileEvent(EventKind.CREATED, ROOT, ROOT / "talk.wav"))
                await asyncio.sleep(60)
                assert it.settled == []
            it.files.write("talk.wav", 60_000)
            closed = clock.monotonic()
            it.observer.report(FileEvent(EventKind.CLOSED, ROOT, ROOT / "talk.wav"))
            await asyncio.sleep(600)
            [(name, at)] = it.settled
            return name, at - closed

    threads = threading.active_count()
    (name, waited), seconds = run_virtually(work)
    assert name == "talk.wav"
    assert waited < 130  # a writer that paused for a minute may pause again
    assert seconds > 4200
    assert threading.active_count() == threads


def test_a_file_without_any_event_is_found_by_the_periodic_scan():
    async def work(clock):
        async with Simulation(clock) as it:
            await asyncio.sleep(10)
            it.files.write("missed.wav", 1000)
            await asyncio.sleep(310)
            [(name, at)] = it.settled
            return name, at

    (name, at), _ = run_virtually(work)
    assert name == "missed.wav"
    assert at == pytest.approx(300, abs=5)


def test_a_disk_that_is_away_for_hours_loses_nothing():
    async def work(clock):
        async with Simulation(clock, polling="always") as it:
            it.files.mounted = False
            await asyncio.sleep(2 * 3600)
            assert it.watch.status()[0].watching is Watching.UNAVAILABLE
            it.files.write("later.wav", 1000)
            it.files.mounted = True
            await asyncio.sleep(10)
            return [name for name, _ in it.settled]

    names, seconds = run_virtually(work)
    assert names == ["later.wav"]
    assert seconds > 2 * 3600
