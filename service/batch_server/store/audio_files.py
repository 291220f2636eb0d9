"""The audio on disk: uploads that may yet fail, and the recordings of accepted jobs."""

import os
import sys
from collections.abc import Collection
from pathlib import Path

from service.batch_server.job import new_id


class AudioFiles:
    """Two folders: one for what is being received, one for what was accepted, a file per job under its id.

    Args:
        data_dir: Where they are; made, for this user only, if they aren't there.

    Raises:
        OSError: If they can't be made.
    """

    def __init__(self, data_dir: Path) -> None:
        self._accepted = data_dir / "audio"
        self._uploads = data_dir / "uploads"
        for folder in (data_dir, self._accepted, self._uploads):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def upload(self) -> Path:
        """Return a fresh path for an upload that may yet fail."""
        return self._uploads / new_id()

    def of(self, job_id: str) -> Path:
        """Return where a job's audio lies while it is needed."""
        return self._accepted / job_id

    def accept(self, upload: Path, job_id: str) -> Path:
        """Make an upload, already flushed to disk, a job's audio; it survives a power cut from now on."""
        path = upload.rename(self.of(job_id))
        _sync_folder(self._accepted)
        return path

    def remove(self, job_id: str) -> None:
        """Remove a job's audio, if there still is any."""
        self.of(job_id).unlink(missing_ok=True)

    def remove_all_but(self, job_ids: Collection[str]) -> None:
        """Remove half uploads, and the audio of all jobs but the given ones: what a crash has left behind."""
        for upload in self._uploads.iterdir():
            upload.unlink()
        for audio in self._accepted.iterdir():
            if audio.name not in job_ids:
                audio.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut (Windows does so by itself and can't open folders)."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
