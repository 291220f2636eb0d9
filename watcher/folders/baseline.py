"""What was in a folder before it was first watched? For `existing = "ignore"`.

The first scan finds what is there; what the OS said to have come since the folder is watched is new, whatever its
times say. A recording that is merely renamed, or has its permissions changed, stays what it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.folders.model import Sighting
    from watcher.folders.stability.decide import Candidate

__all__ = ["Baseline"]

_TICK = 0.01
"""Seconds by which the times of files lag behind the clock: the kernel stamps them with that of its last tick."""


class Baseline:
    """Tells, for one watch folder, what was there before from what came later.

    Args:
        applies: whether that matters: the folder was never watched before, and what is in it is to be ignored.
    """

    def __init__(self, *, applies: bool) -> None:
        self._open = applies
        self._began: float | None = None
        self._arrivals: set[Path] = set()

    def begin(self, now: float) -> None:
        """The folder is watched from this unix time on."""
        if self._began is None:
            self._began = now

    def end(self) -> None:
        """The first scan is over: what is noticed from now on is new."""
        self._open = False
        self._arrivals.clear()

    def arrived(self, path: Path) -> None:
        """The OS said that this file or folder came into being, or came from outside."""
        if self._open:
            self._arrivals.add(path)

    def moved(self, old: Path, new: Path) -> None:
        """The OS said that something was renamed inside the folder: it is as new as it was."""
        if self._open and self._has_arrived(old):
            self._arrivals.add(new)

    def covers(self, path: Path) -> bool:
        """Whether a file that is noticed now was there before, as far as its times don't say otherwise."""
        return self._open and not self._has_arrived(path)

    def is_preexisting(self, candidate: Candidate, found: Sighting) -> bool:
        """Whether a candidate was there before, with the content that it has."""
        if not candidate.preexisting or self._began is None:
            return False
        # A rename changes the ctime too, but then the OS has said what happened.
        changed = found.ctime_ns if candidate.found_by_scan else found.mtime_ns
        # In doubt it is new: to ignore it would lose it.
        return changed / 1e9 < self._began - _TICK

    def _has_arrived(self, path: Path) -> bool:
        return bool(self._arrivals) and (path in self._arrivals or any(p in self._arrivals for p in path.parents))
