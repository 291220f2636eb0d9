"""Audio on disk: uploads that may still fail, and the recordings of accepted jobs."""

import os
import sys
from collections.abc import Collection
from pathlib import Path

from service.batch_server.job import new_id


class AudioFiles:
    """Two folders: one for uploads in progress, one for accepted recordings, with a file per job named by its id.

    Both are created, for this user only, if they don't exist.

    Raises:
        OSError: If they can't be created.
    """

    def __init__(self, data_dir: Path) -> None:
        self._accepted = data_dir / "audio"
        self._uploads = data_dir / "uploads"
        for folder in (data_dir, self._accepted, self._uploads):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def upload(self) -> Path:
        """Return a new path for an upload that may still fail."""
        return self._uploads / new_id()

    def of(self, job_id: str) -> Path:
        """Return the path of a job's audio."""
        return self._accepted / job_id

    def accept(self, upload: Path, job_id: str) -> Path:
        """Turn an upload, already flushed to disk, into a job's audio, which survives a power failure."""
        path = upload.rename(self.of(job_id))
        _sync_folder(self._accepted)
        return path

    def remove(self, job_id: str) -> None:
        """Remove a job's audio, if it still exists."""
        self.of(job_id).unlink(missing_ok=True)

    def remove_all_but(self, job_ids: Collection[str]) -> None:
        """Remove what a crash left behind: unfinished uploads, and the audio of all jobs except the given ones."""
        for upload in self._uploads.iterdir():
            upload.unlink()
        for audio in self._accepted.iterdir():
            if audio.name not in job_ids:
                audio.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power failure (Windows does that itself, and can't open folders)."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
