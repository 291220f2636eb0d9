"""Watches folders without missing a file: OS events are hints, scans are authoritative.

Read `FolderWatch.run` first. Each watch folder has two tasks: one watches and scans it (`watch_task.py`), the other
decides which of its candidates are complete (`settle_task.py`). One more task handles OS events (`events/dispatch.py`).
All of them feed one bounded queue (`outbox.py`), which the caller iterates over.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from watcher.folders.events.dispatch import Dispatcher
from watcher.folders.explain import explain
from watcher.folders.model import Explanation, FolderStatus, Moved, Phase, Settled, Sighting, Watching
from watcher.folders.outbox import Outbox
from watcher.folders.root import Root
from watcher.folders.settle_task import SettleTask
from watcher.folders.stability.decide import StabilityPolicy
from watcher.folders.system import SYSTEM
from watcher.folders.watch_task import WatchTask
from watcher.timings import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from pathlib import Path

    from watcher.clock import Clock
    from watcher.folders.stability.decide import Candidate
    from watcher.folders.system import FolderSystem
    from watcher.models import WatchFolder
    from watcher.timings import FolderTimings

__all__ = ["FolderWatch"]


class FolderWatch:
    """Finds recordings in watch folders and reports each one once it is complete.

    While `run` runs, iterate over it for `Settled` and `Moved` items, in the order in which they happened.

    Args:
        folders: what to watch. Watch folders may be nested; the innermost one owns a file.
        known: returns, for each sighting, whether the ledger already has this path with this size and mtime.
        rescan: seconds between full scans of folders that have OS events.
        is_own_output: returns whether Dropscribe wrote a file. Called only where `include` decides what a recording
            is; elsewhere transcripts are excluded by their extension.
        on_candidate: called when a new candidate is first noticed, e.g. to warm up the engine.
        is_new_root: returns whether a folder has never been watched before.
        policy: how long files must be quiet; each folder's own `settle` takes precedence.
        most_candidates: with this many candidates, a scan pauses while the queue is full, to limit memory.
        system: files, threads and OS events.
    """

    def __init__(
        self,
        folders: Sequence[WatchFolder],
        *,
        clock: Clock,
        known: Callable[[Sequence[Sighting]], Awaitable[Sequence[bool]]],
        rescan: float,
        is_own_output: Callable[[Path], Awaitable[bool]] | None = None,
        on_candidate: Callable[[Path], None] | None = None,
        is_new_root: Callable[[Path], bool] | None = None,
        policy: StabilityPolicy | None = None,
        most_candidates: int = 2000,
        timings: FolderTimings = DEFAULT.folders,
        system: FolderSystem = SYSTEM,
    ) -> None:
        self._clock = clock
        self._rescan = rescan
        self._is_own_output = is_own_output
        self._is_new_root = is_new_root
        self._most_candidates = most_candidates
        self._timings = timings
        self._system = system
        self._policy = policy or StabilityPolicy()
        self._wanted = {folder.path: folder for folder in folders}
        self._roots: dict[Path, Root] = {}
        self._tasks: dict[Path, list[asyncio.Task[None]]] = {}
        self._outbox = Outbox(clock=clock, known=known, on_candidate=on_candidate, timings=timings)
        self._failure: asyncio.Future[None] | None = None
        self._dispatcher = Dispatcher(self._roots, self._outbox, owner=self._owner, clock=clock)
        self._observer = system.new_observer(self._dispatcher.put)
        self._closed = False

    # The public interface.

    async def run(self) -> None:
        """Watch until cancelled, which also ends the iteration."""
        self._failure = asyncio.get_running_loop().create_future()
        listener = self._start(self._dispatcher.run(), "listen")
        try:
            await self._apply_folders()
            await self._failure
        finally:
            await self._stop(listener)

    def __aiter__(self) -> FolderWatch:
        return self

    async def __anext__(self) -> Settled | Moved:
        item = await self._outbox.take()
        if item is None:
            raise StopAsyncIteration
        return item

    async def set_folders(self, folders: Sequence[WatchFolder]) -> None:
        """Replace the watch folders; those that stay are not interrupted."""
        self._wanted = {folder.path: folder for folder in folders}
        if self._failure is not None and not self._closed:
            await self._apply_folders()

    def redeliver(self, path: Path) -> None:
        """Scan now, and deliver the file at `path` again if it exists."""
        self._outbox.redeliver(path)
        self.rescan_now()

    def rescan_now(self) -> None:
        """Scan every folder as soon as possible."""
        for root in self._roots.values():
            root.request_scan()

    def status(self) -> list[FolderStatus]:
        """Return the state of every watch folder."""
        return [root.status() for root in self._roots.values()]

    def pending(self) -> int:
        """Count files in progress: noticed but not settled, or settled but not taken from the queue."""
        candidates = sum(len(root.queue.candidates) for root in self._roots.values())
        return candidates + self._outbox.waiting

    async def explain(self, path: Path) -> Explanation:
        """Explain what happens to a path, and why."""
        root = self._owner(path)
        if root is None:
            why = "It is not in a watch folder."
            return Explanation(path, Phase.NOT_WATCHED, why, fix="Add its folder: dropscribe folders add FOLDER.")
        return await explain(path, root, delivered=path in self._outbox, known=self._outbox.known)

    async def scan_complete(self) -> list[Explanation]:
        """Wait until every folder has been scanned, and all files found there are settled and taken.

        Doesn't wait for folders that are unavailable.

        Returns:
            What was not taken, with the reason: files that took too long, such as one that a program keeps open or
            one whose `.dropscribe.toml` can't be used; and folders that can't be read.
        """
        while not self._is_done():
            await self._outbox.wait_for_progress(0.5)
        left: list[Explanation] = []
        for root in list(self._roots.values()):
            if root.watching is Watching.UNAVAILABLE:
                left.append(Explanation(root.path, Phase.UNAVAILABLE, root.why, folder=root.path, fix=root.fix))
                continue
            files = [await self.explain(path) for path in (*root.queue.candidates, *root.blocked)]
            left += [file for file in files if file.phase in {Phase.SETTLING, Phase.BLOCKED}]
            left += [Explanation(root.path, Phase.NOT_SEEN, why, folder=root.path) for why in root.scan_problems]
        return left

    def baselines(self) -> set[Path]:
        """Return the folders whose first scan is complete and whose preexisting files are all settled and taken.

        Files that have been unsettled for too long don't count.
        """
        if self._outbox.waiting:
            return set()
        return {path for path, root in self._roots.items() if root.first_scan.is_set() and self._has_baseline(root)}

    # Starting and stopping.

    async def _apply_folders(self) -> None:
        """Start and stop the tasks of folders to match the wanted folders."""
        for path in [path for path in self._roots if path not in self._wanted]:
            await self._remove(path)
        for path, folder in self._wanted.items():
            root = self._roots.get(path)
            if root is None:
                self._add(folder)
            elif root.folder != folder:
                root.configure(folder)
                root.request_scan(attach=True)
        for root in self._roots.values():
            # A file may have a different owner now.
            root.request_scan()
            for candidate in list(root.queue.candidates):
                if self._owner(candidate) is not root:
                    root.queue.forget(candidate)

    def _add(self, folder: WatchFolder) -> None:
        is_new = self._is_new_root is not None and self._is_new_root(folder.path)
        root = Root(
            folder, clock=self._clock, policy=self._policy, timings=self._timings, system=self._system, is_new=is_new
        )
        self._roots[folder.path] = root
        watch_task = WatchTask(
            root,
            self._observer,
            self._outbox,
            owner=self._owner,
            rescan=self._rescan,
            most_candidates=self._most_candidates,
            timings=self._timings,
        )
        settle_task = SettleTask(root, self._outbox, self._is_own_output)
        self._tasks[folder.path] = [
            self._start(watch_task.run(), f"keep {folder.path}"),
            self._start(settle_task.run(), f"settle {folder.path}"),
        ]

    async def _remove(self, path: Path) -> None:
        root = self._roots.pop(path)
        await _cancel(self._tasks.pop(path))
        await self._system.in_thread(self._observer.unwatch, path)
        root.close()
        self._outbox.forget_below(path)

    def _start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Start a task. Tasks run until cancelled; if one raises, `run` raises that error."""

        def ended(task: asyncio.Task[None]) -> None:
            failure = self._failure
            if not task.cancelled() and (error := task.exception()) and failure and not failure.done():
                failure.set_exception(error)

        task = asyncio.create_task(work, name=f"folders: {name}")
        task.add_done_callback(ended)
        return task

    async def _stop(self, listener: asyncio.Task[None]) -> None:
        self._closed = True
        await _cancel([listener, *(task for tasks in self._tasks.values() for task in tasks)])
        await self._system.in_thread(self._observer.stop)
        for root in self._roots.values():
            root.close()
        self._outbox.close()

    def _owner(self, path: Path) -> Root | None:
        """Return the innermost watch folder around a path."""
        text = os.fspath(path)
        inside = [root for root in self._roots.values() if text.startswith(root.prefix) or path == root.path]
        return max(inside, key=lambda root: len(root.prefix), default=None)

    def _is_done(self) -> bool:
        """Whether `scan_complete` has nothing left to wait for."""
        if self._closed:
            return True
        if not self._dispatcher.is_idle or self._outbox.waiting or len(self._roots) < len(self._wanted):
            return False
        return all(self._is_root_done(root) for root in self._roots.values())

    def _is_root_done(self, root: Root) -> bool:
        if root.watching is Watching.UNAVAILABLE:
            return True
        if root.busy or root.full_scan_wanted or root.subtrees or not root.first_scan.is_set():
            return False
        return not any(self._is_waited_for(root, candidate) for candidate in root.queue.candidates.values())

    def _has_baseline(self, root: Root) -> bool:
        return not root.busy and not any(
            candidate.preexisting and self._is_waited_for(root, candidate)
            for candidate in root.queue.candidates.values()
        )

    def _is_waited_for(self, root: Root, candidate: Candidate) -> bool:
        return self._clock.monotonic() - candidate.since <= self._policy.incomplete + root.folder.settle + 1


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
