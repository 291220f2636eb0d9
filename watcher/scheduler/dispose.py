"""What `after` says is done with a recording, once its outputs are safe: moved, put into the trash, or deleted.

Before anything that can't be undone, the file is opened and verified (by its content, where its change time does not
prove it), set aside under a hidden name, and compared with what was verified: only that very file is deleted or moved.
What is not the recording is put back.

Each step may be the process's last, and may be repeated: at any instant the recording is whole at its old place, at the
new one, or set aside, from where the next run puts it back; and nothing that stands at any of these is replaced.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import send2trash

from watcher.errors import NotWritable, RecordingError, SourceChanged
from watcher.files import exists
from watcher.folders.stability.open_files import open_for_writing
from watcher.nofollow import folder_below
from watcher.scheduler.aside import NO_RENAME, aside_name, is_second_name, put_back, set_aside
from watcher.scheduler.open_recording import same_file, verified
from watcher.transcripts.publish import publish, release_reserved
from watcher.transcripts.tempfiles import TempFile, clean_stale

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from watcher.models import Entry, Output, WatchFolder
    from watcher.transcripts.files import Files

__all__ = ["put_away", "restore"]

_PIECE = 1 << 20
_COPY_INSTEAD = NO_RENAME | {errno.EXDEV}


@dataclass(frozen=True, slots=True)
class _Work:
    """A recording to put away: where to (None: nowhere), and what `fstat` said when it was verified."""

    entry: Entry
    folder: WatchFolder
    target: Path | None
    status: os.stat_result
    files: Files


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
    if note := restore(entry.path, files=files):
        raise RecordingError(note)
    for place in (entry.root, *(output.path.parent for output in outputs)):
        if not place.is_dir():
            raise NotWritable(f"The folder {place} is not there.")
    target = _target(entry, after, folder) if after.startswith("move:") else None
    if not exists(entry.path):
        if target and _is_same(entry, target, files):
            return f"The recording was moved to {target}."
        return "The recording is not at its path any more."
    work = _Work(entry, folder, target, _verify(entry), files)
    _check_outputs(outputs)
    if after == "trash":
        return _trash(work)
    with folder_below(entry.root, entry.path.parent) as place:
        _set_aside_and_finish(work, place)
    if target:
        return f"The recording was moved to {target}."
    return "The recording was deleted, as its folder's `after` says."


def restore(path: Path, *, files: Files) -> str:
    """Put back what a killed run left set aside.

    Args:
        path: the recording's own path.
        files: the file system.

    Returns:
        What to tell the person, where something else had taken its name; empty if all is as it was.

    Raises:
        OSError: it can't be put back now.
    """
    aside = path.with_name(aside_name(path.name))
    if not exists(aside):
        return ""
    if exists(path) and is_second_name(files, aside, path):
        files.unlink(aside)
        return ""
    place = put_back(files, aside, path)
    if place == path:
        return ""
    return f"another file took its name while it was set aside; it is {place.name} now, and both are kept."


def _verify(entry: Entry) -> os.stat_result:
    """Check that what was transcribed is at the entry's path, and that nobody is writing to it."""
    try:
        with verified(entry) as recording:
            if open_for_writing(recording.descriptor):
                raise NotWritable(f"A program has {entry.path} open for writing.")
            return recording.status
    except SourceChanged as error:
        raise SourceChanged(f"it is not what was transcribed: {error.message}") from error


def _check_outputs(outputs: Sequence[Output]) -> None:
    for output in outputs:
        if not exists(output.path):
            raise RecordingError(f"its transcript {output.path.name} is not there any more.")


def _trash(work: _Work) -> str:
    """Put it into the trash under its own name, so that it can be restored to its place."""
    if not same_file(work.files.lstat(work.entry.path), work.status):
        raise SourceChanged("it changed after it was transcribed.")
    send2trash.send2trash(work.entry.path)
    return "The recording was put into the trash."


def _set_aside_and_finish(work: _Work, place: Path) -> None:
    path = place / work.entry.path.name
    try:
        if work.target:
            _move(work, path, work.target)
        else:
            work.files.unlink(_set_aside(work, path))
            work.files.fsync_folder(place)
    except Exception as error:
        note = restore(path, files=work.files)
        if note and isinstance(error, RecordingError):
            raise type(error)(f"{error.message} Besides, {note}") from error
        raise


