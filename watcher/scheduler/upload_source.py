"""What is uploaded: the recording itself, or its sound where the service can't take it as it is."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from watcher.errors import TooLarge, Unreadable
from watcher.logs import get_logger
from watcher.media import WORKER, Limits, needs_preparation, prepare
from watcher.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from watcher.media import Prepared
    from watcher.models import MediaInfo

__all__ = ["Preparer"]

_log = get_logger("prepare")


class Preparer:
    """Gives the file to upload for a recording.

    Args:
        folder: where extracted sound is kept while it is uploaded; what an earlier run left there is removed.
        script: the program that extracts it in a child process.
        runtime: gives threads, and names for files.
    """

    def __init__(self, folder: Path, *, script: Path = WORKER, runtime: Runtime | None = None) -> None:
        self._folder = folder
        self._runtime = runtime or Runtime()
        self._script = script
        for left in folder.glob("*.flac"):
            left.unlink(missing_ok=True)

    @asynccontextmanager
    async def ready(
        self,
        path: Path,
        media: MediaInfo | None,
        *,
        limit: int,
        all_channels: bool = False,
        progress: Callable[[float], None] | None = None,
        descriptor: int | None = None,
    ) -> AsyncIterator[Path]:
        """Give the recording itself, or a FLAC file of its sound that is removed afterwards.

        Args:
            path: the recording.
            media: what the probe found; None sends it as it is.
            limit: bytes that the service takes.
            all_channels: whether to keep the channels apart.
            progress: called with how far the extraction is, 0 to 1.
            descriptor: the recording, open for reading; None opens `path`.

        Raises:
            BrokenMedia: its sound can't be extracted.
            TooLarge: its sound alone is more than the service takes.
            Unreadable: it is gone or can't be read.
        """
        try:
            status = await self._runtime.in_thread(path.stat if descriptor is None else lambda: os.fstat(descriptor))
        except OSError as error:
            raise Unreadable(f"{path} can't be read: {error.strerror}.", fix="Dropscribe tries again.") from None
        why = needs_preparation(media, path.suffix, status.st_size, Limits(largest=limit)) if media else None
        if why is None:
            yield path
            return
        _log.debug("prepared", file=str(path), why=why)
        target = self._folder / f"{self._runtime.new_id()}.flac"
        try:
            prepared = await prepare(
                path,
                target,
                all_channels=all_channels,
                progress=progress,
                descriptor=descriptor,
                script=self._script,
            )
            if prepared.size > limit:
                raise _too_large(path, prepared, limit)
            yield prepared.path
        finally:
            target.unlink(missing_ok=True)


def _too_large(path: Path, prepared: Prepared, limit: int) -> TooLarge:
    """Say how many parts would do: nobody but the person knows where it may be cut."""
    parts = prepared.size // limit + 1
    hours = prepared.duration / 3600
    return TooLarge(
        f"{path} holds {hours:.1f} h of sound. That is {prepared.size / 1e9:.2f} GB even as 16 kHz FLAC, and the"
        f" service takes {limit / 1e9:.2f} GB at most.",
        fix=f"Split it into {parts} parts or more, and drop those.",
    )
