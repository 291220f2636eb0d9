"""The seam to the file system: the few things that writing transcripts asks of it, and temp files on top.

Everything that this package does to a disk goes through `Files`, so that tests can make any step fail.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from watcher.transcripts import noreplace

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from pathlib import Path
    from types import TracebackType

if sys.platform != "win32":
    import fcntl

__all__ = ["Files", "Identity", "TempFile", "clean_stale", "is_abandoned", "read_regular", "temp_name"]

_TEMP_NAME = re.compile(r"\.dropscribe-[0-9a-f]{16}\.tmp\Z")
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF})
_WINDOWS = sys.platform == "win32"
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which file a name stands for: device and inode."""

    device: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        """Take it from what stat said."""
        return cls(status.st_dev, status.st_ino)


class Files:
    """The real file system. Each method is one step that can fail by itself; all raise OSError."""

    def create(self, path: Path, mode: int = 0o666) -> int:
        """Make a file that didn't exist, and open it for writing; the umask applies to its mode."""
        return os.open(path, _CREATE, mode)

    def open(self, path: Path) -> int:
        """Open for reading. Doesn't follow a link at the path, doesn't wait for a pipe."""
        return os.open(path, _READ)

    def lock(self, descriptor: int) -> None:
        """Mark a file as in use by this process, until it is closed or the process ends."""
        if sys.platform != "win32":  # Windows doesn't let go of an open file anyway
            fcntl.flock(descriptor, fcntl.LOCK_EX)

    def is_locked(self, descriptor: int) -> bool:
        """Whether someone else has it locked; takes the lock if not."""
        if sys.platform != "win32":
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of it."""
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
        """Wait until the content is on the disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close; some network file systems report a full disk only here."""
        os.close(descriptor)

    def fstat(self, descriptor: int) -> os.stat_result:
        """Say what an open file is."""
        return os.fstat(descriptor)

    def lstat(self, path: Path) -> os.stat_result:
        """Say what stands at a path, without following a link."""
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
        """Return the bytes that this user may still write there; None where the file system doesn't say."""
        usage = shutil.disk_usage(path)
        return usage.free if usage.total else None

    def name_max(self, path: Path) -> int:
        """Return how many bytes a name may have in this folder."""
        if sys.platform == "win32":
            longest = 255
        else:
            longest = os.pathconf(path, "PC_NAME_MAX")
        return longest

    def fsync_folder(self, path: Path) -> None:
        """Wait until a folder's names are on the disk, where the system can do that."""
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


class TempFile:
    """A file of ours under a hidden name, whole and on the disk, locked while this process needs it.

    Used as a context: on leaving, its temporary name is gone.

    Args:
        files: the file system.
        folder: where; the folder that the content is meant for, so that it can get its name there at once.
        data: its content, whole or in pieces.
        mode: permission bits, to which the umask applies.
        durable: whether to wait for the disk.
    """

    def __init__(
        self,
        files: Files,
        folder: Path,
        data: bytes | Iterable[bytes],
        *,
        mode: int = 0o666,
        durable: bool = True,
    ) -> None:
        self._files = files
        self._folder = folder
        self._data = data
        self._mode = mode
        self._durable = durable
        self._descriptor: int | None = None
        self.path = folder
        self.identity = Identity(0, 0)

    def __enter__(self) -> Self:
        try:
            self._create()
            self._fill()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    def _create(self) -> None:
        """Make and lock it. Between the two, another process may take it for abandoned: then make another."""
        while True:
            path = self._folder / temp_name(secrets.token_hex(8))
            self._descriptor = self._files.create(path, self._mode)
            self.path = path
            with suppress(OSError):  # no locks on this file system: nobody there removes what may be in use
                self._files.lock(self._descriptor)
            status = self._files.fstat(self._descriptor)
            if status.st_nlink:
                self.identity = Identity.of(status)
                return
            self._close()

    def _fill(self) -> None:
        if self._descriptor is None:
            raise ValueError("not created")
        for piece in (self._data,) if isinstance(self._data, bytes) else self._data:
            self._files.write(self._descriptor, piece)
        if self._durable:
            self._files.fsync(self._descriptor)
        if _WINDOWS:  # an open file could not be renamed
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._files.close(descriptor)

    def rename(self, name: str) -> None:
        """Give it another temporary name."""
        path = self._folder / name
        self._files.replace(self.path, path)
        self.path = path

    def _discard(self) -> None:
        if _WINDOWS:
            with suppress(OSError):
                self._close()
        if self.path != self._folder:
            with suppress(OSError):  # what stays is hidden, and `clean_stale` removes it
                self._files.unlink(self.path)
        with suppress(OSError):
            self._close()


def temp_name(token: str) -> str:
    """Return the name of a temp file, by which `clean_stale` and the watch folders' filters know it."""
    return f".dropscribe-{token}.tmp"


def clean_stale(files: Files, folder: Path, listing: list[str]) -> None:
    """Remove temp files that a killed process left; those that a live process has locked stay.

    Where the file system has no locks, all stay: they are small and hidden.
    """
    for name in listing:
        if name.startswith(".dropscribe-") and _TEMP_NAME.match(name):
            with suppress(OSError):
                is_abandoned(files, folder / name, remove=True)


def read_regular(files: Files, path: Path, *, sizes: Container[int] | None = None) -> tuple[bytes, Identity] | None:
    """Read a regular file, and say which one it was.

    Args:
        files: the file system.
        path: never followed if it is a link.
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


def is_abandoned(files: Files, path: Path, *, remove: bool = False) -> bool | None:
    """Whether a temp file is there that no live process has locked; None if nothing is there.

    Where the file system has no locks, none counts as abandoned.

    Args:
        files: the file system.
        path: of the temp file.
        remove: whether to remove it then.

    Raises:
        OSError: it can't be opened, or can't be removed.
    """
    try:
        if not stat.S_ISREG(files.lstat(path).st_mode):
            return False
    except FileNotFoundError:
        return None
    descriptor = files.open(path)
    try:
        abandoned = not _is_locked(files, descriptor)
        if remove and abandoned and not _WINDOWS:
            files.unlink(path)
    finally:
        files.close(descriptor)
    if remove and abandoned and _WINDOWS:
        files.unlink(path)
    return abandoned


def _is_locked(files: Files, descriptor: int) -> bool:
    try:
        return files.is_locked(descriptor)
    except OSError:
        return True
