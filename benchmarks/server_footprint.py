"""What the embedded server costs: time to the first text, memory at rest and at work."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks._server import RECORDINGS, client, long_recording, submit, text
from tests.support.embedded_server import embedded_server

if TYPE_CHECKING:
    from collections.abc import Iterator

MEGABYTE = 1e6
LONG_MINUTES = 5


def run() -> Iterator[tuple[str, str, str]]:
    """Measure a fresh server, then a warm one."""
    clip = RECORDINGS / "ten_seconds.flac"
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with embedded_server(Path(folder) / "data") as server, client(server) as api:
            yield "process start -> accepts requests", f"{time.perf_counter() - started:.2f} s", ""
            process = psutil.Process(server.pid)
            yield "memory of the idle server", f"{process.memory_info().rss / MEGABYTE:.0f} MB", "goal: < 45 MB"
            started = time.perf_counter()
            submit(api, clip)
            yield "POST of a 10 s clip -> text, cold", f"{time.perf_counter() - started:.2f} s", "goal: <= 2 s"
            warm = []
            for _ in range(5):
                started = time.perf_counter()
                submit(api, clip)
                warm.append(time.perf_counter() - started)
            yield "POST of a 10 s clip -> text, warm (median of 5)", f"{sorted(warm)[2]:.2f} s", "goal: <= 1 s"
            (worker,) = process.children()
            yield "memory of a worker after short clips", f"{worker.memory_info().rss / MEGABYTE:.0f} MB", ""
            job = submit(api, long_recording(Path(folder) / "long.wav", LONG_MINUTES), wait=False)["id"]
            text(api, job)
            yield (
                f"memory of a worker after {LONG_MINUTES} min of speech",
                f"{worker.memory_info().rss / MEGABYTE:.0f} MB",
                "",
            )
            before = process.cpu_times()
            time.sleep(10)
            after = process.cpu_times()
            busy = after.user + after.system - before.user - before.system
            yield "processor while idle, over 10 s", f"{busy / 10:.2%} of a core", "goal: <= 0.2 %"
