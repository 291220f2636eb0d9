"""The data that watching folders works with: sightings of files, settled recordings, moves, states of folders."""

from __future__ import annotations

import enum
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from watcher.models import WatchFolder

__all__ = ["Explanation", "FolderStatus", "Moved", "Phase", "Settled", "Sighting", "Watching"]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as it was at one moment.

    Attributes:
        path: below its watch folder's path as the config names it.
        size: in bytes.
        mtime_ns: last change of the content, in nanoseconds of Unix time.
        ctime_ns: last change of the inode (POSIX), in nanoseconds of Unix time. A copy can't set it back.
        inode, device: its identity on its file system.
    """

    path: Path
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int

    @property
    def version(self) -> tuple[int, int, int]:
        """Identifies the content: size, mtime and inode."""
        return self.size, self.mtime_ns, self.inode

    @classmethod
    def of(cls, path: Path, found: os.stat_result) -> Sighting:
        """Make a sighting from the result of `os.lstat`."""
        return cls(path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


@dataclass(frozen=True, slots=True)
class Settled:
    """A recording that is complete, as far as can be told.

    Attributes:
        folder: its watch folder, with the overrides of every `.dropscribe.toml` above the file.
        path, size, mtime_ns, inode: as they were when the file settled.
        preexisting: whether it was in the folder before the folder was first watched.
        complete: False if its container is truncated and nothing is writing to it any more.
    """

    folder: WatchFolder
    path: Path
    size: int
    mtime_ns: int
    inode: int
    preexisting: bool = False
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Moved:
    """A recording was renamed or moved inside the watched folders.

    Attributes:
        folder: the watch folder that it is in now.
    """

    folder: WatchFolder
    old: Path
    new: Path


class Watching(enum.StrEnum):
    """How a watch folder is watched."""

    STARTING = "starting"
    EVENTS = "events"
    POLLING = "polling"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """The state of one watch folder.

    Attributes:
        path: the folder.
        why: the reason for `watching`, as a sentence; empty for OS events.
        fix: what the user can do about it, such as the command that raises the watch limit; may be empty.
        since: Unix time of the last change of `watching`.
        seen: recordings found in the last complete scan.
        pending: recordings that are not settled yet.
        last_scan: Unix time at which the last complete scan ended; None before the first.
        problems: problems below it, e.g. a `.dropscribe.toml` that can't be used, or an unreadable folder.
    """

    path: Path
    watching: Watching
    why: str
    fix: str
    since: float
    seen: int
    pending: int
    last_scan: float | None
    problems: tuple[str, ...] = ()


class Phase(enum.StrEnum):
    """How far a path has come towards being a settled recording."""

    NOT_WATCHED = "not watched"
    UNAVAILABLE = "folder unavailable"
    MISSING = "missing"
    IGNORED = "ignored"
    SETTLING = "settling"
    BLOCKED = "blocked"
    DELIVERED = "delivered"
    NOT_SEEN = "not seen yet"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What happens to a path, and why.

    Attributes:
        reason: a sentence for the user.
        rule: the filter rule that decided, e.g. `hidden` or `exclude`; empty if none did.
        since: Unix time at which the phase began; None if that has no meaning.
        folder: the watch folder that owns the path; None if there is none.
        fix: what the user can do about it; may be empty.
    """

    path: Path
    phase: Phase
    reason: str
    rule: str = ""
    since: float | None = None
    folder: Path | None = None
    fix: str = ""


def kind_of(mode: int) -> str:
    """Name a file's kind in words: `file`, `folder`, `symbolic link`, `named pipe`, `socket`, `device`."""
    kinds = (
        (stat.S_ISREG, "file"),
        (stat.S_ISDIR, "folder"),
        (stat.S_ISLNK, "symbolic link"),
        (stat.S_ISFIFO, "named pipe"),
        (stat.S_ISSOCK, "socket"),
    )
    return next((name for test, name in kinds if test(mode)), "device")
