"""Ten thousand recordings through one daemon, with a service that takes no time: does anything grow with them?

File handles, threads and memory of the daemon's process are looked at twice a second; memory's slope is that of a line
through the second half, when every buffer and cache has its size.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks._client import MEGABYTE, Row, ask, measured, scripted_server, show
from tests.support.daemon_bench import Connector, write_recording
from watcher import logs
from watcher.config import Config, FolderConfig
from watcher.daemon import Daemon
from watcher.ledger import Ledger
from watcher.models import Engine, EntryState
from watcher.scheduler import Account
from watcher.speechmatics import AsyncClient

RECORDINGS = 10_000
LONGEST = 600.0
EVERY = 0.5


async def transcribe(url: str, root: Path) -> dict[str, float]:
    """Run the daemon until all is done; says what it held open and took meanwhile."""
    logs.configure(stream=(root / "daemon.log").open("w"))
    samples: list[tuple[int, int, int, int]] = []
    began = time.monotonic()
    async with AsyncClient("benchmark", url=url) as client:
        folder = FolderConfig(path=str(root / "inbox"))
        config = Config(engine=Engine.SPEECHMATICS, state_dir=str(root / "state"), folders=(folder,))
        account = Account(Engine.SPEECHMATICS, "benchmark", Connector(client), max_uploads=8, settle_listing=2.0)
        daemon = Daemon(config, [account])
        running = asyncio.create_task(daemon.run(once=True))
        watching = asyncio.create_task(watch(daemon, samples))
        async with asyncio.timeout(LONGEST):
            await running
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return {"seconds": time.monotonic() - began, **summary(samples)}


async def watch(daemon: Daemon, samples: list[tuple[int, int, int, int]]) -> None:
    """Note entries done, file handles, threads and bytes of memory, again and again."""
    await daemon.ready()
    process = psutil.Process()
    while daemon._ledger is not None:  # noqa: SLF001 - asking through the control API would cost much more
        counts = await daemon._ledger(Ledger.counts)  # noqa: SLF001 - same
        handles = process.num_handles() if sys.platform == "win32" else process.num_fds()
        memory = process.memory_info().rss
        samples.append((counts[EntryState.DONE], handles, process.num_threads(), memory))
        await asyncio.sleep(EVERY)


def summary(samples: list[tuple[int, int, int, int]]) -> dict[str, float]:
    """From the samples, the figures."""
    working = [sample for sample in samples if 0 < sample[0] < RECORDINGS]
    late = working[len(working) // 2 :]
    slope = statistics.linear_regression([each[0] for each in late], [each[3] for each in late]).slope
    return {
        "handles early": max(each[1] for each in working[: len(working) // 4]),
        "handles late": max(each[1] for each in late),
        "threads": max(each[2] for each in working),
        "memory early": working[len(working) // 4][3],
        "memory late": late[-1][3],
        "slope": slope,
    }


def run() -> list[Row]:
    """In a child process, with the service in another."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(RECORDINGS):
            write_recording(root / "inbox" / f"{number % 100:02}" / f"{number}.wav", number)
        with scripted_server(processing_time=0.0) as (url, control):
            found = measured("benchmarks.scheduler_many", url, folder)
            billed = len({job["sha256"] for job in ask(f"{control}/jobs")}) if "failed" not in found else 0
        done = sum(1 for _ in (root / "inbox").rglob("*.txt"))
    if "failed" in found:
        return [(f"{RECORDINGS:,} recordings through", str(found["failed"]), "")]
    name = f"{RECORDINGS:,} recordings through"
    grown = found["slope"] * 1000 / MEGABYTE
    late, early = found["memory late"] / MEGABYTE, found["memory early"] / MEGABYTE
    return [
        (f"{name}: transcribed, of them billed", f"{done:,}, {billed:,}", f"goal {RECORDINGS:,} each"),
        (f"{name}: time", f"{found['seconds']:.0f} s", f"{RECORDINGS / found['seconds']:.0f} a second"),
        (f"{name}: file handles", f"{found['handles late']:.0f}", f"in the first quarter {found['handles early']:.0f}"),
        (f"{name}: threads", f"{found['threads']:.0f}", "goal: a fixed few"),
        (f"{name}: memory", f"{late:.0f} MB", f"at a quarter {early:.0f} MB"),
        (f"{name}: growth per 1,000", f"{grown:+.2f} MB", "goal: flat"),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(asyncio.run(transcribe(sys.argv[2], Path(sys.argv[3])))))
    else:
        show(run())
