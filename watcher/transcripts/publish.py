"""Gives a finished temp file its final name, without ever replacing an existing file.

Three ways, the best that the file system has:

1. `link`, which fails if the name is taken; the temporary name goes afterwards.
2. A rename that never replaces, where there are no hard links (FAT, some network shares, Windows).
3. Elsewhere: reserve the name with a note of ours, made with O_EXCL, then rename over just that note. The
   temp file's name announces it and the note tells whose it is, so a later run recognises what a crash left.
"""

from __future__ import annotations

import errno
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from watcher.transcripts.files import Identity, read_regular
from watcher.transcripts.tempfiles import is_abandoned, temp_name

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.transcripts.files import Files
    from watcher.transcripts.tempfiles import TempFile

__all__ = ["RESERVED", "publish", "release_reserved", "withdraw"]

RESERVED = b"Dropscribe is about to write this transcript. (Left by a crash: the next run goes on from here.)\n"
"""The content of a reserved file until the transcript replaces it."""

# link(2): EPERM where the file system has no links, EXDEV and EMLINK where this file can't have another;
# network file systems and Android also say the others.
_NO_LINK = frozenset(
    {
        errno.EPERM,
        errno.EACCES,
        errno.ENOSYS,
        errno.ENOTSUP,
        errno.EOPNOTSUPP,
        errno.EMLINK,
        errno.EXDEV,
        errno.EINVAL,
    }
)
_NO_RENAME = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def publish(files: Files, temp: TempFile, target: Path) -> None:
    """Publish the temp file's content at the target.

    Raises:
        FileExistsError: something stands there; it was left as it is.
        OSError: it can't be done. Where the file system did it all the same, `withdraw` undoes it.
    """
    try:
        files.link(temp.path, target)
    except OSError as error:
        if _is_done(files, temp, target):
            return
        if error.errno not in _NO_LINK:
            raise
    else:
        return
    try:
        files.rename_noreplace(temp.path, target)
    except OSError as error:
        if error.errno not in _NO_RENAME:
            raise
    else:
        return
    _reserve_and_rename(files, temp, target)


def _is_done(files: Files, temp: TempFile, target: Path) -> bool:
    """Whether a failed link exists all the same: network file systems repeat requests, and the second one fails."""
    try:
        return Identity.of(files.lstat(target)) == temp.identity
    except OSError:
        return False


def withdraw(files: Files, target: Path, identity: Identity, content: bytes) -> None:
    """Remove the file that `publish` has just put there, if it is unchanged."""
    with suppress(OSError):  # what can't be withdrawn holds our bytes, and counts as published next time
        found = read_regular(files, target, sizes=(len(content),))
        if found == (content, identity):
            files.unlink(target)


def release_reserved(files: Files, target: Path) -> bool:
    """Free a name that a killed process had reserved.

    Returns:
        Whether it was one: it holds our note, or a beginning of it beside a temp file that announces it; and no
        live process is at work on it.
    """
    found = read_regular(files, target, sizes=range(len(RESERVED) + 1))
    if found is None or not RESERVED.startswith(found[0]):
        return False
    announced = is_abandoned(files, target.with_name(_announcing_name(target)))
    if announced is False or (announced is None and found[0] != RESERVED):
        return False
    files.unlink(target)
    return True


def _reserve_and_rename(files: Files, temp: TempFile, target: Path) -> None:
    temp.rename(_announcing_name(target))
    identity = _reserve(files, target)
    try:
        # A person who saved something under this name since then has replaced our note, or its content.
        if read_regular(files, target, sizes=(len(RESERVED),)) != (RESERVED, identity):
            raise FileExistsError(errno.EEXIST, "taken since it was reserved", str(target))
        files.replace(temp.path, target)
    except OSError:
        _take_note_back(files, target, identity)
        raise


def _announcing_name(target: Path) -> str:
    return temp_name(hashlib.sha256(target.name.encode("utf-8", "surrogatepass")).hexdigest()[:16])


def _reserve(files: Files, target: Path) -> Identity:
    identity = None
    try:
        descriptor = files.create(target)
        try:
            identity = Identity.of(files.fstat(descriptor))
            files.write(descriptor, RESERVED)
        finally:
            files.close(descriptor)
    except FileExistsError:
        raise
    except OSError:
        _take_note_back(files, target, identity)
        raise
    return identity


def _take_note_back(files: Files, target: Path, identity: Identity | None) -> None:
    """Remove our note from a reserved name; if writing it failed, the note is truncated or empty."""
    with suppress(OSError):
        found = read_regular(files, target, sizes=range(len(RESERVED) + 1))
        if found is not None and RESERVED.startswith(found[0]) and identity in (None, found[1]):
            files.unlink(target)
