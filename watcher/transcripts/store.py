"""Stores the service's results unchanged, before any output is published."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from watcher.errors import describe_os_error
from watcher.models import OutputFormat
from watcher.transcripts.errors import DamagedTranscript
from watcher.transcripts.files import Files, read_regular
from watcher.transcripts.tempfiles import TempFile, clean_stale

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["TranscriptStore"]

_UID = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700


class _Original(msgspec.Struct, frozen=True):
    sha256: str
    content: bytes


class _Record(msgspec.Struct, frozen=True):
    """The content of a file in the store: msgpack, compressed by gzip."""

    version: int
    originals: dict[str, _Original]


_VERSION = 1


class TranscriptStore:
    """The service's original bytes of every transcript, one file per entry.

    A file is replaced as a whole and is on the disk when `put` returns. Each format carries its SHA-256,
    which is checked on reading.

    Args:
        folder: the state directory's `transcripts`.
        files: the file system.
    """

    def __init__(self, folder: Path, *, files: Files | None = None) -> None:
        self._folder = folder
        self._files = files or Files()

    def put(self, uid: str, originals: Mapping[OutputFormat, bytes]) -> None:
        """Store a transcript. Formats stored earlier are kept unless they are given again.

        Args:
            uid: the entry's id.
            originals: the service's results, by format.

        Raises:
            NoSpace: the disk is full; what was kept before is still there.
            NotWritable: the store can't be written to; likewise.
        """
        path = self._path(uid)
        kept: dict[OutputFormat, bytes] = {}
        with suppress(FileNotFoundError, DamagedTranscript):
            kept = self.get(uid)
        data = _encode({**kept, **originals})
        try:
            for folder in (self._folder, path.parent):
                self._make_folder(folder)
            clean_stale(self._files, path.parent, self._files.listdir(path.parent))
            with TempFile(self._files, path.parent, data, mode=_PRIVATE_FILE) as temp:
                self._files.replace(temp.path, path)
            self._files.fsync_folder(path.parent)
        except OSError as error:
            raise describe_os_error(error, doing=f"keep a transcript in {path}") from error

    def get(self, uid: str) -> dict[OutputFormat, bytes]:
        """Return what is stored for an entry.

        Raises:
            FileNotFoundError: nothing was.
            DamagedTranscript: it can't be read, or is not what was kept; fetch it again and `put` it.
        """
        path = self._path(uid)
        try:
            found = read_regular(self._files, path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise DamagedTranscript(f"The transcript kept in {path} can't be read: {error.strerror}.") from error
        if found is None:
            raise DamagedTranscript(f"The transcript kept in {path} is not a file.")
        originals = _decode(found[0])
        if originals is None:
            raise DamagedTranscript(f"The transcript kept in {path} is damaged.")
        return originals

    def remove(self, uid: str) -> None:
        """Remove a transcript, if there is one.

        Raises:
            NotWritable: it can't be removed.
        """
        path = self._path(uid)
        try:
            self._files.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise describe_os_error(error, doing=f"remove {path}") from error

    def _path(self, uid: str) -> Path:
        """Return an entry's file. Files are spread over folders: some file systems are slow with 100,000 names."""
        if not _UID.match(uid):
            raise ValueError(f"not an entry's uid: {uid!r}")
        shard = hashlib.sha256(uid.encode()).hexdigest()[:2]
        return self._folder / shard / f"{uid}.msgpack.gz"

    def _make_folder(self, folder: Path) -> None:
        try:
            self._files.mkdir(folder, _PRIVATE_FOLDER)
        except FileExistsError:
            return
        self._files.fsync_folder(folder.parent)


def _encode(originals: Mapping[OutputFormat, bytes]) -> bytes:
    entries = {
        format_.value: _Original(hashlib.sha256(content).hexdigest(), content) for format_, content in originals.items()
    }
    return gzip.compress(msgspec.msgpack.encode(_Record(_VERSION, entries)), mtime=0)


def _decode(data: bytes) -> dict[OutputFormat, bytes] | None:
    """Return the originals; None if the file is damaged."""
    try:
        record = msgspec.msgpack.decode(gzip.decompress(data), type=_Record)
        originals = {OutputFormat(name): original.content for name, original in record.originals.items()}
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError, ValueError):
        return None
    whole = all(hashlib.sha256(o.content).hexdigest() == o.sha256 for o in record.originals.values())
    return originals if whole and record.version == _VERSION else None
