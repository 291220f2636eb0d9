"""What `after` says is done with a recording, once its outputs are safe: moved, put into the trash, or deleted.

Each step may be the process's last, and may be repeated: at any instant the recording is whole at its old place or at
the new one, and nothing that stands at the new one is replaced.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from typing import TYPE_CHECKING

import send2trash

from watcher.errors import NotWritable, RecordingError, SourceChanged
from watcher.scheduler.presence import exists
from watcher.transcripts.publish import publish, release_reserved
from watcher.transcripts.tempfiles import TempFile, clean_stale

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from watcher.models import Entry, Output, WatchFolder
    from watcher.transcripts.files import Files

__all__ = ["move", "put_away"]

_PIECE = 1 << 20
_NO_RENAME = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def put_away(entry: Entry, after: str, folder: WatchFolder, outputs: Sequence[Output], *, files: Files) -> str:
    """Do with a recording what `after` says.

    Args:
        entry: of the recording; DONE.
        after: `trash`, `delete` or `move:DIR`.
        folder: the watch folder, from whose path a relative DIR is taken.
        outputs: what was written for it.
        files: the file system.

    Returns:
        What became of it, in a sentence.

    Raises:
        RecordingError: it stays where it is, for good.
        OutputError, OSError: it can't be done now.
    """
    for place in (entry.root, *(output.path.parent for output in outputs)):
        if not place.is_dir():
            raise NotWritable(f"The folder {place} is not there.")
    target = _target(entry, after, folder) if after.startswith("move:") else None
    if not exists(entry.path):
        if target and _is_same(entry, target, files):
            return f"The recording was moved to {target}."
        return "The recording is not at its path any more."
    if not _is_same(entry, entry.path, files):
        raise SourceChanged("it changed after it was transcribed.")
    for output in outputs:
        if not exists(output.path):
            raise RecordingError(f"its transcript {output.path.name} is not there any more.")
    if target:
        move(entry, target, files=files)
        return f"The recording was moved to {target}."
    if after == "delete":
        files.unlink(entry.path)
        files.fsync_folder(entry.path.parent)
        return "The recording was deleted, as its folder's `after` says."
    send2trash.send2trash(entry.path)
    return "The recording was put into the trash."


def _target(entry: Entry, after: str, folder: WatchFolder) -> Path:
    directory = folder.path / os.path.expanduser(after.removeprefix("move:"))  # noqa: PTH111 - joined to a Path
    return directory / entry.path.relative_to(entry.root)


def _is_same(entry: Entry, path: Path, files: Files) -> bool:
    """Whether what was transcribed stands at a path, as far as size and time tell; OSError if that can't be told."""
    try:
        found = files.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return (found.st_size, found.st_mtime_ns) == (entry.fingerprint.size, entry.fingerprint.mtime_ns)


def move(entry: Entry, target: Path, *, files: Files) -> None:
    """Move a recording; across file systems by a copy that is whole, on the disk and compared before it counts.

    Raises:
        RecordingError: something else stands at the target, or the recording is not what it was.
        OSError: it can't be moved now.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        files.rename_noreplace(entry.path, target)
    except OSError as error:
        if not isinstance(error, FileExistsError) and error.errno not in _NO_RENAME:
            raise
        is_copied = _is_copied(entry, target, files)
        clean_stale(files, target.parent, files.listdir(target.parent))
        if not is_copied:
            _copy(entry, target, files)
        if not _is_same(entry, entry.path, files):
            raise SourceChanged(f"it changed while it was copied; what it was is at {target}.") from None
        files.unlink(entry.path)
    files.fsync_folder(target.parent)
    files.fsync_folder(entry.path.parent)


def _is_copied(entry: Entry, target: Path, files: Files) -> bool:
    """Whether a copy that a killed process made stands at the target already; RecordingError if something else does."""
    if not exists(target) or release_reserved(files, target):
        return False
    if not _is_same(entry, target, files) or _digest(target) != entry.fingerprint.sha256:
        raise RecordingError(f"something stands at {target} already.")
    return True


def _copy(entry: Entry, target: Path, files: Files) -> None:
    digest = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        for piece in _pieces(entry.path):
            digest.update(piece)
            yield piece

    mode = files.lstat(entry.path).st_mode & 0o777
    with TempFile(files, target.parent, pieces(), mode=mode) as temp:
        if digest.hexdigest() != entry.fingerprint.sha256:
            raise SourceChanged("it changed after it was transcribed.")
        shutil.copystat(entry.path, temp.path)
        publish(files, temp, target)
        files.fsync_folder(target.parent)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(path):
        digest.update(piece)
    return digest.hexdigest()
