"""Takes what the OS says: each hint makes a candidate, moves or forgets one, or asks for a scan."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING

from watcher.folders.events.observer import Hint, HintKind
from watcher.folders.model import Moved
from watcher.folders.rules.filters import IGNORE_FILE, OVERRIDES_FILE
from watcher.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from watcher.clock import Clock
    from watcher.folders.outbox import Delivery
    from watcher.folders.root import Root

__all__ = ["Hearing"]

_log = get_logger("folders")

_MARKS = frozenset({IGNORE_FILE, OVERRIDES_FILE})
_TROUBLES = frozenset({HintKind.OVERFLOW, HintKind.LIMIT, HintKind.LOST})
_FOLDERS = frozenset({HintKind.FOLDER, HintKind.FOLDER_CHANGED, HintKind.FOLDER_MOVED})
_TURN = 256
"""Hints that are taken before others get their turn."""


class Hearing:
    """The inbox of the observers' threads, and the task that empties it.

    Args:
        roots: the watch folders by path, as they are at any time.
        delivery: where moves go.
        owner: says which watch folder a path belongs to.
        clock: the time.
    """

    def __init__(
        self, roots: Mapping[Path, Root], delivery: Delivery, *, owner: Callable[[Path], Root | None], clock: Clock
    ) -> None:
        self._roots = roots
        self._delivery = delivery
        self._owner = owner
        self._clock = clock
        self._inbox: deque[Hint] = deque()
        self._lock = threading.Lock()
        self._arrived = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_idle(self) -> bool:
        """Whether all that was heard is dealt with."""
        return not self._inbox

    def hear(self, hint: Hint) -> None:
        """Take a hint on one of the observer's threads."""
        with self._lock:  # observers of two kinds may run: one of two hints at once must be the first
            self._inbox.append(hint)
            first = len(self._inbox) == 1
        if first and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed just now
                self._loop.call_soon_threadsafe(self._arrived.set)

    async def run(self) -> None:
        """Take hints, for ever."""
        self._loop = asyncio.get_running_loop()
        if self._inbox:
            self._arrived.set()
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
