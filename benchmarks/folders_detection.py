"""Detection: how soon a drop is whole, ten thousand at once, scanning a hundred thousand, and what watching costs.

DROPSCRIBE_BENCH_SECONDS sets how long the figures over time are taken (60; 600 for a release).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from watcher.clock import SystemClock
from watcher.folders import FolderWatch, Settled
from watcher.folders.rules.filters import Filter
from watcher.folders.scan import Scan
from watcher.ledger import Ledger, LedgerWorker, open_ledger
from watcher.media import Prober
from watcher.models import WatchFolder
from watcher.runtime import Runtime
from watcher.scheduler.intake import Intake
from watcher.transcripts import TranscriptWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from watcher.folders import Sighting

SECONDS = float(os.environ.get("DROPSCRIBE_BENCH_SECONDS", "60"))
MANY = 10_000
VERY_MANY = 100_000

_DROPPER = """
import pathlib, sys, time
folder, count, pause, data = pathlib.Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.stdin.buffer.read()
for number in range(count):
    with (folder / f"{number}.wav").open("wb") as file:
        file.write(data + number.to_bytes(4, "little") * 100)
    time.sleep(pause)
print(time.monotonic())
"""


def _wav() -> bytes:
    """A header that promises as much as the dropper appends."""
    buffer = BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setparams((1, 2, 16000, 0, "NONE", ""))
        out.writeframes(bytes(400))
    return buffer.getvalue()[:-400]


async def _drop(folder: Path, count: int, pause: float = 0.0) -> float:
    """Drop recordings from another process; return the monotonic time of the last."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _DROPPER,
        str(folder),
        str(count),
        str(pause),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    out, _ = await process.communicate(_wav())
    return float(out)


@dataclasses.dataclass
class _Remembering:
    """A watch, and what was taken from it."""

    watch: FolderWatch
    taken: set[Path]

    async def take(self) -> None:
        item = await anext(self.watch)
        assert isinstance(item, Settled)  # noqa: S101 - nothing is moved here
        self.taken.add(item.path)


@contextlib.asynccontextmanager
async def _watching(folder: Path, *, everything_known: bool = False) -> AsyncIterator[_Remembering]:
    """Watch a folder with a ledger that remembers what it was given."""
    taken: set[Path] = set()

    async def known(sightings: Sequence[Sighting]) -> Sequence[bool]:
        return [everything_known or seen.path in taken for seen in sightings]

    watch = FolderWatch([WatchFolder(folder)], clock=SystemClock(), known=known, rescan=300.0)
    running = asyncio.create_task(watch.run())
    try:
        while not (watch.status() and watch.status()[0].last_scan):  # noqa: ASYNC110 - it is polled by its users too
            await asyncio.sleep(0.01)
        yield _Remembering(watch, taken)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _latency(folder: Path) -> float:
    """Median seconds from the end of a drop to the settled recording."""
    taken = []
    async with _watching(folder) as watch:
        for number in range(20):
            (folder / f"{number}.wav").write_bytes(_wav() + bytes(400))
            began = time.monotonic()
            await watch.take()
            taken.append(time.monotonic() - began)
    return statistics.median(taken)


async def _ten_thousand(folder: Path, state: Path) -> tuple[float, float, int]:
    """Seconds for dropping, seconds from the last drop to the last entry in the ledger, and entries."""
    added = asyncio.Event()
    opened = open_ledger(state / "ledger.sqlite3", backups=state / "backups")
    ledger = LedgerWorker(opened, on_moved=lambda _: added.set())

    async def known(sightings: Sequence[Sighting]) -> Sequence[bool]:
        return await ledger(Ledger.known, [(seen.path, seen.size, seen.mtime_ns) for seen in sightings])

    watch = FolderWatch([WatchFolder(folder)], clock=SystemClock(), known=known, rescan=300.0)
    async with Prober() as prober:
        intake = Intake(ledger, prober, TranscriptWriter(), Runtime())
        await ledger(Ledger.watch_root, folder, now=time.time())
        tasks = [asyncio.create_task(watch.run()), asyncio.create_task(intake.run(watch))]
        began = time.monotonic()
        last = await _drop(folder, MANY)
        while (count := sum((await ledger(Ledger.counts)).values())) < MANY and time.monotonic() - last < 60:
            added.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(added.wait(), 0.1)
        done = time.monotonic()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await ledger.close()
    return last - began, done - last, count


async def _share(folder: Path, *, dropping: bool) -> tuple[float, int]:
    """Per cent of a core that watching takes, and bytes written, with 20 drops a second or none."""
    async with _watching(folder, everything_known=not dropping) as watch:

        async def take() -> None:
            while True:
                await watch.take()

        taker = asyncio.create_task(take())
        await asyncio.sleep(3)
        me = psutil.Process()
        before, written = sum(me.cpu_times()[:2]), me.io_counters().write_bytes
        began = time.monotonic()
        if dropping:
            await _drop(folder, int(SECONDS * 20), 0.05)
        else:
            await asyncio.sleep(SECONDS)
        share = (sum(me.cpu_times()[:2]) - before) / (time.monotonic() - began)
        taker.cancel()
        await asyncio.gather(taker, return_exceptions=True)
        return 100 * share, me.io_counters().write_bytes - written


def _fill(folder: Path, count: int) -> None:
    for number in range(count):
        if number % 1000 == 0:
            (folder / str(number // 1000)).mkdir()
        (folder / str(number // 1000) / f"{number}.wav").touch()


def _scan(folder: Path) -> tuple[float, int]:
    began = time.monotonic()
    scan = Scan(folder, Filter(WatchFolder(folder)), lambda _: False)
    found = sum(len(batch) for batch in scan.batches())
    return time.monotonic() - began, found


def run() -> list[tuple[str, str, str]]:
    """Measure everything; (what, measured, goal) per row."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="dropscribe-bench-") as name:
        places = {part: Path(name, part) for part in ("drop", "many", "state", "scan", "events")}
        for place in places.values():
            place.mkdir()
        latency = asyncio.run(_latency(places["drop"]))
        rows.append(("drop -> settled, median of 20", f"{latency:.2f} s", "<= 0.3 s"))
        dropping, after, count = asyncio.run(_ten_thousand(places["many"], places["state"]))
        rows.append((f"{MANY:,} dropped at once ({dropping:.1f} s): in the ledger after", f"{after:.1f} s", "<= 10 s"))
        rows.append(("... of them in the ledger", f"{count:,}", f"{MANY:,}"))
        _fill(places["scan"], VERY_MANY)
        _scan(places["scan"])
        seconds, found = _scan(places["scan"])
        rows.append((f"scan of {found:,} files, warm", f"{seconds:.1f} s", "<= 10 s"))
        share, _ = asyncio.run(_share(places["events"], dropping=True))
        rows.append((f"20 drops a second for {SECONDS:.0f} s: CPU of watching", f"{share:.1f} %", "told"))
        share, written = asyncio.run(_share(places["many"], dropping=False))
        rows.append((f"idle with {MANY:,} files for {SECONDS:.0f} s: CPU of watching", f"{share:.2f} %", "<= 0.2 %"))
        rows.append(("... written to disk", f"{written:,} bytes", "0"))
    return rows


if __name__ == "__main__":
    for row in run():
        print("  ".join(row))
