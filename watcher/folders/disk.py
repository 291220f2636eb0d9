"""The file system access that watching folders needs, in one object that is passed in. Blocking."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Protocol

from watcher.folders.filesystems import filesystem_of, mounts_below
from watcher.folders.stability.observe import observe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from watcher.folders.stability.decide import Observation

__all__ = ["DISK", "Disk", "Files", "Identity", "Listed"]

Identity = tuple[int, int, tuple[str, ...]]
"""What shows that a folder is still the same: its device, its inode, and the mounts below it."""


class Listed(Protocol):
    """One name in a folder's listing, like `os.DirEntry`."""

    @property
    def name(self) -> str:
        """The name inside the folder."""

    @property
    def path(self) -> str:
        """The whole path."""

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        """Whether it is a folder."""

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        """Return its status; raises OSError if it is gone."""


class Files(Protocol):
    """A file system. No method follows a symbolic link at the end of a path, except `identify`."""

    def identify(self, folder: Path) -> Identity:
        """Return a watch folder's identity; raises OSError if it is no folder or can't be listed."""

    def filesystem_of(self, folder: Path) -> str:
        """Return the type of a folder's file system, e.g. `ext4`; empty if unknown."""

    def list_folder(self, folder: str) -> Sequence[Listed]:
        """Return everything in a folder; raises OSError."""

    def lstat(self, path: Path) -> os.stat_result:
        """Return a path's status; raises OSError."""

    def exists(self, path: Path) -> bool:
        """Whether the path exists and can be reached."""

    def observe(self, path: Path) -> Observation:
        """Return a candidate's present state; never raises OSError."""

    def read_start(self, file: Path, count: int) -> bytes | None:
        """Read up to `count` bytes of a regular file; None if it is something else. Raises OSError."""


class Disk:
    """The machine's own file systems."""

    def identify(self, folder: Path) -> Identity:
        """Return a watch folder's identity; raises OSError if it is no folder or can't be listed."""
        found = folder.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(20, "it is not a folder", str(folder))
        with os.scandir(folder):
            return found.st_dev, found.st_ino, mounts_below(folder)

    def filesystem_of(self, folder: Path) -> str:
        """Return the type of a folder's file system, e.g. `ext4`; empty if unknown."""
        return filesystem_of(folder)

    def list_folder(self, folder: str) -> Sequence[Listed]:
        """Return everything in a folder; raises OSError."""
        with os.scandir(folder) as listing:
            return list(listing)

    def lstat(self, path: Path) -> os.stat_result:
        """Return a path's status; raises OSError."""
        return os.lstat(path)

    def exists(self, path: Path) -> bool:
        """Whether the path exists and can be reached."""
        return os.path.lexists(path)

    def observe(self, path: Path) -> Observation:
        """Return a candidate's present state; never raises OSError."""
        return observe(path)

    def read_start(self, file: Path, count: int) -> bytes | None:
        """Read up to `count` bytes of a regular file; None if it is something else. Raises OSError."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with open(os.open(file, flags), "rb") as opened:  # noqa: PTH123 - a descriptor
            return opened.read(count) if stat.S_ISREG(os.fstat(opened.fileno()).st_mode) else None


DISK = Disk()
