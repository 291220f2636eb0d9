"""Handles OS events: each adds, moves or drops a candidate, or requests a scan."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING

from watcher.folders.events.observer import EventKind, FileEvent
from watcher.folders.model import Moved
from watcher.folders.rules.filters import IGNORE_FILE, OVERRIDES_FILE
from watcher.logs import get_logger
from watcher.loop import repeat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from watcher.clock import Clock
    from watcher.folders.outbox import Outbox
    from watcher.folders.root import Root

__all__ = ["Dispatcher"]

_log = get_logger("folders")

_SETTINGS_FILES = frozenset({IGNORE_FILE, OVERRIDES_FILE})
_TROUBLES = frozenset({EventKind.OVERFLOW, EventKind.LIMIT, EventKind.LOST})
_FOLDERS = frozenset({EventKind.FOLDER, EventKind.FOLDER_CHANGED, EventKind.FOLDER_MOVED})
_TURN = 256
"""How many events are handled before other tasks may run."""


class Dispatcher:
    """A queue that the observers' threads fill, and the task that empties it.

    Args:
        roots: the watch folders by path; the owner of the mapping keeps it current.
        outbox: receives the moves.
        owner: returns the watch folder that owns a path.
    """

    def __init__(
        self, roots: Mapping[Path, Root], outbox: Outbox, *, owner: Callable[[Path], Root | None], clock: Clock
    ) -> None:
        self._roots = roots
        self._outbox = outbox
        self._owner = owner
        self._clock = clock
        self._inbox: deque[FileEvent] = deque()
        self._lock = threading.Lock()
        self._arrived = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_idle(self) -> bool:
        """Whether all events have been handled."""
        return not self._inbox

    def put(self, event: FileEvent) -> None:
        """Add an event. Called on the observer's threads."""
        with self._lock:  # two observers may call at once; only one of them may wake the loop
            self._inbox.append(event)
            first = len(self._inbox) == 1
        if first and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(self._arrived.set)

    async def run(self) -> None:
        """Handle events until cancelled."""
        self._loop = asyncio.get_running_loop()
        await repeat(self._step, self._arrived)

    async def _step(self) -> None:
        """Handle the events that have arrived."""
        while self._inbox:
            for _ in range(min(_TURN, len(self._inbox))):
                # Removed only after it is handled, so that `is_idle` stays False meanwhile.
                await self._take(self._inbox[0])
                self._inbox.popleft()
            await asyncio.sleep(0)
        self._outbox.notify_progress()

    async def _take(self, event: FileEvent) -> None:
        root = self._owner(event.path)
        if event.kind in _TROUBLES:
            self._trouble(event)
        elif root is None:
            return
        elif event.path.name in _SETTINGS_FILES or (event.old is not None and event.old.name in _SETTINGS_FILES):
            for path in (event.path, event.old or event.path):
                if owner := self._owner(path):
                    owner.overrides.clear()
                    owner.request_scan(path.parent)
        elif event.kind is EventKind.DELETED:
            root.forget(event.path)
            self._outbox.forget(event.path)
        elif event.kind in _FOLDERS:
            self._folder(root, event)
        elif event.kind is EventKind.MOVED and event.old is not None:
            await self._move(root, event.old, event.path, reported_by=event.root)
        else:
            if event.kind in {EventKind.CREATED, EventKind.ARRIVED}:
                root.arrived(event.path)
            self._notice(root, event.path, closed=event.kind in {EventKind.CLOSED, EventKind.ARRIVED})

    def _folder(self, root: Root, event: FileEvent) -> None:
        if event.old is not None and self._owner(event.old) is root and self._enters(root, event.old):
            root.baseline.moved(event.old, event.path)
        elif event.kind is not EventKind.FOLDER_CHANGED:
            root.arrived(event.path)
        root.overrides.clear()
        root.request_scan(event.path)

    @staticmethod
    def _enters(root: Root, folder: Path) -> bool:
        return root.rules.folder_verdict(folder.relative_to(root.path)) is None

    def _trouble(self, event: FileEvent) -> None:
        root = self._roots.get(event.root)
        if root is None:
            return
        if event.kind is EventKind.OVERFLOW:
            _log.warning("too many events at once, some were lost; scanning", folder=str(root.path))
        root.request_scan(attach=event.kind is not EventKind.OVERFLOW)

    async def _move(self, root: Root, old: Path, new: Path, *, reported_by: Path) -> None:
        before = self._owner(old)
        accepted = root.verdict(new).accepted
        if before is root and root.rules.accepts_name(old.relative_to(root.path)):
            root.baseline.moved(old, new)
        else:
            root.arrived(new)
        if before is root and accepted and old in root.queue.candidates:
            root.queue.moved(old, new, self._clock.monotonic())
        else:
            # Whatever had this name is gone: a download's placeholder, or the version that was replaced.
            root.queue.forget(new)
            if before is not None and accepted and before.rules.accepts_name(old.relative_to(before.path)):
                await self._outbox.put_moved(Moved(root.folder, old, new), reported_by)
        if before is not None:
            before.forget(old)
        self._notice(root, new, closed=True)

    def _notice(self, root: Root, path: Path, *, closed: bool) -> None:
        # A candidate was accepted already; the filter is applied again before it is delivered.
        if path not in root.queue.candidates and not root.verdict(path).accepted:
            root.forget(path)
        elif root.notice(path, closed=closed):
            self._outbox.announce(path)
