"""Uploading 900 MB: how much memory does the client's process hold at most? Goal: 100 MB in all."""

import asyncio
import json
import sys
import tempfile
import warnings
from pathlib import Path

from benchmarks._client import MEGABYTE, Row, Stopwatch, measured, peak_memory, scripted_server, show

SIZE = 900 * MEGABYTE
GOAL = 100 * MEGABYTE


async def ours(url: str, recording: str) -> None:
    """Upload with our client."""
    from watcher.speechmatics import AsyncClient  # noqa: PLC0415 - a child measures one client only

    async with AsyncClient("benchmark", url=url) as client:
        await client.submit_job(recording)


async def official(url: str, recording: str) -> None:
    """Upload with the official asynchronous client."""
    warnings.simplefilter("ignore")
    from speechmatics.batch import AsyncClient  # noqa: PLC0415 - a child measures one client only

    async with AsyncClient(api_key="benchmark", url=url) as client:
        await client.submit_job(recording)


def child(name: str, url: str, recording: str) -> None:
    """Upload with one client, and print what it took."""
    watch = Stopwatch()
    asyncio.run({"ours": ours, "official": official}[name](url, recording))
    print(json.dumps({"seconds": watch.seconds, "peak": peak_memory()}))


def run() -> list[Row]:
    """Both clients, each in a process of its own, against the same server."""
    with tempfile.TemporaryDirectory() as folder, scripted_server() as (url, _):
        recording = Path(folder) / "long.wav"
        with recording.open("wb") as file:
            piece = bytes(range(256)) * (MEGABYTE // 256)
            for _ in range(SIZE // len(piece)):
                file.write(piece)
        found = [
            measured("benchmarks.client_upload_memory", name, url, str(recording)) for name in ("ours", "official")
        ]
    memory, seconds = [], []
    for each in found:
        memory.append(f"{each['peak'] / MEGABYTE:,.0f} MB" if "peak" in each else f"failed: {each['failed']}")
        seconds.append(f"{each['seconds']:.1f} s" if "seconds" in each else "-")
    return [
        (f"upload of 900 MB: peak memory (goal {GOAL // MEGABYTE} MB)", memory[0], f"speechmatics-batch: {memory[1]}"),
        ("… time", seconds[0], f"speechmatics-batch: {seconds[1]}"),
    ]


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(*sys.argv[2:])
    else:
        show(run())
