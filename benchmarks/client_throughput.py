"""200 recordings under the cloud's published limits, 20 s of processing each: who gets them all, and how fast?

Ours submits and waits for all at once behind a paced limiter; ``speechmatics-batch`` does what its documentation
shows, ``transcribe`` for each, gathered. Goal: all of them within 1.1 * (200 / 10 + 20) s, and 3.5 requests each.
"""

import asyncio
import logging
import tempfile
import warnings
from pathlib import Path

from aiolimiter import AsyncLimiter

from benchmarks._client import Row, Stopwatch, ask, scripted_server, show
from watcher.speechmatics import AsyncClient, RateLimited, RequestKind

RECORDINGS = 200
PROCESSING = 20.0
POSTS = 10
GETS = 50
GOAL = 1.1 * (RECORDINGS / POSTS + PROCESSING)


class Paced:
    """Spreads requests evenly below the published limits."""

    def __init__(self) -> None:
        self._limits = {"post": AsyncLimiter(1, 1.02 / POSTS), "get": AsyncLimiter(1, 1.02 / GETS)}

    async def acquire(self, kind: RequestKind) -> None:
        """Wait for a turn."""
        await self._limits[kind].acquire()


async def ours(url: str, recordings: list[Path]) -> int:
    """How many recordings our client transcribes."""

    async def transcribe(client: AsyncClient, path: Path) -> bool:
        while True:
            try:
                return bool((await client.transcribe(path)).results)
            except RateLimited as error:  # no job exists: it may be submitted again
                await asyncio.sleep(error.retry_after or 0.5)

    async with AsyncClient("benchmark", url=url, limiter=Paced()) as client:
        return sum(await asyncio.gather(*(transcribe(client, path) for path in recordings)))


async def official(url: str, recordings: list[Path]) -> int:
    """How many recordings the official client transcribes."""
    from speechmatics.batch import AsyncClient as OfficialClient  # noqa: PLC0415 - only this half needs it

    async with OfficialClient(api_key="benchmark", url=url) as client:
        found = await asyncio.gather(*(client.transcribe(str(path)) for path in recordings), return_exceptions=True)
    return sum(not isinstance(each, BaseException) for each in found)


def run() -> list[Row]:
    """Both clients, one after the other, each against a fresh server."""
    logging.disable(logging.ERROR)
    shown = []
    with warnings.catch_warnings(action="ignore"), tempfile.TemporaryDirectory() as folder:
        recordings = []
        for index in range(RECORDINGS):
            recordings.append(Path(folder) / f"{index}.wav")
            recordings[-1].write_bytes(index.to_bytes(2, "big") * 20_000)
        for client in (ours, official):
            with scripted_server(processing_time=PROCESSING, post_rate=POSTS, get_rate=GETS) as (url, control):
                watch = Stopwatch()
                done = asyncio.run(client(url, recordings))
                seconds = watch.seconds
                requests = ask(f"{control}/requests")
                billed = len(ask(f"{control}/jobs"))
            asked = sum(count for name, count in requests.items() if name != "aborted")
            shown.append((f"{done} of {RECORDINGS}", f"{seconds:.1f} s", f"{asked / max(done, 1):.1f}", str(billed)))
    logging.disable(logging.NOTSET)
    what = [
        f"{RECORDINGS} recordings, {PROCESSING:g} s each, published limits: transcribed",
        f"… wall time (goal for all: {GOAL:g} s)",
        "… requests per transcript (goal 3.5)",
        "… jobs billed",
    ]
    return [(name, mine, f"speechmatics-batch: {theirs}") for name, mine, theirs in zip(what, *shown, strict=True)]


if __name__ == "__main__":
    show(run())
