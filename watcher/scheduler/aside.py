"""A recording set aside: renamed to a hidden name in its own folder before anything is done that can't be undone.

Under that name nobody else touches it, so what is verified there is what is then removed or moved. The name follows
from the recording's own, so a later run finds what a killed one left: it is finished or put back.
"""

from __future__ import annotations

import errno
import hashlib
from typing import TYPE_CHECKING

from watcher.files import exists
from watcher.scheduler.open_recording import same_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watcher.transcripts.files import Files

__all__ = ["NO_RENAME", "aside_name", "is_second_name", "put_back", "set_aside"]

NO_RENAME = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""What a file system says that has no rename which never replaces."""
_SUFFIX = ".dropscribe-aside"
_LONGEST = 255
"""Bytes of a name on nearly every file system."""


def aside_name(name: str) -> str:
    """The hidden name for a recording of this name; it shows the recording's own where that fits."""
    aside = f".{name}{_SUFFIX}"
    if len(aside.encode("utf-8", "surrogateescape")) <= _LONGEST:
        return aside
    return f".{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}{_SUFFIX}"


def set_aside(files: Files, path: Path, aside: Path) -> None:
    """Rename a file to its hidden name.

    Raises:
        FileExistsError: an earlier one is there still.
        OSError: it can't be renamed.
    """
    _rename(files, path, aside)
    files.fsync_folder(aside.parent)


def put_back(files: Files, aside: Path, path: Path) -> Path:
    """Give a file its own name back, or where something has taken that, a name beside it.

    Returns:
        Where it is then.
    """
    for place in _names(path):
        try:
            _rename(files, aside, place)
        except FileExistsError:
            continue
        files.fsync_folder(place.parent)
        return place
    raise FileExistsError(errno.EEXIST, "every name for it is taken", str(path))


def is_second_name(files: Files, one: Path, other: Path) -> bool:
    """Whether two names are hard links to one file."""
    found = files.lstat(one)
    return found.st_nlink > 1 and same_file(found, files.lstat(other))


def _names(path: Path) -> Iterator[Path]:
    yield path
    for number in range(2, 1000):
        yield path.with_name(f"{path.stem} ({number}){path.suffix}")


def _rename(files: Files, source: Path, target: Path) -> None:
    """Rename without replacing anything, in the best way that the file system has.

    A file system with neither of the first two ways leaves only a look before the rename. A reserved name would
    protect no better there: who opens it writes into a file that the rename then removes. And after a crash, the
    empty reservation would stand where the recording belongs.
    """
    try:
        files.rename_noreplace(source, target)
    except OSError as error:
        if error.errno not in NO_RENAME:
            raise
    else:
        return
    try:
        files.link(source, target)
    except OSError:
        if not exists(target):
            files.replace(source, target)
            return
        if not is_second_name(files, source, target):  # network file systems may make a link and fail all the same
            raise FileExistsError(errno.EEXIST, "taken", str(target)) from None
    files.unlink(source)
