"""Receives OS events for watch folders, through watchdog. Events are only hints; scans are authoritative.

Also reports what watchdog 7 hides: a queue that overflowed (events are lost), a watch limit reached below the root
(part of the tree is not watched), and a root whose watch is gone (unmounted, renamed).
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
    DirAttribEvent,
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
    generate_sub_moved_events,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.observers.api import BaseObserver, ObservedWatch

__all__ = ["EventKind", "EventObserver", "FileEvent", "WatchLimit"]

# watchdog logs overflows; Dropscribe logs them itself.
logging.getLogger("watchdog").addHandler(logging.NullHandler())


class EventKind(enum.Enum):
    """What happened, according to the OS."""

    CREATED = enum.auto()
    CHANGED = enum.auto()
    CLOSED = enum.auto()
    ARRIVED = enum.auto()
    MOVED = enum.auto()
    DELETED = enum.auto()
    FOLDER = enum.auto()
    FOLDER_CHANGED = enum.auto()
    FOLDER_MOVED = enum.auto()
    OVERFLOW = enum.auto()
    LIMIT = enum.auto()
    LOST = enum.auto()


@dataclass(frozen=True, slots=True)
class FileEvent:
    """One OS event.

    Attributes:
        root: the watch folder, as the config names it.
        path: the file or folder; for moves, its new path.
        old: for moves, its previous path.
    """

    kind: EventKind
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


_KINDS: dict[type[FileSystemEvent], EventKind] = {
    FileCreatedEvent: EventKind.CREATED,
    FileModifiedEvent: EventKind.CHANGED,
    FileAttribEvent: EventKind.CHANGED,
    FileClosedEvent: EventKind.CLOSED,
    FileMovedEvent: EventKind.MOVED,
    FileDeletedEvent: EventKind.DELETED,
    DirCreatedEvent: EventKind.FOLDER,
    DirAttribEvent: EventKind.FOLDER_CHANGED,  # it may be readable now
    DirMovedEvent: EventKind.FOLDER_MOVED,
}


class _Handler(FileSystemEventHandler):
    """Turns watchdog's events into `FileEvent`s, with paths as the config names them."""

    def __init__(
        self, root: Path, real: str, on_event: Callable[[FileEvent], None], elsewhere: Callable[[str], Path]
    ) -> None:
        self._root = root
        self._elsewhere = elsewhere
        self._real = real
        self._prefix = real.rstrip(os.sep) + os.sep
        self._on_event = on_event

    def report(self, kind: EventKind) -> None:
        self._on_event(FileEvent(kind, self._root, self._root))

    def dispatch(self, event: FileSystemEvent) -> None:
        source = self._path(event.src_path)
        if isinstance(event, DirDeletedEvent) and source == self._root:
            self.report(EventKind.LOST)
        kind = _KINDS.get(type(event))
        if kind is None:
            return
        if kind in {EventKind.MOVED, EventKind.FOLDER_MOVED}:
            self._on_event(FileEvent(kind, self._root, self._path(event.dest_path), source))
        else:
            self._on_event(FileEvent(kind, self._root, source))

    def arrived(self, path: bytes, old: bytes | None, *, is_folder: bool) -> None:
        """Report a file or folder that was renamed into this root from elsewhere."""
        target = self._path(path)
        if old is None:
            self._on_event(FileEvent(EventKind.FOLDER if is_folder else EventKind.ARRIVED, self._root, target))
        else:
            source = self._elsewhere(os.fsdecode(old))
            self._on_event(
                FileEvent(EventKind.FOLDER_MOVED if is_folder else EventKind.MOVED, self._root, target, source)
            )
            if is_folder:
                for event in generate_sub_moved_events(os.fspath(source), os.fspath(target)):
                    if isinstance(event, FileMovedEvent):
                        below, was = Path(os.fsdecode(event.dest_path)), Path(os.fsdecode(event.src_path))
                        self._on_event(FileEvent(EventKind.MOVED, self._root, below, was))

    def _path(self, raw: bytes | str) -> Path:
        text = os.fsdecode(raw)
        if text.startswith(self._prefix):
            return self._root / text[len(self._prefix) :]
        return self._root if text == self._real else Path(text)


class EventObserver:
    """Watches any number of roots with one observer of the platform.

    Args:
        on_event: called on the observer's threads with every event; must not block.
    """

    def __init__(self, on_event: Callable[[FileEvent], None]) -> None:
        self._on_event = on_event
        self._lock = threading.Lock()
        self._observer: BaseObserver | None = None
        self._watches: dict[Path, ObservedWatch] = {}
        self._reals: dict[Path, str] = {}

    def watch(self, root: Path, *, recursive: bool) -> None:
        """Start watching a root. Blocks while its tree is walked.

        Raises:
            WatchLimit: the user's watches are used up, at the root or below; the root is then not watched.
            OSError: it can't be watched.
        """
        with self._lock:
            self._unwatch(root)
            real = os.path.realpath(root)
            handler = _Handler(root, real, self._on_event, self._as_named)
            try:
                observer = self._running()
                watch = _schedule(observer, handler, real, recursive=recursive)
            except OSError as error:
                if limit := _limit_of(error):
                    raise limit from None
                raise
            self._watches[root] = watch
            self._reals[root] = real

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
        """Stop watching all roots, and end the threads."""
        with self._lock:
            observer, self._observer = self._observer, None
            self._watches.clear()
        if observer is not None and observer.is_alive():
            observer.stop()
            observer.join()

    def _as_named(self, text: str) -> Path:
        """Turn a real path into one below a root as the config names it."""
        for root, real in self._reals.copy().items():
            if text.startswith(real.rstrip(os.sep) + os.sep):
                return root / text[len(real.rstrip(os.sep)) + 1 :]
        return Path(text)

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
    from watcher.folders.events.inotify import InotifyReports, new_observer, reports_of

    def _new_observer() -> BaseObserver:
        return new_observer()

    def _schedule(observer: BaseObserver, handler: _Handler, real: str, *, recursive: bool) -> ObservedWatch:
        watch = observer.schedule(handler, real, recursive=recursive)
        reports = InotifyReports(
            overflow=lambda: handler.report(EventKind.OVERFLOW),
            limit=lambda: handler.report(EventKind.LIMIT),
            lost=lambda: handler.report(EventKind.LOST),
            arrived=handler.arrived,
        )
        if limit := reports_of(observer, watch, reports):
            observer.unschedule(watch)
            raise limit
        return watch

else:
    from watchdog.observers import Observer

    def _new_observer() -> BaseObserver:
        return Observer()

    def _schedule(observer: BaseObserver, handler: _Handler, real: str, *, recursive: bool) -> ObservedWatch:
        return observer.schedule(handler, real, recursive=recursive)
