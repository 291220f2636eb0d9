"""A recording opened so that it can only be the one in the ledger, whatever is swapped at its path meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.errors import SourceChanged
from watcher.folders.fingerprint import unreadable
from watcher.nofollow import IsALink, open_below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watcher.models import Entry

__all__ = ["OpenRecording", "ReplacedByLink", "same_file", "verified"]

_PIECE = 1 << 20
_CLOCK_STEP = 1.0
"""Seconds that a file's change time must lie before the entry's, so that no step of a clock hides a change."""


class ReplacedByLink(SourceChanged):
    """A symbolic link took the place of the recording, or of a folder on the way to it."""


@dataclass(frozen=True, slots=True)
class OpenRecording:
    """An open recording whose content is what the ledger says.

    Attributes:
        entry: its entry.
        descriptor: open for reading, at the start.
        status: what `fstat` said when it was verified.
    """

    entry: Entry
    descriptor: int
    status: os.stat_result

    def check_still_there(self) -> None:
        """Check that it has not been written to since it was verified, and that its path still leads to it.

        Raises:
            SourceChanged: it was written to, replaced, moved or removed.
            Unreadable: that can't be found out.
        """
        path = self.entry.path
        if not same_file(os.fstat(self.descriptor), self.status):
            raise SourceChanged(f"{path} was written to while it was uploaded; nothing was submitted.")
        with _opened(self.entry) as now:
            if not same_file(os.fstat(now), self.status):
                raise SourceChanged(f"{path} was replaced while it was uploaded; nothing was submitted.")


@contextlib.contextmanager
def verified(entry: Entry) -> Iterator[OpenRecording]:
    """Open a recording without following links, and check that it is the one in the ledger.

    Its size and modification time must be the same. Where its change time does not prove that nothing has happened
    to it since it was taken in, its content is read and compared too. Blocking.

    Raises:
        SourceChanged: something else is at its path.
        Unreadable: it can't be opened or read.
    """
    with _opened(entry) as descriptor:
        status = os.fstat(descriptor)
        expected = entry.fingerprint
        if not stat.S_ISREG(status.st_mode):
            raise SourceChanged(f"{entry.path} is not a file any more.")
        if (status.st_size, status.st_mtime_ns) != (expected.size, expected.mtime_ns):
            raise SourceChanged(f"{entry.path} changed after it was found.")
        if not _is_untouched(status, entry):
            if _digest(descriptor, entry.path) != expected.sha256:
                raise SourceChanged(f"{entry.path} was replaced by other content of the same size and time.")
            if not same_file(os.fstat(descriptor), status):
                raise SourceChanged(f"{entry.path} changed while it was read.")
        yield OpenRecording(entry, descriptor, status)


def same_file(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether two looks found the same file, not written to in between as far as size and time tell."""
    return _identity(one) == _identity(other)


def _identity(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextlib.contextmanager
def _opened(entry: Entry) -> Iterator[int]:
    try:
        descriptor = open_below(entry.root, entry.path)
    except IsALink as error:
        what = f"{entry.path}: a symbolic link took its place, or that of a folder on the way to it."
        raise ReplacedByLink(what) from error
    except OSError as error:
        raise unreadable(entry.path, error) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_untouched(status: os.stat_result, entry: Entry) -> bool:
    """Whether the file's change time proves that it is what was taken in.

    Writing, linking and (nearly everywhere) renaming set it, and no program can choose it. Windows has none.
    """
    return os.name == "posix" and status.st_ctime < entry.added_at - _CLOCK_STEP


def _digest(descriptor: int, path: Path) -> str:
    digest = hashlib.sha256()
    try:
        while piece := os.read(descriptor, _PIECE):
            digest.update(piece)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError as error:
        raise unreadable(path, error) from None
    return digest.hexdigest()
