"""Fingerprints: a recording's size, its mtime and the SHA-256 of its bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import TYPE_CHECKING

from watcher.errors import SourceChanged, Unreadable
from watcher.folders.model import kind_of
from watcher.models import Fingerprint
from watcher.nofollow import open_below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["fingerprint", "open_recording"]

_BLOCK = 1 << 20


def fingerprint(path: Path, root: Path | None = None) -> Fingerprint:
    """Read a whole recording and return its fingerprint. Blocking: call it in a thread.

    Args:
        path: the recording.
        root: its watch folder; symbolic links below it are not followed. None: the recording's own folder.

    Raises:
        Unreadable: it can't be opened or read, or is not a regular file.
        SourceChanged: it was written, replaced or truncated during the read.
    """
    with open_recording(path, root) as descriptor:
        before = os.fstat(descriptor)
        digest = hashlib.sha256()
        read = 0
        buffer = bytearray(min(_BLOCK, before.st_size + 1))
        view = memoryview(buffer)
        while count := _read_into(descriptor, view, path):
            digest.update(view[:count])
            read += count
        after = os.fstat(descriptor)
    changed = (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
    if changed or read != before.st_size:
        raise SourceChanged(
            f"{path} changed while it was being read.",
            fix="Dropscribe waits until the file stops changing and then takes it.",
        )
    return Fingerprint(size=after.st_size, mtime_ns=after.st_mtime_ns, sha256=digest.hexdigest())


@contextlib.contextmanager
def open_recording(path: Path, root: Path | None = None) -> Iterator[int]:
    """Open a regular file for reading, without blocking on anything else.

    An ordinary open of a named pipe would block until something writes to it.

    Args:
        path: the file.
        root: a folder above it, below which symbolic links are not followed. None: the file's own folder.

    Yields:
        Its descriptor.

    Raises:
        Unreadable: it can't be opened, or is not a regular file.
    """
    try:
        descriptor = open_below(root or path.parent, path)
    except OSError as error:
        raise unreadable(path, error) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise Unreadable(f"{path} is a {kind_of(mode)}, not a file.", fix="Put a recording in its place.")
        yield descriptor
    finally:
        os.close(descriptor)


def unreadable(path: Path, error: OSError) -> Unreadable:
    """Turn an OS error from opening or reading a file into an error that a person can act on."""
    if isinstance(error, FileNotFoundError):
        return Unreadable(f"{path} is no longer there.", fix="Put it back, and Dropscribe takes it again.")
    if isinstance(error, PermissionError):
        return Unreadable(
            f"{path} can't be read: permission denied.",
            fix="Give this user read permission; Dropscribe then takes the file.",
        )
    return Unreadable(f"{path} can't be read: {error.strerror or error}.", fix="Check the disk or share it is on.")


def _read_into(descriptor: int, view: memoryview, path: Path) -> int:
    try:
        return os.readv(descriptor, [view]) if hasattr(os, "readv") else _read_plain(descriptor, view)
    except OSError as error:
        raise unreadable(path, error) from None


def _read_plain(descriptor: int, view: memoryview) -> int:
    data = os.read(descriptor, len(view))
    view[: len(data)] = data
    return len(data)
