"""Watches and scans one watch folder: attach, scan, wait, check that it is still the same folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.folders.events.observer import WatchLimit
from watcher.folders.model import Watching
from watcher.folders.scan import Scan
from watcher.logs import get_logger
from watcher.loop import repeat

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watcher.folders.model import Sighting
    from watcher.folders.outbox import Outbox
    from watcher.folders.root import Root
    from watcher.folders.system import Observer
    from watcher.timings import FolderTimings

__all__ = ["WatchTask"]

_log = get_logger("folders")

_POLL_SHARE = 50.0
"""Between scans, a polled folder waits this many times as long as its scan took: at most 2 % of a core."""
_MOST_PROBLEMS = 20


class WatchTask:
    """The task that watches and scans one watch folder.

    Args:
        outbox: knows what was delivered, and queries the ledger.
        owner: returns the watch folder that owns a path.
        rescan: seconds between scans of a folder that has OS events.
        most_candidates: with this many candidates, a scan pauses while the queue is full, to limit memory.
    """

    def __init__(
        self,
        root: Root,
        observer: Observer,
        outbox: Outbox,
        *,
        owner: Callable[[Path], Root | None],
        rescan: float,
        most_candidates: int,
        timings: FolderTimings,
    ) -> None:
        self._root = root
        self._observer = observer
        self._outbox = outbox
        self._owner = owner
        self._rescan = rescan
        self._most_candidates = most_candidates
        self._timings = timings
        self._next_scan = 0.0
        self._next_watch = 0.0
        self._logged_problems: set[str] = set()
        """Problems with `.dropscribe.toml` files that were logged already."""

    async def run(self) -> None:
        """Watch the folder until cancelled."""
        await repeat(self._step, self._root.wake)

    async def _step(self) -> float:
        """Attach and scan as needed; return the seconds until the next check of the root or the next scan."""
        root = self._root
        if not root.attach_wanted and not await self._is_unchanged():
            root.attach_wanted = True
        now = root.clock.monotonic()
        limited = root.watching is Watching.POLLING and bool(root.fix) and now >= self._next_watch
        if root.attach_wanted or limited:
            root.attach_wanted = False
            if not await self._attach():
                root.attach_wanted = True
                return self._timings.root_check / 2
            self._next_watch = root.clock.monotonic() + self._timings.watch_retry
            root.full_scan_wanted = True
        if root.full_scan_wanted or now >= self._next_scan:
            await self._scan(periodic=not root.full_scan_wanted)
        elif root.subtrees:
            await self._scan_parts()
        self._outbox.notify_progress()
        return min(self._timings.root_check, max(0.0, self._next_scan - root.clock.monotonic()))

    async def _is_unchanged(self) -> bool:
        root = self._root
        try:
            same = await root.run(root.identify) == root.identity
        except OSError:
            return False
        return same and (root.watching is not Watching.EVENTS or self._observer.is_alive(root.path))

    async def _attach(self) -> bool:
        """Watch the folder; return False if it is unavailable."""
        root = self._root
        try:
            root.identity = await root.run(root.identify)
        except OSError as error:
            self._set_unavailable(error)
            return False
        await self._watch()
        return True

    async def _watch(self) -> None:
        """Use OS events if possible, else polling."""
        root = self._root
        root.overrides.clear()
        root.baseline.begin(root.clock.now())
        polling, why = await root.run(root.detect_polling)
        if polling:
            await root.run(self._observer.unwatch, root.path)
            root.set_watching(Watching.POLLING, why)
            return
        try:
            await root.run(self._observer.watch, root.path, recursive=root.folder.recursive)
        except WatchLimit as limit:
            root.set_watching(Watching.POLLING, f"{limit.strerror}.", limit.fix)
        except OSError as error:
            root.set_watching(Watching.POLLING, f"The system can't watch it: {error.strerror or error}.")
        else:
            root.set_watching(Watching.EVENTS)
            return
        _log.warning("polling instead of using OS events", folder=str(root.path), why=root.why, fix=root.fix)

    def _set_unavailable(self, error: OSError) -> None:
        root = self._root
        gone = isinstance(error, FileNotFoundError)
        what = "isn't there" if gone else f"can't be read: {error.strerror or error}"
        if root.watching is not Watching.UNAVAILABLE:
            _log.warning("watch folder unavailable", folder=str(root.path), why=what)
        fix = "Plug it in, mount it or create it" if gone else "Make it readable"
        root.set_watching(
            Watching.UNAVAILABLE, f"The folder {what}.", f"{fix}; Dropscribe then continues automatically."
        )
        self._outbox.notify_progress()

    async def _scan(self, *, periodic: bool) -> None:
        """Scan the whole folder and compare it with the ledger."""
        root = self._root
        began = root.clock.monotonic()
        root.full_scan_wanted = False
        root.subtrees.clear()
        root.overrides.clear()
        root.blocked.clear()
        root.unreadable.clear()
        scan = self._new_scan()
        try:
            missed = await self._reconcile(scan, None)
        except OSError as error:
            self._set_unavailable(error)
            root.request_scan(attach=True)
            return
        now = root.clock.monotonic()
        polled = root.watching is Watching.POLLING
        self._next_scan = now + (max(self._timings.poll, _POLL_SHARE * (now - began)) if polled else self._rescan)
        root.seen, root.scan_problems = scan.seen, tuple(scan.problems[:_MOST_PROBLEMS])
        root.last_scan = root.clock.now()
        root.first_scan.set()
        root.baseline.end()
        if periodic and missed and root.watching is Watching.EVENTS:
            # For instance, something was mounted below the root: the old watches are on the folder underneath.
            _log.warning("OS events missed files; watching the folder again", folder=str(root.path), files=missed)
            root.attach_wanted = True
        self._outbox.forget_old()

    async def _scan_parts(self) -> None:
        """Scan new or moved subfolders and compare them with the ledger."""
        root = self._root
        parts, root.subtrees = sorted(root.subtrees), set()
        root.busy += 1
        try:
            covered: list[Path] = []
            for part in parts:
                if any(part.is_relative_to(other) for other in covered) or self._owner(part) is not root:
                    continue
                covered.append(part)
                entered = root.rules.folder_verdict(part.relative_to(root.path)) is None
                if entered and root.overrides.ignored_by(part.parent) is None:
                    await self._reconcile(self._new_scan(), part)
        finally:
            root.busy -= 1

    def _new_scan(self) -> Scan:
        root = self._root
        return Scan(root.path, root.rules, lambda path: self._owner(path) is not root, root.files)

    async def _reconcile(self, scan: Scan, part: Path | None) -> int:
        """Add what a scan finds to the candidates; return how many files no OS event had reported."""
        root = self._root
        missed = 0
        batches = scan.batches(part)
        while (batch := await root.run(next, batches, None)) is not None:
            fresh = [sighting for sighting in batch if self._is_fresh(sighting)]
            known = await self._outbox.known(fresh) if fresh else ()
            for sighting, is_known in zip(fresh, known, strict=True):
                if not is_known and root.notice(sighting.path, found=True):
                    missed += 1
                    self._outbox.announce(sighting.path)
            while self._outbox.is_full and len(root.queue.candidates) > self._most_candidates:
                await self._outbox.wait_for_progress(1.0)
        # Read them now, so that a mistake is reported before a recording arrives.
        await root.run(root.overrides.check, scan.overridden)
        problems = set(root.overrides.problems())
        for problem in sorted(problems - self._logged_problems):
            _log.warning("settings in a folder can't be used", folder=str(root.path), why=problem)
        self._logged_problems = problems
        return missed

    def _is_fresh(self, sighting: Sighting) -> bool:
        """Whether a file is neither a candidate already nor was just delivered."""
        return sighting.path not in self._root.queue.candidates and self._outbox.is_new(sighting)
