"""The state of one watch folder: its rules, its candidates, how it is watched, and the thread for its I/O."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import stat
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from watcher.folders.baseline import Baseline
from watcher.folders.filesystems import is_remote
from watcher.folders.model import FolderStatus, Watching, kind_of
from watcher.folders.rules.filters import Filter, Verdict
from watcher.folders.rules.overrides import OverrideFiles
from watcher.folders.stability.decide import CandidateQueue, StabilityPolicy
from watcher.models import Existing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watcher.clock import Clock
    from watcher.folders.disk import Identity
    from watcher.folders.system import FolderSystem
    from watcher.models import WatchFolder
    from watcher.timings import FolderTimings

__all__ = ["Root"]

P = ParamSpec("P")
T = TypeVar("T")

_MOST_SUBTREES = 200
_SHARE_CLOCKS_DIFFER = 600.0


class Root:
    """The state of one watch folder. Used on the event loop only; `run` moves blocking work to its thread.

    Args:
        policy: how long files must be quiet; `settle` comes from the folder's settings.
        is_new: whether the folder has never been watched before.
    """

    def __init__(
        self,
        folder: WatchFolder,
        *,
        clock: Clock,
        policy: StabilityPolicy,
        timings: FolderTimings,
        system: FolderSystem,
        is_new: bool = False,
    ) -> None:
        self.clock = clock
        self.baseline = Baseline(applies=is_new and folder.existing is Existing.IGNORE)
        self._policy = policy
        self._timings = timings
        self.watching = Watching.STARTING
        self.why = ""
        self.fix = ""
        self.since = clock.now()
        self.seen = 0
        self.last_scan: float | None = None
        self.scan_problems: tuple[str, ...] = ()
        self.identity: Identity | None = None
        self.first_scan = asyncio.Event()
        self.wake = asyncio.Event()
        self.settle_wake = asyncio.Event()
        self.subtrees: set[Path] = set()
        self.full_scan_wanted = True
        self.attach_wanted = True
        self.busy = 0
        self.prefix = os.fspath(folder.path).rstrip(os.sep) + os.sep
        self.blocked: dict[Path, tuple[float, str]] = {}
        self.unreadable: dict[Path, str] = {}
        self.files = system.files
        self._executor = system.new_executor()
        self.configure(folder)

    @property
    def path(self) -> Path:
        """The folder, as the config names it."""
        return self.folder.path

    def configure(self, folder: WatchFolder) -> None:
        """Apply new settings; candidates are kept."""
        self.folder = folder
        self.rules = Filter(folder)
        self.overrides = OverrideFiles(folder, self.files)
        settled = getattr(self, "queue", None)
        given = self._policy
        longest = {name: max(getattr(given, name), folder.settle) for name in ("incomplete", "abandoned")}
        policy = dataclasses.replace(given, settle=folder.settle, **longest)
        if settled is None:
            self.queue = CandidateQueue(policy)
        else:
            self.queue.policy = policy

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work on this folder's own thread, so that an unresponsive share blocks no other folder."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._executor, lambda: work(*args, **kwargs))
        done, _ = await asyncio.wait({future}, timeout=self._timings.answers_within)
        if not done:
            before = self.watching, self.why, self.fix
            self.set_watching(
                Watching.UNAVAILABLE,
                "The disk or share does not respond.",
                "Check the disk or share that the folder is on.",
            )
            await asyncio.wait({future})
            self.set_watching(*before)
        return await future

    def close(self) -> None:
        """End the thread, without waiting for work that hangs on an unresponsive share."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def set_watching(self, watching: Watching, why: str = "", fix: str = "") -> None:
        """Record how the folder is watched from now on."""
        if watching is not self.watching:
            self.since = self.clock.now()
        self.watching, self.why, self.fix = watching, why, fix

    def request_scan(self, subtree: Path | None = None, *, attach: bool = False) -> None:
        """Request a scan of the folder or of a subtree; with `attach`, watch the folder again first."""
        if subtree is None or subtree == self.path or len(self.subtrees) >= _MOST_SUBTREES:
            self.full_scan_wanted = True
        else:
            self.subtrees.add(subtree)
        self.attach_wanted = self.attach_wanted or attach
        self.wake.set()

    def verdict(self, path: Path, *, size: int | None = None, mode: int = stat.S_IFREG) -> Verdict:
        """Decide whether a file may be a recording, by the filter and the `.dropscribe-ignore` files above it.

        Args:
            path: the file, below this folder.
            size: in bytes; None if unknown.
            mode: `st_mode` from `os.lstat`.
        """
        relative = os.fspath(path)[len(self.prefix) :]
        if os.sep != "/":
            relative = relative.replace(os.sep, "/")
        verdict = self.rules.decide(relative, size, is_regular=stat.S_ISREG(mode), kind=kind_of(mode))
        if verdict.accepted and (ignore_file := self.overrides.ignored_by(path.parent)):
            return Verdict(
                accepted=False,
                rule="ignore file",
                reason=f"{ignore_file} excludes its folder.",
                fix=f"Remove {ignore_file}.",
            )
        return verdict

    def notice(self, path: Path, *, closed: bool = False, found: bool = False) -> bool:
        """Record activity on a file that passed the filter; return whether it is a new candidate."""
        existing = self.baseline.covers(path)
        wait = self._timings.reported_within if existing else 0.0
        fresh = self.queue.notice(path, self.clock.monotonic(), closed=closed, found=found, wait=wait)
        if fresh:
            self.queue.candidates[path].preexisting = existing
        self.settle_wake.set()
        return fresh

    def arrived(self, path: Path) -> None:
        """Record that a file or folder was created, or was moved here from outside."""
        self.baseline.arrived(path)
        if candidate := self.queue.candidates.get(path):
            candidate.preexisting = False

    def forget(self, path: Path) -> None:
        """Drop a file that is gone, or is no longer a recording."""
        self.queue.forget(path)
        self.blocked.pop(path, None)
        self.unreadable.pop(path, None)

    def identify(self) -> Identity:
        """Return the folder's identity: its device, its inode, and the mounts below it. Blocking.

        Raises:
            OSError: it doesn't exist, is not a folder, or can't be listed.
        """
        return self.files.identify(self.path)

    def detect_polling(self) -> tuple[bool, str]:
        """Return whether to poll instead of using OS events, and why. Blocking."""
        if self.folder.polling == "always":
            return True, 'The config says polling = "always".'
        kind = self.files.filesystem_of(self.path)
        remote = is_remote(kind)
        if remote:
            # File times come from another machine's clock.
            self.queue.policy = dataclasses.replace(self.queue.policy, trusted_age=_SHARE_CLOCKS_DIFFER)
        if remote and self.folder.polling == "auto":
            return True, f"It is on a network file system ({kind}), which doesn't report changes made by others."
        return False, ""

    def status(self) -> FolderStatus:
        """Return the folder's state."""
        return FolderStatus(
            path=self.path,
            watching=self.watching,
            why=self.why,
            fix=self.fix,
            since=self.since,
            seen=self.seen,
            pending=len(self.queue.candidates) + len(self.blocked),
            last_scan=self.last_scan,
            problems=(*self.overrides.problems(), *self.scan_problems, *sorted(self.unreadable.values())),
        )
