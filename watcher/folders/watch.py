"""Watches folders so that nothing is missed: OS events are hints, scans are the truth.

Read `FolderWatch.run` first. For every watch folder one task keeps it watched and scanned (`_keep`), another
settles its candidates (`_settle`); one more takes what the OS says (`_listen`). All of them feed one bounded
queue, which the owner iterates over.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import TYPE_CHECKING

from watcher.errors import ConfigError
from watcher.folders.explain import explain
from watcher.folders.filters import IGNORE_FILE, OVERRIDES_FILE
from watcher.folders.inspection import inspect_all
from watcher.folders.observer import Hint, HintKind, Watcher, WatchLimit
from watcher.folders.root import Root
from watcher.folders.scan import Scan
from watcher.folders.settle import Candidate, Outcome, Patience
from watcher.folders.sightings import Explanation, FolderStatus, Moved, Phase, Settled, Sighting, Watching
from watcher.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from watcher.clock import Clock
    from watcher.models import WatchFolder

__all__ = ["FolderWatch"]

_log = get_logger("folders")

_PULSE = 2.0
"""Seconds between looks at whether a root is still the folder that is watched."""
_POLL_SHARE = 50.0
"""A polled folder rests this many times as long as its scan took: at most 2 % of a core."""
_RETRY_LIMIT = 600.0
"""Seconds after which watching is tried again where the watch limit was reached."""
_DELIVER_AGAIN = 120.0
"""Seconds after which a recording that was taken but is still unknown is delivered once more."""
_QUEUE = 512


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
        self._known = known
        self._rescan = rescan
        self._own_outputs = own_outputs
        self._hint = hint
        self._new_roots = new_roots
        self._poll = poll
        self._patience = patience or Patience()
        self._wanted = {folder.path: folder for folder in folders}
        self._roots: dict[Path, Root] = {}
        self._tasks: dict[Path, list[asyncio.Task[None]]] = {}
        self._queue: asyncio.Queue[Settled | Moved | None] = asyncio.Queue(_QUEUE)
        self._delivered: dict[Path, tuple[tuple[int, int, int], float | None]] = {}
        self._inbox: deque[Hint] = deque()
        self._arrived = asyncio.Event()
        self._progress = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: asyncio.Future[None] | None = None
        self._watcher = Watcher(self._hear)
        self._closed = False

    # -- the owner's side ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watch until cancelled. The iteration ends with it."""
        self._loop = asyncio.get_running_loop()
        self._failure = self._loop.create_future()
        listener = asyncio.create_task(self._listen(), name="folders: listen")
        listener.add_done_callback(self._ended)
        try:
            await self._arrange()
            await self._failure
        finally:
            await self._stop(listener)

    def __aiter__(self) -> FolderWatch:
        return self

    async def __anext__(self) -> Settled | Moved:
        item = await self._queue.get()
        if item is None:
            self._queue.put_nowait(None)
            raise StopAsyncIteration
        if isinstance(item, Settled):
            version = item.size, item.mtime_ns, item.inode
            self._delivered[item.path] = version, self._clock.monotonic()
        self._progressed()
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
        return sum(len(root.settler.candidates) for root in self._roots.values()) + self._queue.qsize()

    async def explain(self, path: Path) -> Explanation:
        """Say why a path is, or isn't, on its way."""
        root = self._owner(path)
        if root is None:
            return Explanation(
                path, Phase.NOT_WATCHED, "It is in no watched folder.", fix="Add its folder: dropscribe folders add."
            )
        delivered = self._delivered.get(path)
        return await explain(path, root, delivered=delivered is not None, known=self._known)

    async def scan_complete(self) -> list[Explanation]:
        """Wait until every folder was scanned and all that was found is settled and taken.

        Returns:
            The files that are not whole and were given up waiting for, such as one that a program keeps open.
        """
        while not self._is_done():
            progress = self._progress
            try:
                await asyncio.wait_for(progress.wait(), 0.5)
            except TimeoutError:
                continue
        left = [path for root in self._roots.values() for path in (*root.settler.candidates, *root.blocked)]
        return [await self.explain(path) for path in left]

    # -- arranging -------------------------------------------------------------------------------------------

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
        # Who owns what may have changed.
        for root in self._roots.values():
            root.want_scan()
            for candidate in list(root.settler.candidates):
                if self._owner(candidate) is not root:
                    root.settler.forget(candidate)

    def _add(self, folder: WatchFolder) -> None:
        root = Root(folder, clock=self._clock, patience=self._patience)
        root.is_new = self._new_roots is not None and self._new_roots(folder.path)
        self._roots[folder.path] = root
        tasks = [
            asyncio.create_task(self._keep(root), name=f"folders: keep {folder.path}"),
            asyncio.create_task(self._settle(root), name=f"folders: settle {folder.path}"),
        ]
        for task in tasks:
            task.add_done_callback(self._ended)
        self._tasks[folder.path] = tasks

    async def _remove(self, path: Path) -> None:
        root = self._roots.pop(path)
        tasks = self._tasks.pop(path)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._watcher.unwatch, path)
        root.close()
        for known in [known for known in self._delivered if known.is_relative_to(path)]:
            del self._delivered[known]

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task never ends by itself: an error in one ends `run` with it."""
        failure = self._failure
        if task.cancelled() or (error := task.exception()) is None:
            return
        if failure is not None and not failure.done():
            failure.set_exception(error)

    async def _stop(self, listener: asyncio.Task[None]) -> None:
        self._closed = True
        tasks = [listener, *(task for tasks in self._tasks.values() for task in tasks)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._watcher.stop)
        for root in self._roots.values():
            root.close()
        while self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(None)
        self._progressed()

    # -- what the OS says ------------------------------------------------------------------------------------

    def _hear(self, hint: Hint) -> None:
        """Take a hint on one of the observer's threads."""
        self._inbox.append(hint)
        if self._loop is not None and len(self._inbox) == 1 and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrived.set)

    async def _listen(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            for turn in range(len(self._inbox) or 0):
                await self._take(self._inbox.popleft())
                if turn % 256 == 255:  # noqa: PLR2004 - let others run now and then
                    await asyncio.sleep(0)
            if self._inbox:
                self._arrived.set()

    async def _take(self, hint: Hint) -> None:
        root = self._owner(hint.path)
        if hint.kind in {HintKind.OVERFLOW, HintKind.LIMIT, HintKind.LOST}:
            self._trouble(hint)
        elif root is None:
            return
        elif hint.path.name in {IGNORE_FILE, OVERRIDES_FILE}:
            root.marks.clear()
            root.want_scan(hint.path.parent)
        elif hint.kind is HintKind.DELETED:
            root.settler.forget(hint.path)
            self._progressed()
        elif hint.kind in {HintKind.FOLDER, HintKind.FOLDER_MOVED}:
            root.marks.clear()
            root.want_scan(hint.path)
        elif hint.kind is HintKind.MOVED and hint.old is not None:
            await self._move(root, hint.old, hint.path)
        else:
            self._notice(root, hint.path, closed=hint.kind is HintKind.CLOSED)

    def _trouble(self, hint: Hint) -> None:
        root = self._roots.get(hint.root)
        if root is None:
            return
        if hint.kind is HintKind.OVERFLOW:
            _log.warning("events were lost; scanning", folder=str(root.path))
        root.want_scan(attach=hint.kind is not HintKind.OVERFLOW)

    async def _move(self, root: Root, old: Path, new: Path) -> None:
        if old.name in {IGNORE_FILE, OVERRIDES_FILE}:
            root.marks.clear()
            root.want_scan(old.parent)
        before = self._owner(old)
        if before is not None:
            was_recording = before.rules.accepts_name(old.relative_to(before.path))
            if before is root and old in root.settler.candidates:
                root.settler.moved(old, new, self._clock.monotonic())
            elif was_recording and root.verdict(new).accepted:
                self._delivered.pop(old, None)
                await self._queue.put(Moved(root.folder, old, new))
            before.settler.forget(old)
        self._notice(root, new, closed=True)

    def _notice(self, root: Root, path: Path, *, closed: bool) -> None:
        if not root.verdict(path).accepted:
            root.settler.forget(path)
            return
        if root.notice(path, closed=closed) and self._hint is not None and path not in self._delivered:
            self._hint(path)

    # -- keeping a folder watched and scanned ----------------------------------------------------------------

    async def _keep(self, root: Root) -> None:
        next_scan = 0.0
        next_watch = 0.0
        while True:
            now = self._clock.monotonic()
            limited = root.watching is Watching.POLLING and bool(root.fix) and now >= next_watch
            if root.attach_wanted or limited:
                root.attach_wanted = False
                await self._attach(root)
                next_watch = self._clock.monotonic() + _RETRY_LIMIT
                next_scan = 0.0
            if root.full_scan_wanted or now >= next_scan:
                periodic = not root.full_scan_wanted
                began = self._clock.monotonic()
                if await self._scan_all(root, periodic=periodic):
                    took = self._clock.monotonic() - began
                    polled = root.watching is Watching.POLLING
                    rest = max(self._poll, _POLL_SHARE * took) if polled else self._rescan
                    next_scan = self._clock.monotonic() + rest
            elif root.subtrees:
                await self._scan_parts(root)
            await self._rest(root, next_scan)
            if not await self._is_same(root):
                root.want_scan(attach=True)

    async def _rest(self, root: Root, next_scan: float) -> None:
        """Wait for the next scan, for somebody who wants one, or for the next look at the root."""
        timeout = min(_PULSE, max(0.0, next_scan - self._clock.monotonic()))
        try:
            await asyncio.wait_for(root.wake.wait(), timeout)
        except TimeoutError:
            return
        root.wake.clear()

    async def _is_same(self, root: Root) -> bool:
        try:
            same = await root.run(root.look_at_root) == root.identity
        except OSError:
            return False
        return same and (root.watching is not Watching.EVENTS or self._watcher.is_alive(root.path))

    async def _attach(self, root: Root) -> None:
        """Wait until the folder is there, and watch it."""
        while True:
            try:
                root.identity = await root.run(root.look_at_root)
                break
            except OSError as error:
                self._lose(root, error)
                await asyncio.sleep(_PULSE / 2)
        root.marks.clear()
        if root.attached_at is None:
            root.attached_at = self._clock.now()
        polling, why = await root.run(root.choose)
        if polling:
            await asyncio.to_thread(self._watcher.unwatch, root.path)
            root.become(Watching.POLLING, why)
            return
        try:
            await root.run(self._watcher.watch, root.path, recursive=root.folder.recursive)
        except WatchLimit as limit:
            root.become(Watching.POLLING, f"{limit.strerror}.", limit.fix)
        except OSError as error:
            root.become(Watching.POLLING, f"The system can't watch it: {error.strerror or error}.")
        else:
            root.become(Watching.EVENTS)
            return
        _log.warning("polling instead of events", folder=str(root.path), why=root.why, fix=root.fix)

    def _lose(self, root: Root, error: OSError) -> None:
        what = "isn't there" if isinstance(error, FileNotFoundError) else f"can't be read: {error.strerror or error}"
        if root.watching is not Watching.UNAVAILABLE:
            _log.warning("watch folder unavailable", folder=str(root.path), why=what)
        fix = "Plug it in, mount it or create it; Dropscribe then goes on by itself."
        root.become(Watching.UNAVAILABLE, f"The folder {what}.", fix)
        self._progressed()

    async def _scan_all(self, root: Root, *, periodic: bool) -> bool:
        """Scan a whole folder; return whether that worked."""
        root.full_scan_wanted = False
        root.subtrees.clear()
        root.marks.clear()
        root.blocked.clear()
        scan = self._new_scan(root)
        try:
            missed = await self._reconcile(root, scan, None)
        except OSError as error:
            self._lose(root, error)
            root.want_scan(attach=True)
            await asyncio.sleep(_PULSE / 4)
            return False
        root.seen, root.scan_problems = scan.seen, tuple(scan.problems[:20])
        root.last_scan = self._clock.now()
        root.first_scan.set()
        if periodic and missed and root.watching is Watching.EVENTS:
            _log.warning("events had missed files; watching anew", folder=str(root.path), files=missed)
            root.attach_wanted = True
        self._drop_old_deliveries()
        self._progressed()
        return True

    async def _scan_parts(self, root: Root) -> None:
        parts, root.subtrees = sorted(root.subtrees), set()
        covered: list[Path] = []
        for part in parts:
            if any(part.is_relative_to(other) for other in covered) or self._owner(part) is not root:
                continue
            covered.append(part)
            relative = part.relative_to(root.path)
            if root.rules.enters(relative) is None and root.marks.ignored_by(part.parent) is None:
                scan = self._new_scan(root)
                await self._reconcile(root, scan, part)
        self._progressed()

    def _new_scan(self, root: Root) -> Scan:
        others = {path for path in self._roots if path != root.path}
        return Scan(root.path, root.rules, others.__contains__)

    async def _reconcile(self, root: Root, scan: Scan, part: Path | None) -> int:
        """Compare what is there with what is known; return how many files nobody had told of."""
        missed = 0
        batches = scan.batches(part)
        while (batch := await root.run(next, batches, None)) is not None:
            fresh = [sighting for sighting in batch if self._is_fresh(root, sighting)]
            if not fresh:
                continue
            for sighting, known in zip(fresh, await self._known(fresh), strict=True):
                if known:
                    self._delivered.pop(sighting.path, None)
                    continue
                new = root.notice(sighting.path, found=True)
                missed += new
                if new and self._hint is not None:
                    self._hint(sighting.path)
        return missed

    def _is_fresh(self, root: Root, sighting: Sighting) -> bool:
        """Whether a file found by a scan is neither on its way already nor just handed on."""
        if sighting.path in root.settler.candidates:
            return False
        delivered = self._delivered.get(sighting.path)
        if delivered is None or delivered[0] != sighting.version:
            return True
        return delivered[1] is not None and self._clock.monotonic() - delivered[1] > _DELIVER_AGAIN

    def _drop_old_deliveries(self) -> None:
        """Forget recordings that were taken long ago; a scan that finds one asks `known` anyway."""
        now = self._clock.monotonic()
        old = [path for path, (_, at) in self._delivered.items() if at is not None and now - at > _DELIVER_AGAIN]
        for path in old:
            del self._delivered[path]

    # -- settling --------------------------------------------------------------------------------------------

    async def _settle(self, root: Root) -> None:
        while True:
            now = self._clock.monotonic()
            due = root.settler.due(now)
            if due:
                await self._look(root, due)
                continue
            root.settle_wake.clear()
            at = root.settler.next_due()
            try:
                await asyncio.wait_for(root.settle_wake.wait(), None if at is None else max(0.0, at - now))
            except TimeoutError:
                continue

    async def _look(self, root: Root, due: list[Candidate]) -> None:
        seen = await root.run(inspect_all, [candidate.path for candidate in due])
        now, wall = self._clock.monotonic(), self._clock.now()
        whole: list[tuple[Candidate, Sighting, Outcome]] = []
        for candidate, observation in zip(due, seen, strict=True):
            if root.settler.candidates.get(candidate.path) is not candidate:
                continue  # deleted or renamed meanwhile
            decision = root.settler.look(candidate, observation, now=now, wall=wall)
            root.unreadable.pop(candidate.path, None)
            if decision.outcome is Outcome.UNREADABLE:
                root.unreadable[candidate.path] = decision.reason
            if decision.outcome in {Outcome.WHOLE, Outcome.CUT_SHORT, Outcome.UNREADABLE}:
                sighting = observation.sighting or Sighting(candidate.path, 0, 0, 0, 0, 0)
                whole.append((candidate, sighting, decision.outcome))
        if whole:
            known = await self._known([sighting for _, sighting, _ in whole])
            for (candidate, sighting, outcome), is_known in zip(whole, known, strict=True):
                if not is_known:
                    await self._deliver(root, candidate, sighting, outcome)
        self._progressed()

    async def _deliver(self, root: Root, candidate: Candidate, found: Sighting, outcome: Outcome) -> None:
        relative = found.path.relative_to(root.path)
        if not root.rules.verdict(relative, found.size).accepted or not root.verdict(found.path).accepted:
            return
        delivered = self._delivered.get(found.path)
        if delivered is not None and delivered[0] == found.version and not self._is_fresh(root, found):
            return
        try:
            folder = root.marks.settings(found.path.parent)
        except ConfigError as error:
            root.blocked[found.path] = self._clock.now(), str(error)
            return
        if root.folder.include and self._own_outputs is not None and await self._own_outputs(found.path):
            return
        before = root.attached_at is not None and found.ctime_ns / 1e9 <= root.attached_at
        self._delivered[found.path] = found.version, None
        settled = Settled(
            folder=folder,
            path=found.path,
            size=found.size,
            mtime_ns=found.mtime_ns,
            inode=found.inode,
            was_there_before=root.is_new and candidate.only_found and before,
            complete=outcome is Outcome.WHOLE,
        )
        await self._queue.put(settled)

    # -- small things ----------------------------------------------------------------------------------------

    def _owner(self, path: Path) -> Root | None:
        """Return the innermost watch folder around a path."""
        text = os.fspath(path)
        best: Root | None = None
        for root in self._roots.values():
            prefix = os.fspath(root.path)
            inside = text == prefix or text.startswith(prefix.rstrip(os.sep) + os.sep)
            if inside and (best is None or len(prefix) > len(os.fspath(best.path))):
                best = root
        return best

    def _is_done(self) -> bool:
        """Whether there is nothing left to wait for."""
        if self._closed:
            return True
        if not self._queue.empty():
            return False
        now = self._clock.monotonic()
        for root in self._roots.values():
            if root.watching is Watching.UNAVAILABLE:
                continue
            if not root.first_scan.is_set() or root.full_scan_wanted or root.subtrees:
                return False
            oldest_wait = self._patience.incomplete + root.folder.settle + 1
            if any(now - candidate.since < oldest_wait for candidate in root.settler.candidates.values()):
                return False
        return bool(self._roots) or not self._wanted

    def _progressed(self) -> None:
        """Wake whoever waits in `scan_complete`."""
        progress, self._progress = self._progress, asyncio.Event()
        progress.set()
