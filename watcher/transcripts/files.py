"""The seam to the file system: the few operations that writing transcripts needs.

Everything that this package does to a disk goes through `Files`, so that tests can make any step fail.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.transcripts import noreplace

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["Files", "Identity", "read_regular"]

_WINDOWS = sys.platform == "win32"
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF})
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a file: device and inode."""

    device: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        """Make it from a stat result."""
        return cls(status.st_dev, status.st_ino)


class Files:
    """The real file system. Each method is a single step that can fail; all raise OSError."""

    def create(self, path: Path, mode: int = 0o666) -> int:
        """Create a new file and open it for writing; the umask applies to its mode."""
        return os.open(path, _CREATE, mode)

    def open(self, path: Path) -> int:
        """Open for reading, without following a link at the path or blocking on a pipe."""
        return os.open(path, _READ)

    def lock(self, descriptor: int) -> None:
        """Mark a file as in use by this process, until it is closed or the process ends."""
        if sys.platform != "win32":  # Windows doesn't let go of an open file anyway
            fcntl.flock(descriptor, fcntl.LOCK_EX)

    def is_locked(self, descriptor: int) -> bool:
        """Return whether another process has locked the file; if not, lock it."""
        if sys.platform != "win32":
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all data."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def read(self, descriptor: int) -> bytes:
        """Read to the end."""
        parts = []
        while part := os.read(descriptor, 1 << 20):
            parts.append(part)
        return b"".join(parts)

    def fsync(self, descriptor: int) -> None:
        """Sync the content to disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close; some network file systems report a full disk only here."""
        os.close(descriptor)

    def fstat(self, descriptor: int) -> os.stat_result:
        """Return the status of an open file."""
        return os.fstat(descriptor)

    def lstat(self, path: Path) -> os.stat_result:
        """Return the status of a path, without following a link."""
        return path.lstat()

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name; FileExistsError if that is taken."""
        os.link(source, target)

    def rename_noreplace(self, source: Path, target: Path) -> None:
        """Rename, with FileExistsError if the target is taken; ENOSYS or EINVAL if impossible."""
        noreplace.rename(source, target)

    def replace(self, source: Path, target: Path) -> None:
        """Rename over whatever is at the target."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Remove a name."""
        path.unlink()

    def mkdir(self, path: Path, mode: int = 0o777) -> None:
        """Make one folder."""
        path.mkdir(mode)

    def listdir(self, path: Path) -> list[str]:
        """List a folder's names."""
        return os.listdir(path)  # noqa: PTH208 - plain names are wanted, tens of thousands of them

    def free_bytes(self, path: Path) -> int | None:
        """Return the bytes that this user may still write there; None if the file system doesn't tell."""
        usage = shutil.disk_usage(path)
        return usage.free if usage.total else None

    def name_max(self, path: Path) -> int:
        """Return the maximum length of a name in this folder, in bytes."""
        if sys.platform == "win32":
            longest = 255
        else:
            longest = os.pathconf(path, "PC_NAME_MAX")
        return longest

    def fsync_folder(self, path: Path) -> None:
        """Sync a folder's names to disk, where the system supports that."""
        if _WINDOWS:
            return
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except PermissionError:  # a drop box: may be written to, not read
            return
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _NO_FOLDER_SYNC:
                raise
        finally:
            os.close(descriptor)


def read_regular(files: Files, path: Path, *, sizes: Container[int] | None = None) -> tuple[bytes, Identity] | None:
    """Read a regular file, and return its identity.

    Args:
        files: the file system.
        path: the file; a link is not followed.
        sizes: if given, files of other sizes are not read.

    Returns:
        None if something else stands there, or a file of another size.

    Raises:
        OSError: it can't be opened or read; FileNotFoundError: nothing is there.
    """
    if not stat.S_ISREG(files.lstat(path).st_mode):
        return None
    descriptor = files.open(path)
    try:
        status = files.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or (sizes is not None and status.st_size not in sizes):
            return None
        return files.read(descriptor), Identity.of(status)
    finally:
        files.close(descriptor)
