"""Creates, locks, fills and removes our temp files, including those left by a killed process."""

from __future__ import annotations

import re
import secrets
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from watcher.transcripts.files import Identity

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from watcher.transcripts.files import Files

__all__ = ["TempFile", "clean_stale", "is_abandoned", "temp_name"]

_TEMP_NAME = re.compile(r"\.dropscribe-[0-9a-f]{16}\.tmp\Z")
_WINDOWS = sys.platform == "win32"


class TempFile:
    """A file with a hidden name, complete and synced to disk, and locked while this process needs it.

    Used as a context: on leaving, its temporary name is gone.

    Args:
        files: the file system.
        folder: the folder of the final file, so that a rename suffices to publish it.
        data: its content, as one piece or several.
        mode: permission bits, to which the umask applies.
        durable: whether to sync to disk.
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
        """Create and lock it. If another process takes it for abandoned in between, create another one."""
        while True:
            path = self._folder / temp_name(secrets.token_hex(8))
            self._descriptor = self._files.create(path, self._mode)
            self.path = path
            with suppress(OSError):  # no locks on this file system: nobody there removes what may be in use
                self._files.lock(self._descriptor)
            try:
                self._files.lstat(path)
            except FileNotFoundError:
                self._close()
                continue
            self.identity = Identity.of(self._files.fstat(self._descriptor))
            return

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
    """Remove temp files left by killed processes; those locked by a running process stay.

    Where the file system has no locks, all stay: they are small and hidden.
    """
    for name in listing:
        if name.startswith(".dropscribe-") and _TEMP_NAME.match(name):
            with suppress(OSError):
                is_abandoned(files, folder / name, remove=True)


def is_abandoned(files: Files, path: Path, *, remove: bool = False) -> bool | None:
    """Whether a temp file exists that no running process has locked; None if it doesn't exist.

    Where the file system has no locks, none counts as abandoned.

    Args:
        files: the file system.
        path: the temp file.
        remove: whether to remove it in that case.

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
