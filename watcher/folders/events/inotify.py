"""Linux: watchdog's inotify classes, extended to report what they hide.

watchdog 7 rebuilds its watches after the kernel's queue overflowed, but doesn't report that events were lost; it
silently skips subfolders that it can't watch for lack of watches or permission; it doesn't notice that the root was
unmounted or renamed; and it can't pair a move between two roots. The classes below report or fix each of these.
"""

from __future__ import annotations

import sys

if sys.platform == "linux":
    import errno
    import os
    from collections import OrderedDict
    from dataclasses import dataclass
    from typing import TYPE_CHECKING, Protocol

    from watchdog.observers.api import BaseObserver
    from watchdog.observers.inotify import InotifyEmitter, InotifyWatchGroup
    from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

    if TYPE_CHECKING:
        from collections.abc import Callable

        from watchdog.observers.api import ObservedWatch

    __all__ = ["InotifyReports", "new_observer", "reports_of"]

    # No IN_MODIFY: an active writer would cause thousands; its close and the stability checks are enough.
    _MASK = Mask(
        InotifyConstants.IN_CREATE
        | InotifyConstants.IN_CLOSE_WRITE
        | InotifyConstants.IN_MOVED_FROM
        | InotifyConstants.IN_MOVED_TO
        | InotifyConstants.IN_DELETE
        | InotifyConstants.IN_DELETE_SELF
        | InotifyConstants.IN_MOVE_SELF
        | InotifyConstants.IN_ATTRIB
        | InotifyConstants.IN_ONLYDIR,
    )
    _MOST_DEPARTED = 4096

    class Arrived(Protocol):
        """Called for a name that appeared by a rename; `old` is None if it came from outside all roots."""

        def __call__(self, path: bytes, old: bytes | None, *, is_folder: bool) -> None: ...

    @dataclass(frozen=True, slots=True)
    class InotifyReports:
        """Callbacks, called on the thread that reads the kernel's queue.

        Attributes:
            overflow: events were lost.
            limit: a subfolder is not watched because the user's watches are used up.
            lost: the root was deleted, unmounted or renamed.
            arrived: something was renamed into the root, and watchdog did not pair the rename.
        """

        overflow: Callable[[], None]
        limit: Callable[[], None]
        lost: Callable[[], None]
        arrived: Arrived

    class _Departures:
        """Renames out of one root that may lead into another, by the cookie that the kernel gives both events."""

        def __init__(self) -> None:
            self._paths: OrderedDict[int, list[tuple[_WatchGroup, bytes]]] = OrderedDict()

        def note(self, cookie: int, group: _WatchGroup, path: bytes) -> None:
            self._paths.setdefault(cookie, []).append((group, path))
            if len(self._paths) > _MOST_DEPARTED:
                self._paths.popitem(last=False)

        def find(self, cookie: int) -> list[tuple[_WatchGroup, bytes]]:
            """Return the roots that it left; several if watch folders are nested."""
            return self._paths.get(cookie, [])

    class _WatchGroup(InotifyWatchGroup):
        """All watches of one root."""

        limit: OSError | None = None
        reports: InotifyReports | None = None

        def on_queue_overflow(self) -> None:
            super().on_queue_overflow()
            if self.reports:
                self.reports.overflow()

        def on_watch_deleted(self, wd: WatchDescriptor) -> None:
            was_root = self._active_callbacks_by_watch.get(wd) == self.path
            super().on_watch_deleted(wd)
            if was_root and self.reports:
                self.reports.lost()

        def on_event(self, event: InotifyEvent) -> None:
            if event.mask & InotifyConstants.IN_MOVE_SELF:
                if self._active_callbacks_by_watch.get(event.wd) == self.path and self.reports:
                    self.reports.lost()
                return
            if event.is_moved_from or event.is_moved_to:
                self._follow(event)
            elif event.mask & InotifyConstants.IN_ATTRIB and event.is_directory:
                self._watch_again(event)
            super().on_event(event)

        def _watch_again(self, event: InotifyEvent) -> None:
            """A folder that could not be watched because it could not be read may be readable now."""
            with self._lock:
                path = self._build_event_source_path(event)
                if self.is_active and self.is_recursive and path and path not in self._active_callbacks_by_path:
                    self._add_all_callbacks(path)

        def _follow(self, event: InotifyEvent) -> None:
            departures = self._inotify_fd.departures if isinstance(self._inotify_fd, _Descriptor) else None
            with self._lock:
                path = self._build_event_source_path(event)
            if path is None or departures is None:
                return
            if event.is_moved_from:
                departures.note(event.cookie, self, path)
                return
            origins = departures.find(event.cookie)
            # watchdog itself pairs renames inside one root.
            if self.reports and all(group is not self for group, _ in origins):
                self.reports.arrived(path, origins[0][1] if origins else None, is_folder=event.is_directory)

        def _add_callback(self, path: bytes) -> None:
            descriptor = self._inotify_fd
            try:
                # Not add_callback: it warns about each folder that it meets twice, which is common in a busy tree.
                with descriptor._lock:  # noqa: SLF001 - see above
                    watch = descriptor._get_or_create_watch(path, self.event_mask)  # noqa: SLF001 - see above
                    if watch.wd < 0:
                        # watchdog's sign for a folder that may not be read; it would keep this as a watch.
                        descriptor._watch_for_wd.pop(watch.wd, None)  # noqa: SLF001 - see above
                        raise OSError(errno.EACCES, os.strerror(errno.EACCES))  # noqa: TRY301 - as all its others
                    watch.callbacks[self._id] = self
            except OSError as error:
                if path == self.path:
                    raise
                if error.errno == errno.ENOSPC:
                    self.limit = error
                    if self.reports:
                        self.reports.limit()
                return
            self._active_callbacks_by_path[path] = watch.wd
            self._active_callbacks_by_watch[watch.wd] = path

        def _remove_watch_internally(self, wd: WatchDescriptor) -> None:
            # The base class fails after a folder was renamed over another: two descriptors, one path.
            path = self._active_callbacks_by_watch.pop(wd, None)
            if path is not None and self._active_callbacks_by_path.get(path) == wd:
                del self._active_callbacks_by_path[path]

    class _Descriptor(InotifyFD):
        """The kernel's queue, with a record of moves between roots."""

        def __init__(self) -> None:
            super().__init__()
            self.departures = _Departures()

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

    class _Observer(BaseObserver):
        """watchdog's InotifyObserver with the classes above in place of its own."""

        def __init__(self) -> None:
            self._inotify_fd = _Descriptor()
            self._inotify_fd.start()
            super().__init__(_Emitter, inotify_fd=self._inotify_fd)

        def on_thread_stop(self) -> None:
            super().on_thread_stop()
            self._inotify_fd.stop()
            self._inotify_fd.join()

    def new_observer() -> BaseObserver:
        """Make an observer, without starting it.

        Raises:
            OSError: EMFILE, if the user's inotify instances are used up.
        """
        return _Observer()

    def reports_of(observer: BaseObserver, watch: ObservedWatch, reports: InotifyReports) -> OSError | None:
        """Set the callbacks of a watch; return the error if it has already reached the watch limit."""
        for emitter in observer.emitters.copy():
            if emitter.watch == watch and isinstance(emitter, _Emitter) and emitter.group is not None:
                emitter.group.reports = reports
                return emitter.group.limit
        return None