def _set_aside(work: _Work, path: Path) -> Path:
    """Set what stands at a path aside, and check that it is the recording."""
    aside = path.with_name(aside_name(path.name))
    set_aside(work.files, path, aside)
    _check_aside(aside, work.status, work.files)
    return aside


def _check_aside(aside: Path, status: os.stat_result, files: Files) -> None:
    """Check that what was set aside is what was verified, and that nobody has begun to write to it."""
    descriptor = files.open(aside)
    try:
        if not same_file(files.fstat(descriptor), status):
            raise SourceChanged("another file took its place, or it was written to, just before.")
        if open_for_writing(descriptor):
            raise NotWritable("A program has just opened it for writing.")
    finally:
        files.close(descriptor)


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


def _move(work: _Work, path: Path, target: Path) -> None:
    """Move a recording; across file systems by a copy that is whole and on the disk before it counts.

    A copy is made while the recording is still at its place: it is aside only for moments.

    Raises:
        RecordingError: something else stands at the target, the target is where it is already, or the recording is not
            what it was.
        OSError: it can't be moved now.
    """
    files = work.files
    with _opened_target(work, target) as place:
        if os.path.samestat(place.stat(), path.parent.stat()):
            raise RecordingError("`after` names the folder that it is in.")
        new = place / target.name
        is_copied = _is_copied(work.entry, new, target, files)
        if is_copied or not _is_renamed(work, path, new, target):
            clean_stale(files, place, files.listdir(place))
            if not is_copied:
                _copy(work, path, new)
            try:
                aside = _set_aside(work, path)
            except SourceChanged as error:
                raise SourceChanged(f"{error.message} What was transcribed is at {target}.") from error
            if not _is_same(work.entry, new, files):  # it was no copy: both names led to this very file
                raise RecordingError(f"no copy of it stands at {target}.")
            files.unlink(aside)
        files.fsync_folder(place)
        files.fsync_folder(path.parent)


def _is_renamed(work: _Work, path: Path, new: Path, target: Path) -> bool:
    """Rename a recording to its new place; returns False, with the recording at its old one, if it must be copied."""
    files = work.files
    if new.parent.stat().st_dev != work.status.st_dev:
        return False
    aside = _set_aside(work, path)
    try:
        files.rename_noreplace(aside, new)
    except FileExistsError as error:
        raise _taken(target) from error
    except OSError as error:
        if error.errno not in _COPY_INSTEAD:
            raise
        if note := restore(path, files=files):
            raise SourceChanged(note) from error
        return False
    return True


def _taken(target: Path) -> RecordingError:
    return RecordingError(f"something stands at {target} already.")


def _opened_target(work: _Work, target: Path) -> AbstractContextManager[Path]:
    """Open the folder that a recording is moved to, made where it is missing; no link below its root is followed."""
    directory = target.parents[len(work.entry.path.relative_to(work.entry.root).parts) - 1]
    below = directory.is_relative_to(work.folder.path) and ".." not in directory.parts
    root = work.folder.path if below else directory
    root.mkdir(parents=True, exist_ok=True)
    return folder_below(root, target.parent, mkdir=work.files.mkdir)


def _is_copied(entry: Entry, new: Path, target: Path, files: Files) -> bool:
    """Whether a copy that a killed process made stands at the target already; RecordingError if something else does."""
    if not exists(new) or release_reserved(files, new):
        return False
    if not _is_same(entry, new, files) or _digest(new) != entry.fingerprint.sha256:
        raise _taken(target)
    return True


def _copy(work: _Work, path: Path, new: Path) -> None:
    files, digest = work.files, hashlib.sha256()
    descriptor = files.open(path)

    def pieces() -> Iterator[bytes]:
        while piece := os.read(descriptor, _PIECE):
            digest.update(piece)
            yield piece

    try:
        with TempFile(files, new.parent, pieces(), mode=work.status.st_mode & 0o777) as temp:
            if digest.hexdigest() != work.entry.fingerprint.sha256:
                raise SourceChanged("it changed after it was transcribed.")
            shutil.copystat(path, temp.path)
            publish(files, temp, new)
            files.fsync_folder(new.parent)
    finally:
        files.close(descriptor)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
