"""Getting a job's audio from the address in its config (``fetch_data``)."""

import asyncio
import os
from pathlib import Path
from typing import IO, Final

import httpx

from service.batch_server.job_config import Fetch
from service.batch_server.outbound.client import CallFailed, Outbound
from service.batch_server.outbound.ssrf import split_header

_CHUNK: Final = 1 << 20
LONGEST_SECONDS: Final = 3600.0


async def fetch(
    outbound: Outbound, source: Fetch, path: Path, *, most_bytes: int, longest: float = LONGEST_SECONDS
) -> None:
    """Fetch a job's audio into a file, flushed to disk.

    Args:
        outbound: Makes the call.
        source: Where from.
        path: The file; replaced if there is one, from an earlier try.
        most_bytes: Size over which the audio is refused.
        longest: Seconds after which it is given up, however steadily it drips.

    Raises:
        CallFailed: If the audio could not be had.
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


async def _fetch(outbound: Outbound, source: Fetch, path: Path, most_bytes: int) -> None:
    async with outbound.call(
        "GET", source.url, headers=[split_header(line) for line in source.auth_headers]
    ) as response:
        if not response.is_success:
            raise CallFailed(f"Audio fetch error, http status {response.status_code}")
        packing = response.headers.get("content-encoding", "identity")
        if packing.lower() != "identity":
            raise CallFailed(f"Audio fetch error, it is sent with Content-Encoding {packing}; only plain is taken")
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
