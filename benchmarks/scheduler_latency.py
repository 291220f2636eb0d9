"""From the moment at which a job is done at the service to its transcript on disk, at low load."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks._client import Row, show
from tests.support.daemon_bench import Bench, FaultServer
from watcher import logs

TIMES = 10


async def measure(root: Path) -> list[float]:
    """Seconds from job done to the last output, one recording after the other."""
    took = []
    async with FaultServer(processing_time=1.0) as server:
        bench = Bench(root, server)
        async with bench.running():
            for number in range(TIMES):
                bench.record(f"{number}.wav")
                outputs = [bench.inbox / f"{number}.txt", bench.inbox / f"{number}.json"]
                while not all(output.exists() for output in outputs):  # noqa: ASYNC110 - files send no events
                    await asyncio.sleep(0.002)
                took.append(time.monotonic() - server.jobs[-1].done_at)
    return took


def run() -> list[Row]:
    """The median and the worst."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as log:
        logs.configure(stream=log)
        took = asyncio.run(measure(Path(folder)))
    median, worst = statistics.median(took) * 1000, max(took) * 1000
    return [("job done to transcript on disk: median, worst", f"{median:.0f} ms, {worst:.0f} ms", "goal 250 ms")]


if __name__ == "__main__":
    show(run())
