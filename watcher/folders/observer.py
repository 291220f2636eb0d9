"""Hears from the OS, through watchdog, that something happened in a watch folder. Only ever a hint.

What watchdog 7 keeps to itself is passed on here: a queue that overflowed (events are lost), a watch limit
that was reached below the root (part of the tree is deaf), and a root whose watch is gone (unmounted, renamed).
"""

from __future__ import annotations

import enum
import errno
import logging
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.observers.api import BaseObserver, ObservedWatch

__all__ = ["Hint", "HintKind", "WatchLimit", "Watcher"]

# watchdog tells of overflows through logging; Dropscribe says it in its own words.
logging.getLogger("watchdog").addHandler(logging.NullHandler())


class HintKind(enum.Enum):
    """What the OS said."""

    CREATED = enum.auto()
    CHANGED = enum.auto()
    CLOSED = enum.auto()
    MOVED = enum.auto()
    DELETED = enum.auto()
    FOLDER = enum.auto()
    FOLDER_MOVED = enum.auto()
    OVERFLOW = enum.auto()
    LIMIT = enum.auto()
    LOST = enum.auto()


@dataclass(frozen=True, slots=True)
class Hint:
    """One thing that the OS said.

    Attributes:
        kind: what happened.
        root: the watch folder, as the config names it.
        path: what it happened to; for moves the new place.
        old: for moves: the place before.
    """

    kind: HintKind
    root: Path
    path: Path
    old: Path | None = None


class WatchLimit(OSError):
    """The user's inotify watches or instances are used up.

    Attributes:
        fix: the command that raises the limit.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(errno.ENOSPC, what)
        self.fix = fix


_KINDS: dict[type[FileSystemEvent], HintKind] = {
    FileCreatedEvent: HintKind.CREATED,
    FileModifiedEvent: HintKind.CHANGED,
    FileAttribEvent: HintKind.CHANGED,
    FileClosedEvent: HintKind.CLOSED,
    FileMovedEvent: HintKind.MOVED,
    FileDeletedEvent: HintKind.DELETED,
    DirCreatedEvent: HintKind.FOLDER,
    DirMovedEvent: HintKind.FOLDER_MOVED,
}


class _Handler(FileSystemEventHandler):
    """Turns watchdog's events into hints, with paths as the config names them."""

    def __init__(self, root: Path, real: str, tell: Callable[[Hint], None]) -> None:
        self._root = root
        self._real = real
        self._prefix = real.rstrip(os.sep) + os.sep
        self._tell = tell

    def hint(self, kind: HintKind) -> None:
        self._tell(Hint(kind, self._root, self._root))

    def dispatch(self, event: FileSystemEvent) -> None:
        source = self._path(event.src_path)
        if isinstance(event, DirDeletedEvent) and source == self._root:
            self.hint(HintKind.LOST)
        kind = _KINDS.get(type(event))
        if kind is None:
            return
        if kind in {HintKind.MOVED, HintKind.FOLDER_MOVED}:
            self._tell(Hint(kind, self._root, self._path(event.dest_path), source))
        else:
            self._tell(Hint(kind, self._root, source))

    def _path(self, raw: bytes | str) -> Path:
        text = os.fsdecode(raw)
        if text.startswith(self._prefix):
            return self._root / text[len(self._prefix) :]
        return self._root if text == self._real else Path(text)


