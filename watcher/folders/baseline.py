"""Which files were in a folder before it was first watched? For `existing = "ignore"`.

The first scan finds the files. A file whose arrival the OS reported since watching began is new, whatever its times
are. Renaming a recording or changing its permissions doesn't make it new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.folders.model import Sighting
    from watcher.folders.stability.decide import Candidate

__all__ = ["Baseline"]

_TICK = 0.01
"""Seconds by which file times may lag behind the clock: the kernel uses the time of its last tick."""


class Baseline:
    """Tells preexisting files in one watch folder from those that arrived later.

    Args:
        applies: whether the folder has never been watched before and its preexisting files are to be ignored.
    """

    def __init__(self, *, applies: bool) -> None:
        self._open = applies
        self._began: float | None = None
        self._arrivals: set[Path] = set()

    def begin(self, now: float) -> None:
        """Record the Unix time at which watching began."""
        if self._began is None:
            self._began = now

    def end(self) -> None:
        """Record that the first scan is over: files noticed from now on are new."""
        self._open = False
        self._arrivals.clear()

    def arrived(self, path: Path) -> None:
        """Record that the OS reported this file or folder as created, or as moved here from outside."""
        if self._open:
            self._arrivals.add(path)

    def moved(self, old: Path, new: Path) -> None:
        """Record a rename inside the folder: a new file stays new, a preexisting one stays preexisting."""
        if self._open and self._has_arrived(old):
            self._arrivals.add(new)

    def covers(self, path: Path) -> bool:
        """Whether a file that is noticed now counts as preexisting, unless its times show otherwise."""
        return self._open and not self._has_arrived(path)

    def is_preexisting(self, candidate: Candidate, found: Sighting) -> bool:
        """Whether a candidate existed before watching began, with its present content."""
        if not candidate.preexisting or self._began is None:
            return False
        # A rename changes the ctime too, but the OS reports renames.
        changed = found.ctime_ns if candidate.found_by_scan else found.mtime_ns
        # If in doubt, it is new: ignoring a new recording would lose it.
        return changed / 1e9 < self._began - _TICK

    def _has_arrived(self, path: Path) -> bool:
        return bool(self._arrivals) and (path in self._arrivals or any(p in self._arrivals for p in path.parents))
