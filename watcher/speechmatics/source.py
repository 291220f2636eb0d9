"""The recording to send: opened, measured, read once and hashed on the way, and checked for changes.

Everything here blocks; the upload calls it in a worker thread.
"""

import contextlib
import hashlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from watcher.speechmatics.errors import SourceChanged, SourceUnreadable

__all__ = ["AudioSource", "Recording", "UploadReceipt"]

AudioSource = str | os.PathLike[str] | BinaryIO | bytes | tuple[str, bytes]
"""A path, an open binary file that can seek, the bytes themselves, or a name with bytes."""

UNNAMED = "audio"


@dataclass(frozen=True, slots=True)
class UploadReceipt:
    """What is about to be committed, when all but the tail of the request has been sent.

    Attributes:
        data_name: The recording's name, as the service will know it; empty for a job that fetches its audio.
        size: Its size in bytes.
        sha256: The SHA-256 of all its bytes, in hex; that of nothing for a job that fetches its audio.
        reference: The job's ``tracking.reference``, if it has one.
        path: Where the recording was read from, if from a path.
        mtime_ns: Its modification time in nanoseconds, the same before and after reading.
    """

    data_name: str
    size: int
    sha256: str
    reference: str | None = None
    path: Path | None = None
    mtime_ns: int | None = None


class Recording:
    """An open recording of known size, read from its start to its end once.

    Attributes:
        name: Its name without folders.
        size: Its size in bytes when it was opened.
        path: Where it is, if it was given by path.
    """

    def __init__(self, file: BinaryIO, name: str, *, path: Path | None = None, owned: bool) -> None:
        self._file = file
        self._owned = owned
        self._hash = hashlib.sha256()
        self._read = 0
        self.name = name
        self.path = path
        self._shown = str(path) if path else name
        self._stat = _stat(file)
        if self._stat is not None and path is not None and not stat.S_ISREG(self._stat.st_mode):
            raise SourceUnreadable(f"{path} is not a regular file.")
        self.size = self._measure()

    @classmethod
    def open(cls, source: AudioSource, name: str | None = None) -> Self:
        """Open a recording.

        Args:
            source: What to send.
            name: The name to give it, instead of the file's own.

        Raises:
            SourceUnreadable: It can't be opened or measured.
        """
        if isinstance(source, tuple):
            return cls(io.BytesIO(source[1]), name or source[0] or UNNAMED, owned=True)
        if isinstance(source, (bytes, bytearray, memoryview)):
            return cls(io.BytesIO(source), name or UNNAMED, owned=True)
        if isinstance(source, (str, os.PathLike)):
            path = Path(source)
            try:
                file = path.open("rb", buffering=0)
            except OSError as error:
                raise SourceUnreadable(f"{path} can't be read: {error.strerror or error}.") from error
            try:
                return cls(file, name or path.name, path=path, owned=True)
            except BaseException:
                file.close()
                raise
        file_name = getattr(source, "name", None)
        own_name = Path(file_name).name if isinstance(file_name, str) else UNNAMED
        return cls(source, name or own_name, owned=False)

    def read(self, size: int) -> bytes:
        """Read and hash exactly so many bytes.

        Raises:
            SourceChanged: The recording ended early.
            SourceUnreadable: It can't be read.
        """
        pieces = []
        wanted = size
        while wanted:
            try:
                piece = self._file.read(wanted)
            except (OSError, ValueError) as error:
                raise SourceUnreadable(f"{self._shown} can't be read: {error}.") from error
            if not piece:
                raise SourceChanged(
                    f"{self._shown} became shorter while it was being sent: it had {self.size} "
                    f"bytes, and ended after {self._read}."
                )
            self._hash.update(piece)
            self._read += len(piece)
            wanted -= len(piece)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def check_unchanged(self) -> None:
        """Check, after the last byte was read, that the recording is still the one that was opened.

        Raises:
            SourceChanged: It grew, was written to, or its path now leads to another file.
            SourceUnreadable: It can't be looked at any more.
        """
        try:
            if self._file.read(1):
                raise SourceChanged(f"{self._shown} grew while it was being sent, beyond {self.size} bytes.")
            now = _stat(self._file)
            at_path = os.stat(self.path) if self.path else None  # noqa: PTH116 - the type of os.fstat
        except FileNotFoundError as error:
            raise SourceChanged(f"{self._shown} was removed or renamed while it was being sent.") from error
        except (OSError, ValueError) as error:
            raise SourceUnreadable(f"{self._shown} can't be read: {error}.") from error
        if self._stat is None or now is None:
            return
        if _identity(now) != _identity(self._stat):
            raise SourceChanged(f"{self._shown} was written to while it was being sent.")
        if at_path is not None and _identity(at_path) != _identity(self._stat):
            raise SourceChanged(f"{self._shown} was replaced by another file while it was being sent.")

    def receipt(self, reference: str | None) -> UploadReceipt:
        """What was read."""
        return UploadReceipt(
            data_name=self.name,
            size=self.size,
            sha256=self._hash.hexdigest(),
            reference=reference,
            path=self.path,
            mtime_ns=self._stat.st_mtime_ns if self._stat else None,
        )

    def close(self) -> None:
        """Close the file, unless the caller opened it."""
        if self._owned:
            # It was only read. A share that has gone away must not cost the id of a job just created.
            with contextlib.suppress(OSError):
                self._file.close()

    def _measure(self) -> int:
        try:
            start = self._file.tell()
            end = self._file.seek(0, os.SEEK_END)
            self._file.seek(start)
        except (OSError, ValueError, AttributeError) as error:
            raise SourceUnreadable(
                f"{self._shown} can't be measured: an upload needs a file that can seek. Save it to disk first."
            ) from error
        return end - start


def _stat(file: BinaryIO) -> os.stat_result | None:
    try:
        return os.fstat(file.fileno())
    except (OSError, ValueError, AttributeError):
        return None  # not a file of the operating system


def _identity(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
