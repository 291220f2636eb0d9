"""Whether a recording is still there; a whole folder that is gone says nothing about what was in it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.models import Entry, Fingerprint

__all__ = ["exists", "has_left", "holds", "is_empty", "went_to"]


def exists(path: Path) -> bool:
    """Whether something is at this path; where that can't be told, it counts as there."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def has_left(entry: Entry) -> bool:
    """Whether a recording is not at its path any more, though its watch folder is there."""
    return os.path.isdir(entry.root) and not exists(entry.path)  # noqa: PTH112 - Path.is_dir raises on some errors


def is_empty(folder: Path) -> bool:
    """Whether nothing at all is in a folder, as in the mount point of a disk that isn't there."""
    with os.scandir(folder) as found:
        return next(found, None) is None


def holds(path: Path, recording: Fingerprint) -> bool:
    """Whether the file at this path is the recording, as far as size and mtime tell."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (recording.size, recording.mtime_ns)


def went_to(entry: Entry, path: Path, *, taken: bool) -> bool:
    """Whether a recording that is said to have been renamed is at its new path now.

    Its old path may hold another already: a recorder that renames its last file goes on under the old name.

    Args:
        entry: its entry, at the old path.
        path: the new path.
        taken: whether the new path has an entry of its own, whose recording would have to be replaced.
    """
    if holds(path, entry.fingerprint):
        return not holds(entry.path, entry.fingerprint)
    return not taken and not exists(entry.path)
