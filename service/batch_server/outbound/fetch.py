"""Fetches a job's audio from the address in its config (``fetch_data``)."""

import asyncio
import os
from pathlib import Path
from typing import IO, Final

import httpx

from service.batch_server import job_config
from service.batch_server.job import Job
from service.batch_server.outbound.client import CallFailed, Outbound
from service.batch_server.outbound.ssrf import split_header
from service.batch_server.store.async_store import AsyncStore

_AT_ONCE: Final = 8
_CHUNK: Final = 1 << 20
LONGEST_SECONDS: Final = 3600.0


class Fetcher:
    """Fetches the audio of jobs into the store, a few at a time.

    Args:
        async_store: Where the audio is kept.
        outbound: Makes the calls.
        most_bytes: Larger audio is refused.
    """

    def __init__(self, async_store: AsyncStore, outbound: Outbound, *, most_bytes: int) -> None:
        self._store = async_store.store
        self._outbound = outbound
        self._most_bytes = most_bytes
        self._running = asyncio.Semaphore(_AT_ONCE)

    async def fetch(self, job: Job, source: job_config.Fetch) -> str | None:
        """Fetch a job's audio; return the reason if that failed for good, else ``None``.

        Raises:
            OSError: If the disk failed; trying again may help.
        """
        path = self._store.upload_path()
        try:
            async with self._running:
                await fetch(self._outbound, source, path, most_bytes=self._most_bytes)
            # Without an await in between: a job that is deleted meanwhile must not get audio.
            path.rename(self._store.audio_path(job.id))
        except CallFailed as error:
            return str(error)
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        return None


async def fetch(
    outbound: Outbound, source: job_config.Fetch, path: Path, *, most_bytes: int, longest: float = LONGEST_SECONDS
) -> None:
    """Fetch audio into a file, flushed to disk.

    Args:
        outbound: Makes the call.
        source: Where the audio is.
        path: The file; replaced if an earlier try left one.
        most_bytes: Larger audio is refused.
        longest: Seconds after which a fetch is given up, even if data still arrives.

    Raises:
        CallFailed: If the audio could not be fetched.
        OSError: If it could not be stored.
    """
    deadline = asyncio.timeout(longest)
    try:
        async with deadline:
            await _fetch(outbound, source, path, most_bytes)
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise CallFailed(f"Audio fetch error, it took longer than {longest:g} seconds") from error


async def _fetch(outbound: Outbound, source: job_config.Fetch, path: Path, most_bytes: int) -> None:
    async with outbound.call(
        "GET", source.url, headers=[split_header(line) for line in source.auth_headers]
    ) as response:
        if not response.is_success:
            raise CallFailed(f"Audio fetch error, http status {response.status_code}")
        encoding = response.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            raise CallFailed(f"Audio fetch error, Content-Encoding {encoding} is not accepted, only identity")
        size = 0
        with path.open("wb") as file:
            try:
                async for chunk in response.aiter_raw(_CHUNK):
                    size += len(chunk)
                    if size > most_bytes:
                        raise CallFailed(f"Audio fetch error, larger than the limit of {most_bytes} bytes")
                    await asyncio.to_thread(file.write, chunk)
            except httpx.HTTPError as error:
                raise CallFailed(f"Audio fetch error, the connection broke: {error}") from error
            await asyncio.to_thread(_flush, file)
    if size == 0:
        raise CallFailed("Audio fetch error, the answer was empty")


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
