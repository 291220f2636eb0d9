"""Watches folders so that nothing is missed: OS events are hints, scans are the truth.

Read `FolderWatch.run` first. For every watch folder one task keeps it watched and scanned (`keeper.py`) and
another settles its candidates (`settling.py`); one more takes what the OS says (`_listen` here). All of them
feed one bounded queue (`delivery.py`), which the owner iterates over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from typing import TYPE_CHECKING

from watcher.folders.delivery import Delivery
from watcher.folders.explain import explain
from watcher.folders.filters import IGNORE_FILE, OVERRIDES_FILE
from watcher.folders.keeper import Keeper
from watcher.folders.observer import Hint, HintKind, Watcher
from watcher.folders.root import Root
from watcher.folders.settle import Patience
from watcher.folders.settling import Settling
from watcher.folders.sightings import Explanation, FolderStatus, Moved, Phase, Settled, Sighting, Watching
from watcher.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from pathlib import Path

    from watcher.clock import Clock
    from watcher.folders.settle import Candidate
    from watcher.models import WatchFolder

__all__ = ["FolderWatch"]

_log = get_logger("folders")

_MARKS = frozenset({IGNORE_FILE, OVERRIDES_FILE})
_TROUBLES = frozenset({HintKind.OVERFLOW, HintKind.LIMIT, HintKind.LOST})
_FOLDERS = frozenset({HintKind.FOLDER, HintKind.FOLDER_CHANGED, HintKind.FOLDER_MOVED})
_TURN = 256
"""Hints that are taken before others get their turn."""


class FolderWatch:
    """Finds recordings in watch folders and says when each is whole.

    Iterate over it for `Settled` and `Moved`, in the order in which they happened, while `run` runs.

    Args:
        folders: what to watch. A folder inside another is its own; the innermost owns a file.
        clock: the time.
        known: says for each sighting whether the ledger already has this path with this size and mtime.
        rescan: seconds between reconciling scans of folders that have events.
        own_outputs: says whether a file is one that Dropscribe wrote; asked only of files that just `include`
            makes recordings, since transcripts are never recordings.
        hint: called at the very first sign of a new candidate, e.g. to warm up the engine.
        new_roots: says whether a folder was never watched before.
        poll: seconds between scans of a polled folder, at least.
        patience: how long files must be quiet; its `settle` is overruled by each folder's own.
    """

    def __init__(
        self,
        folders: Sequence[WatchFolder],
        *,
        clock: Clock,
        known: Callable[[Sequence[Sighting]], Awaitable[Sequence[bool]]],
        rescan: float,
        own_outputs: Callable[[Path], Awaitable[bool]] | None = None,
        hint: Callable[[Path], None] | None = None,
        new_roots: Callable[[Path], bool] | None = None,
        poll: float = 2.0,
        patience: Patience | None = None,
    ) -> None:
        self._clock = clock
        self._rescan = rescan
        self._own_outputs = own_outputs
        self._new_roots = new_roots
        self._poll = poll
        self._patience = patience or Patience()
        self._wanted = {folder.path: folder for folder in folders}
        self._roots: dict[Path, Root] = {}
        self._tasks: dict[Path, list[asyncio.Task[None]]] = {}
        self._delivery = Delivery(clock=clock, known=known, hint=hint)
        self._inbox: deque[Hint] = deque()
        self._hearing = threading.Lock()
        self._arrived = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: asyncio.Future[None] | None = None
        self._watcher = Watcher(self._hear)
        self._closed = False

    # What its owner uses.

    async def run(self) -> None:
        """Watch until cancelled. The iteration ends with it."""
        self._loop = asyncio.get_running_loop()
        self._failure = self._loop.create_future()
        listener = self._start(self._listen(), "listen")
        try:
            await self._arrange()
            await self._failure
        finally:
            await self._stop(listener)

    def __aiter__(self) -> FolderWatch:
        return self

    async def __anext__(self) -> Settled | Moved:
        item = await self._delivery.take()
        if item is None:
            raise StopAsyncIteration
        return item

    async def set_folders(self, folders: Sequence[WatchFolder]) -> None:
        """Watch these from now on; what stays is not interrupted."""
        self._wanted = {folder.path: folder for folder in folders}
        if self._loop is not None and not self._closed:
            await self._arrange()

    def rescan_now(self) -> None:
        """Scan every folder anew, as soon as possible."""
        for root in self._roots.values():
            root.want_scan()

    def status(self) -> list[FolderStatus]:
        """Say how every folder is watched."""
        return [root.status() for root in self._roots.values()]

    def pending(self) -> int:
        """How many files are on their way: noticed but not settled, or settled but not taken."""
        candidates = sum(len(root.settler.candidates) for root in self._roots.values())
        return candidates + self._delivery.waiting

    async def explain(self, path: Path) -> Explanation:
        """Say why a path is, or isn't, on its way."""
        root = self._owner(path)
        if root is None:
            why = "It is in no watched folder."
            return Explanation(path, Phase.NOT_WATCHED, why, fix="Add its folder: dropscribe folders add FOLDER.")
        return await explain(path, root, delivered=path in self._delivery, known=self._delivery.known)

    async def scan_complete(self) -> list[Explanation]:
        """Wait until every folder was scanned, and all that was found is settled and taken.

        Folders that aren't there are not waited for.

        Returns:
            The files that are not whole and are not waited for any longer: one that a program keeps open, or
            one whose `.dropscribe.toml` can't be used.
        """
        while not self._is_done():
            await self._delivery.progress(0.5)
        left = [path for root in self._roots.values() for path in (*root.settler.candidates, *root.blocked)]
        return [await self.explain(path) for path in left]

    def baselines(self) -> set[Path]:
        """Return the folders whose first scan is over, with all settled and taken that was there before.

        What stays unsettled for longer than files are waited for is left out of account.
        """
        if self._delivery.waiting:
            return set()
        return {path for path, root in self._roots.items() if root.first_scan.is_set() and self._has_baseline(root)}

    # Starting and stopping.

    async def _arrange(self) -> None:
        """Start and stop the tasks of folders until they are those that are wanted."""
        for path in [path for path in self._roots if path not in self._wanted]:
            await self._remove(path)
        for path, folder in self._wanted.items():
            root = self._roots.get(path)
            if root is None:
                self._add(folder)
            elif root.folder != folder:
                root.configure(folder)
                root.want_scan(attach=True)
        for root in self._roots.values():
            # Who owns what may have changed.
            root.want_scan()
            for candidate in list(root.settler.candidates):
                if self._owner(candidate) is not root:
                    root.settler.forget(candidate)

    def _add(self, folder: WatchFolder) -> None:
        is_new = self._new_roots is not None and self._new_roots(folder.path)
        root = Root(folder, clock=self._clock, patience=self._patience, is_new=is_new)
        self._roots[folder.path] = root
        keeper = Keeper(root, self._watcher, self._delivery, owner=self._owner, rescan=self._rescan, poll=self._poll)
        settling = Settling(root, self._delivery, self._own_outputs)
        self._tasks[folder.path] = [
            self._start(keeper.run(), f"keep {folder.path}"),
            self._start(settling.run(), f"settle {folder.path}"),
        ]

    async def _remove(self, path: Path) -> None:
        root = self._roots.pop(path)
        await _cancel(self._tasks.pop(path))
        await asyncio.to_thread(self._watcher.unwatch, path)
        root.close()
        self._delivery.forget_below(path)

    def _start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Start a task. None ends by itself: an error in one ends `run` with that error."""

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
        await asyncio.to_thread(self._watcher.stop)
        for root in self._roots.values():
            root.close()
        self._delivery.close()

    # What the OS says.

    def _hear(self, hint: Hint) -> None:
        """Take a hint on one of the observer's threads."""
        with self._hearing:  # observers of two kinds may run: one of two hints at once must be the first
            self._inbox.append(hint)
            first = len(self._inbox) == 1
        if first and self._loop is not None and not self._closed:
            with contextlib.suppress(RuntimeError):  # the loop was closed just now
                self._loop.call_soon_threadsafe(self._arrived.set)

    async def _listen(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._inbox:
                for _ in range(min(_TURN, len(self._inbox))):
                    # Taken off only afterwards: as long as it is there, nobody is done.
                    await self._take(self._inbox[0])
                    self._inbox.popleft()
                await asyncio.sleep(0)
            self._delivery.progressed()

    async def _take(self, hint: Hint) -> None:
        root = self._owner(hint.path)
        if hint.kind in _TROUBLES:
            self._trouble(hint)
        elif root is None:
            return
        elif hint.path.name in _MARKS or (hint.old is not None and hint.old.name in _MARKS):
            for path in (hint.path, hint.old or hint.path):
                if owner := self._owner(path):
                    owner.marks.clear()
                    owner.want_scan(path.parent)
        elif hint.kind is HintKind.DELETED:
            root.forget(hint.path)
            self._delivery.forget(hint.path)
        elif hint.kind in _FOLDERS:
            self._folder(root, hint)
        elif hint.kind is HintKind.MOVED and hint.old is not None:
            await self._move(root, hint.old, hint.path, heard_by=hint.root)
        else:
            if hint.kind in {HintKind.CREATED, HintKind.ARRIVED}:
                root.arrived(hint.path)
            self._notice(root, hint.path, closed=hint.kind in {HintKind.CLOSED, HintKind.ARRIVED})

    def _folder(self, root: Root, hint: Hint) -> None:
        if hint.old is not None and self._owner(hint.old) is root and self._enters(root, hint.old):
            root.baseline.moved(hint.old, hint.path)
        elif hint.kind is not HintKind.FOLDER_CHANGED:
            root.arrived(hint.path)
        root.marks.clear()
        root.want_scan(hint.path)

    @staticmethod
    def _enters(root: Root, folder: Path) -> bool:
        return root.rules.enters(folder.relative_to(root.path)) is None

    def _trouble(self, hint: Hint) -> None:
        root = self._roots.get(hint.root)
        if root is None:
            return
        if hint.kind is HintKind.OVERFLOW:
            _log.warning("too many events at once, some were lost; scanning", folder=str(root.path))
        root.want_scan(attach=hint.kind is not HintKind.OVERFLOW)

    async def _move(self, root: Root, old: Path, new: Path, *, heard_by: Path) -> None:
        before = self._owner(old)
        accepted = root.verdict(new).accepted
        if before is root and root.rules.accepts_name(old.relative_to(root.path)):
            root.baseline.moved(old, new)
        else:
            root.arrived(new)
        if before is root and accepted and old in root.settler.candidates:
            root.settler.moved(old, new, self._clock.monotonic())
        else:
            # What had this name is gone: a download's placeholder, or the version that is replaced.
            root.settler.forget(new)
            if before is not None and accepted and before.rules.accepts_name(old.relative_to(before.path)):
                await self._delivery.moved(Moved(root.folder, old, new), heard_by)
        if before is not None:
            before.forget(old)
        self._notice(root, new, closed=True)

    def _notice(self, root: Root, path: Path, *, closed: bool) -> None:
        # A candidate was accepted already; it is asked once more before it is handed on.
        if path not in root.settler.candidates and not root.verdict(path).accepted:
            root.forget(path)
        elif root.notice(path, closed=closed):
            self._delivery.hint(path)

    def _owner(self, path: Path) -> Root | None:
        """Return the innermost watch folder around a path."""
        text = os.fspath(path)
        inside = [root for root in self._roots.values() if text.startswith(root.prefix) or path == root.path]
        return max(inside, key=lambda root: len(root.prefix), default=None)

    def _is_done(self) -> bool:
        """Whether there is nothing left to wait for."""
        if self._closed:
            return True
        if self._inbox or self._delivery.waiting or len(self._roots) < len(self._wanted):
            return False
        return all(self._is_root_done(root) for root in self._roots.values())

    def _is_root_done(self, root: Root) -> bool:
        if root.watching is Watching.UNAVAILABLE:
            return True
        if root.in_hand or root.full_scan_wanted or root.subtrees or not root.first_scan.is_set():
            return False
        return not any(self._is_waited_for(root, candidate) for candidate in root.settler.candidates.values())

    def _has_baseline(self, root: Root) -> bool:
        return not root.in_hand and not any(
            candidate.existing and self._is_waited_for(root, candidate)
            for candidate in root.settler.candidates.values()
        )

    def _is_waited_for(self, root: Root, candidate: Candidate) -> bool:
        return self._clock.monotonic() - candidate.since <= self._patience.incomplete + root.folder.settle + 1


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