class Watcher:
    """Watches any number of roots with one observer of the platform.

    Args:
        tell: called on the observer's threads with every hint; must not block.
    """

    def __init__(self, tell: Callable[[Hint], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._observer: BaseObserver | None = None
        self._watches: dict[Path, ObservedWatch] = {}

    def watch(self, root: Path, *, recursive: bool) -> None:
        """Watch a root from now on. Blocks while its tree is walked.

        Raises:
            WatchLimit: the user's watches are used up, at the root or below; the root is then not watched.
            OSError: it can't be watched.
        """
        with self._lock:
            self._unwatch(root)
            real = os.path.realpath(root)
            handler = _Handler(root, real, self._tell)
            try:
                observer = self._running()
                watch = _schedule(observer, handler, real, recursive=recursive)
            except OSError as error:
                if limit := _limit_of(error):
                    raise limit from None
                raise
            self._watches[root] = watch

    def unwatch(self, root: Path) -> None:
        """Stop watching a root."""
        with self._lock:
            self._unwatch(root)

    def is_alive(self, root: Path) -> bool:
        """Whether the threads that watch a root still run."""
        observer, watch = self._observer, self._watches.get(root)
        if observer is None or watch is None or not observer.is_alive():
            return False
        descriptor = getattr(observer, "_inotify_fd", None)
        if descriptor is not None and not descriptor.is_alive():
            return False
        return any(emitter.watch == watch and emitter.is_alive() for emitter in observer.emitters.copy())

    def stop(self) -> None:
        """Stop watching, and end the threads."""
        with self._lock:
            observer, self._observer = self._observer, None
            self._watches.clear()
        if observer is not None and observer.is_alive():
            observer.stop()
            observer.join()

    def _running(self) -> BaseObserver:
        if self._observer is not None and not self._healthy(self._observer):
            self._observer.stop()
            self._observer = None
        if self._observer is None:
            self._observer = _new_observer()
            self._observer.start()
        return self._observer

    @staticmethod
    def _healthy(observer: BaseObserver) -> bool:
        descriptor = getattr(observer, "_inotify_fd", None)
        return observer.is_alive() and (descriptor is None or descriptor.is_alive())

    def _unwatch(self, root: Path) -> None:
        watch = self._watches.pop(root, None)
        if watch is not None and self._observer is not None:
            try:
                self._observer.unschedule(watch)
            except (KeyError, OSError):
                return  # its emitter had already ended


def _limit_of(error: OSError) -> WatchLimit | None:
    if isinstance(error, WatchLimit):
        return error
    if error.errno == errno.ENOSPC:
        return WatchLimit(
            "The limit of folders that the system watches for this user (fs.inotify.max_user_watches) is reached",
            _sysctl("max_user_watches", 524_288),
        )
    if error.errno == errno.EMFILE:
        return WatchLimit(
            "The limit of programs that watch folders for this user (fs.inotify.max_user_instances) is reached",
            _sysctl("max_user_instances", 512),
        )
    return None


def _sysctl(name: str, enough: int) -> str:
    try:
        now = int(Path("/proc/sys/fs/inotify", name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        now = 0
    wanted = max(enough, 2 * now)
    return f"Raise it: sudo sysctl fs.inotify.{name}={wanted}"


if sys.platform == "linux":
    from watchdog.observers.inotify import InotifyEmitter, InotifyObserver, InotifyWatchGroup
    from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, Mask, WatchDescriptor

    # No IN_MODIFY: a writer at work would send thousands; its close and the settling say what matters.
    _MASK = Mask(
        InotifyConstants.IN_CREATE
        | InotifyConstants.IN_CLOSE_WRITE
        | InotifyConstants.IN_MOVED_FROM
        | InotifyConstants.IN_MOVED_TO
        | InotifyConstants.IN_DELETE
        | InotifyConstants.IN_DELETE_SELF
        | InotifyConstants.IN_MOVE_SELF
        | InotifyConstants.IN_ATTRIB
        | InotifyConstants.IN_ONLYDIR
    )

    class _WatchGroup(InotifyWatchGroup):
        """All watches of one root, telling what InotifyWatchGroup keeps to itself."""

        limit: OSError | None = None
        said: Callable[[HintKind], None] | None = None

        def on_queue_overflow(self) -> None:
            super().on_queue_overflow()
            self._say(HintKind.OVERFLOW)

        def on_watch_deleted(self, wd: WatchDescriptor) -> None:
            was_root = self._active_callbacks_by_watch.get(wd) == self.path
            if wd in self._active_callbacks_by_watch:
                super().on_watch_deleted(wd)
            if was_root:
                self._say(HintKind.LOST)

        def on_event(self, event: InotifyEvent) -> None:
            if event.mask & InotifyConstants.IN_MOVE_SELF:
                if self._active_callbacks_by_watch.get(event.wd) == self.path:
                    self._say(HintKind.LOST)
                return
            super().on_event(event)

        def _add_callback(self, path: bytes) -> None:
            descriptor = self._inotify_fd
            try:
                # Not add_callback: it warns when a folder is met twice, which a busy tree does all the time.
                with descriptor._lock:  # noqa: SLF001 - see above
                    watch = descriptor._get_or_create_watch(path, self.event_mask)  # noqa: SLF001 - see above
                    watch.callbacks[self._id] = self
            except OSError as error:
                if path == self.path:
                    raise
                if error.errno == errno.ENOSPC:
                    self.limit = error
                    self._say(HintKind.LIMIT)
                return
            self._active_callbacks_by_path[path] = watch.wd
            self._active_callbacks_by_watch[watch.wd] = path

        def _remove_watch_internally(self, wd: WatchDescriptor) -> None:
            # The base class stumbles when a folder was renamed over another: two descriptors, one path.
            path = self._active_callbacks_by_watch.pop(wd, None)
            if path is not None and self._active_callbacks_by_path.get(path) == wd:
                del self._active_callbacks_by_path[path]

        def _say(self, kind: HintKind) -> None:
            if self.said is not None:
                self.said(kind)

    class _Emitter(InotifyEmitter):
        """Reads the events that Dropscribe needs, and no others."""

        @property
        def group(self) -> _WatchGroup | None:
            group = self._inotify
            return group if isinstance(group, _WatchGroup) else None

        def on_thread_start(self) -> None:
            self._inotify = _WatchGroup(
                self._inotify_fd,
                os.fsencode(self.watch.path),
                is_recursive=self.watch.is_recursive,
                event_mask=_MASK,
            )

    class _Observer(InotifyObserver):
        def __init__(self) -> None:
            super().__init__()
            self._emitter_class = _Emitter

    def _new_observer() -> BaseObserver:
        return _Observer()

    def _schedule(observer: BaseObserver, handler: _Handler, real: str, *, recursive: bool) -> ObservedWatch:
        watch = observer.schedule(handler, real, recursive=recursive)
        for emitter in observer.emitters.copy():
            if emitter.watch != watch or not isinstance(emitter, _Emitter) or (group := emitter.group) is None:
                continue
            group.said = handler.hint
            if group.limit is not None:
                observer.unschedule(watch)
                raise group.limit
        return watch

else:

    def _new_observer() -> BaseObserver:
        return Observer()

    def _schedule(observer: BaseObserver, handler: _Handler, real: str, *, recursive: bool) -> ObservedWatch:
        return observer.schedule(handler, real, recursive=recursive)
