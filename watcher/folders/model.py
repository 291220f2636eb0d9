"""What watching folders is about: a file that was sighted, a recording that is whole, a folder's state."""

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
    """A file as it was found at one moment.

    Attributes:
        path: where, below its watch folder's path as the config names it.
        size: bytes.
        mtime_ns: last change of the content, in ns of unix time.
        ctime_ns: last change of the inode (POSIX), which a copy can't set back; in ns of unix time.
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
        """What changes when the content does: size, mtime and inode."""
        return self.size, self.mtime_ns, self.inode

    @classmethod
    def of(cls, path: Path, found: os.stat_result) -> Sighting:
        """Make a sighting of what `os.lstat` returned."""
        return cls(path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


@dataclass(frozen=True, slots=True)
class Settled:
    """A recording that is whole, as far as anyone can tell.

    Attributes:
        folder: its watch folder, with the overrides of any `.dropscribe.toml` on the way down to it.
        path, size, mtime_ns, inode: as they were when it was found whole.
        preexisting: whether it was in the folder before that was first watched.
        complete: False when its container is visibly cut short and nobody went on writing it.
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
        old, new: its paths.
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
        watching: how.
        why: why in this way, in words; empty for plain events.
        fix: what a person can do about it, such as the command that raises the watch limit; may be empty.
        since: unix time since when it is watched in this way.
        seen: recordings found in the last complete scan.
        pending: recordings that aren't settled yet.
        last_scan: unix time at which the last complete scan ended; None before the first.
        problems: what is wrong below it, e.g. a `.dropscribe.toml` that can't be used, or a folder that
            can't be read.
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
    """How far a path has come on its way to being a settled recording."""

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
    """Why a path is, or isn't, on its way.

    Attributes:
        path: the path.
        phase: how far it is.
        reason: a sentence for a person.
        rule: the filter rule that decided, e.g. `hidden` or `exclude`; empty where none did.
        since: unix time since when it is so; None where that has no meaning.
        folder: the watch folder that owns it; None when there is none.
        fix: what a person can do about it; may be empty.
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
